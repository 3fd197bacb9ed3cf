// Forming a view: gather, account, propose, prepare, install (rules P3 to P6, P9).
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {

void core::impl::begin_attempt(std::vector<process> set) {
  if (writes()) return;
  auto counter = promised;
  for (const auto& [member, p] : peers) counter = std::max(counter, p.said.promised);
  if (!wedged()) happened(event_kind::wedged, true);
  promised = counter + 1;
  taking_part = {promised, self.member, self.inc};
  next_view.reset();
  is_prepared = false;
  early.clear();
  early_bytes = 0;
  leading.emplace();
  leading->id = taking_part;
  leading->asked = std::move(set);
  leading->until = now + account_wait();
  leading->accounts[self] = own_account(taking_part);
  write_memory(view);
  for (const auto& m : leading->asked)
    if (m != self) promise(gather{taking_part}, std::array{m.member});
}

void core::impl::receive_gather(const peer& from, const gather& g) {
  const auto& a = g.attempt;
  if (a.coordinator != from.who.member || a.inc != from.who.inc || leader != a.coordinator || writes()) return;
  const bool again = a == taking_part && a.counter == promised;
  if (!again && a.counter <= promised) return;
  if (!again) {
    if (!wedged()) happened(event_kind::wedged, true);
    promised = a.counter;
    taking_part = a;
    next_view.reset();
    is_prepared = false;
    early.clear();
    early_bytes = 0;
    leading.reset();
    write_memory(view);
  }
  promise(own_account(a), std::array{a.coordinator});
}

account core::impl::own_account(component_id attempt) const {
  account a;
  a.attempt = attempt;
  a.view = view->id;
  a.front = own_front();
  a.stable = stable;
  a.descends_from = descends_from;
  a.blank = blank;
  a.state = mistaken(mistake::unmerged_told_apart_by_view) ? state_key{view->id, merged_side} : state;
  a.history = history;
  a.last_primary = last_primary;
  a.attempted = attempted;
  a.rules = view->rules;
  if (wishes()) a.wish = asked.front().options;
  a.founder = founder;
  return a;
}

void core::impl::receive_account(process from, account&& a) {
  if (!leading || a.attempt != leading->id || leading->proposed) return;
  if (std::ranges::find(leading->asked, from) == leading->asked.end()) return;
  leading->accounts.emplace(from, std::move(a));  // the first one binds: it told what is frozen
}

void core::impl::go_on_with_attempt() {
  if (!leading || entering != 0) return;
  if (!leading->proposed) {
    if (leading->accounts.size() < leading->asked.size() && now < leading->until) return;
    propose();
  }
  const auto& members_to_be = leading->proposed->members;
  if (is_prepared && on_disk(prepared_at)) count_ready(self);
  if (leading->ready.size() == members_to_be.size() || mistaken(mistake::install_unprepared)) {
    std::vector<member_id> to;
    for (const auto& m : members_to_be)
      if (m != self) to.push_back(m.member);
    promise(install{leading->id}, to);
    is_prepared = true;
    return install_view();
  }
  const auto gone = [&](const process& m) {
    if (m == self) return false;
    const auto& p = peers.at(m.member);
    return p.who != m || !reaches(p);
  };
  if (now < leading->until && std::ranges::none_of(members_to_be, gone)) return;
  leading.reset();  // the next attempt follows once the set is steady
  wanted_since = now - steady_for() + options.heartbeat;
}

/// Majority of a view that was primary, among those who accounted; of half of it the half with its smallest member
/// (dynamic linear voting: Jajodia, Mutchler, 1990).
bool core::impl::holds_majority(const primary_mark& of) const {
  std::size_t here = 0, all = 0;
  bool smallest = false;
  // Whose directory is gone looks like one that never took part. So where promises outlive processes the first view is one of all founders:
  // while any of them remembers it, or never came, none is first again.
  const bool of_all = of.members.empty() && options.durable && !mistaken(mistake::first_of_some);
  if (of.members.empty()) {
    all = start.founders.size();
    for (const auto& [who, a] : leading->accounts) {
      if (!a.founder || !std::ranges::binary_search(start.founders, who.member)) continue;
      ++here;
      smallest |= who.member == start.founders.front();
    }
  } else {
    all = of.members.size();
    for (const auto& m : of.members) here += leading->accounts.contains(m);
    smallest = leading->accounts.contains(of.members.front());
  }
  if (of_all) return here == all;
  return 2 * here > all || (2 * here == all && smallest);
}

/// P9. A view that was prepared as primary may have become it, as far as those can tell who never saw it installed: it
/// binds, too (Yeger Lotem, Keidar, Dolev, "Dynamic Voting for Consistent Primary Components", 1997).
bool core::impl::is_primary() const {
  primary_mark newest;
  for (const auto& [who, a] : leading->accounts)
    if (a.last_primary.view > newest.view) newest = a.last_primary;
  if (!holds_majority(newest)) return false;
  for (const auto& [who, a] : leading->accounts) {
    if (a.attempted.size() >= attempts_max) return false;
    for (const auto& tried : a.attempted)
      if (tried.view > newest.view && !holds_majority(tried) && !mistaken(mistake::primary_forgets_attempts))
        return false;
  }
  return true;
}

void core::impl::propose() {
  auto v = std::make_shared<component_view>();
  v->id = leading->id;
  std::map<component_id, flush> flushes;
  std::map<state_key, side> sides;
  for (const auto& [who, a] : leading->accounts) {
    v->members.push_back(who);
    auto& f = flushes[a.view];
    f.view = a.view;
    f.want.resize(std::max(f.want.size(), a.front.size()), 0);
    f.holders.resize(f.want.size(), static_cast<std::uint16_t>(f.together.size()));
    for (std::size_t s = 0; s < a.front.size(); ++s) {
      if (a.front[s] <= f.want[s]) continue;
      if (mistaken(mistake::want_of_coordinator_only) && who != self && a.view == view->id) continue;
      f.want[s] = a.front[s];  // V7
      f.holders[s] = static_cast<std::uint16_t>(f.together.size());
    }
    raise(f.stable, a.stable);
    f.together.push_back(who);
    auto& one = sides[a.state];
    if (one.members.empty()) one.history = a.history;
    one.state = a.state;
    one.members.push_back(who);
    one.descends_from = std::max(one.descends_from, a.descends_from);
    one.blank = a.blank;
  }
  // What was held in the old view will have been delivered: then the state is not blank any more.
  for (const auto& [who, a] : leading->accounts)
    if (std::ranges::any_of(flushes[a.view].want, [](sequence s) { return s > 0; })) sides[a.state].blank = false;
  for (auto& [id, f] : flushes) v->flushes.push_back(std::move(f));
  for (auto& [key, s] : sides) v->sides.push_back(std::move(s));
  v->primary = is_primary();
  v->rules = rules_of_proposal();
  leading->proposed = v;
  leading->until = now + prepare_wait();
  for (const auto& m : v->members)
    if (m != self) promise(proposal{v}, std::array{m.member});
  next_view = v;
  prepare();
}

const flush* core::impl::own_flush(const component_view& v) const {
  const auto at = std::ranges::find(v.flushes, view->id, &flush::view);
  return at == v.flushes.end() ? nullptr : &*at;
}

void core::impl::receive_proposal(const peer& from, const proposal& p) {
  const auto& v = *p.what;
  if (!wedged() || v.id != taking_part || process{v.id.coordinator, v.id.inc} != from.who ||
      rank_of(v, self) == no_slot)
    return;
  if (next_view) {  // told again: our answer was lost
    if (is_prepared) promise(prepared{v.id}, std::array{from.who.member});
    return;
  }
  const auto* f = own_flush(v);
  const auto n = lanes.size();
  if (!f || f->want.size() != n || f->stable.size() != n || f->holders.size() != n || !covers(f->want, own_front()) ||
      !is_sound(v.rules.options))
    return;
  if (std::ranges::any_of(f->holders, [&](auto h) { return h >= f->together.size(); })) return;
  const auto here = [&](const side& s) { return std::ranges::find(s.members, self) != s.members.end(); };
  if (std::ranges::none_of(v.sides, here) ||
      std::ranges::any_of(v.sides, [](const side& s) { return s.members.empty(); }))
    return;
  next_view = p.what;
  std::ranges::fill(pulled, never);
  prepare();
}

/// All that the flush delivers is held here: nothing but the installation is missing (P6).
void core::impl::prepare() {
  if (!next_view || is_prepared) return;
  const auto* f = own_flush(*next_view);
  for (std::size_t s = 0; s < lanes.size(); ++s)
    if (lanes[s]->held() < at(f->want, s) && !mistaken(mistake::flush_not_fetched)) return;
  seal_at_flush(*f);
  is_prepared = true;
  if (next_view->primary) {
    // Equal members make equal conditions: the newest of them says it all.
    std::erase_if(attempted, [this](const auto& tried) { return tried.members == next_view->members; });
    attempted.push_back({next_view->id, next_view->members});
    write_memory(view);
  }
  prepared_at = mistaken(mistake::promises_unwritten) ? 0 : last_position;
  if (!leading) promise(prepared{next_view->id}, std::array{next_view->id.coordinator});
}

/// What lay behind a gap and has become contiguous is nobody's: no account told of it.
void core::impl::seal_at_flush(const flush& f) {
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    const auto last = std::min(lanes[s]->held(), at(f.want, s));
    lanes[s]->seal(last);
    while (!totals[s].empty() && totals[s].back() > last) totals[s].pop_back();
  }
}

void core::impl::count_ready(process who) {
  if (std::ranges::find(leading->ready, who) == leading->ready.end()) leading->ready.push_back(who);
}

void core::impl::receive_prepared(process from, const prepared& p) {
  if (!leading || p.attempt != leading->id || !leading->proposed || rank_of(*leading->proposed, from) == no_slot)
    return;
  count_ready(from);
}

void core::impl::may_be_installed(component_id seen) {
  if (!wedged() || !next_view || seen != next_view->id || entering != 0) return;
  if (is_prepared || mistaken(mistake::install_unprepared)) install_view();
}

/// P4, P5: what was safe in the old view first, then the transitional view, then what only those who come along hold.
///
/// A process that has delivered anything behind this point must know on its next start that it did: the view is written
/// down first.
void core::impl::install_view() {
  if (options.durable && !replaying) {
    if (entering == 0) {
      write_memory(next_view);
      entering = last_position;
    }
    if (!on_disk(entering) && !mistaken(mistake::view_unwritten)) return;
    entering = 0;
  }
  const auto next = next_view;
  const auto* f = own_flush(*next);
  if (merged) deliver({mistaken(mistake::all_stable_at_transition) ? nullptr : &f->stable, true, false});
  auto together = f->together;
  if (mistaken(mistake::wrong_transitional_set)) together = next->members;
  results.deliveries.push_back(deliver_transition{view->id, std::move(together)});
  if (merged) deliver({nullptr, true, true});
  history.push_back({view->id, digest, delivered});
  if (history.size() > history_max) history.erase(history.begin());
  enter(next);
}

void core::impl::enter(component_ptr next) {
  view = std::move(next);
  adopt(view->rules);
  rank = rank_of(*view, self);
  const auto n = view->members.size();
  lanes.clear();
  for (const auto& m : view->members)
    for (const auto k : {lane_kind::plain, lane_kind::causal})
      lanes.push_back(std::make_unique<lane>(voter_id{m.member, 0}, m.inc, k, 0));
  passed.assign(2 * n, 0);
  unordered_passed.assign(2 * n, 0);
  stable.assign(2 * n, 0);
  pulled.assign(2 * n, never);
  totals.assign(2 * n, {});
  totals_passed.assign(2 * n, 0);
  totals_delivered = 0;
  delivered = 0;
  for (auto& parts : parts_under_way) parts.clear();
  members.assign(n, {});
  next_view.reset();
  is_prepared = false;
  leading.reset();
  wanted_since = now;
  next_beat = now;
  states = {};
  for (auto& [tag, stamp] : reads) stamp = 0;  // all that was asked for has been delivered
  if (view->primary) {
    last_primary = {view->id, view->members};
    attempted.clear();
  }
  results.deliveries.push_back(deliver_component{view});
  happened(event_kind::wedged, false);
  happened(event_kind::primary, view->primary);
  std::uint16_t side_here = 0;
  while (std::ranges::find(view->sides[side_here].members, self) == view->sides[side_here].members.end()) ++side_here;
  if (view->sides.size() > 1) digest = view->id.counter;
  blank = view->sides[side_here].blank;
  if (view->primary && mistaken(mistake::descent_before_merge)) descends_from = view->id;
  if (view->sides.size() == 1 || options.merge == merge_policy::none) {
    for (auto& m : members) m.merged = true;
    merged = open_for_messages = true;
    state = {view->id, merged_side};
    if (view->primary) descends_from = view->id;
  } else {
    merged = open_for_messages = false;
    state = {view->id, side_here};
    if (!replaying) begin_merge(side_here);
  }
  early_bytes = 0;
  for (auto& b : std::exchange(early, {})) store(std::move(b));
}

}  // namespace cohort::protocol::partition
