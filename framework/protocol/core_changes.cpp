// Changes of the view that somebody asks for: leaving, removal, other rules (V9, X1).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

const char* to_string(change_refusal why) {
  switch (why) {
    case change_refusal::none: return "done";
    case change_refusal::no_leader: return "nobody leads the group";
    case change_refusal::unknown_member: return "no such member";
    case change_refusal::last_member: return "nobody would be left";
    case change_refusal::no_quorum_left:
      return "the active members that stay would be no quorum: bring others back, or remove them, first";
    case change_refusal::bad_options: return "the options contradict each other or the roster";
    case change_refusal::voters_away:
      return "voters are away whose disks would go on counting: bring them back, or remove them, before the group is kept in memory (X3)";
    case change_refusal::no_lease_fits:
      return "the lease is longer than election_min (1 - clock_rate_ppm / 10^6) - clock_margin: raise election_min, or shorten it";
    case change_refusal::rules_changed: return "somebody else changed the rules meanwhile: look at them, and ask again";
  }
  return "?";
}

// ---- who asks -------------------------------------------------------------------------------------------------------

std::uint64_t core::impl::request(change_kind kind, member_id who, const view_options& wanted_options,
                                  const std::optional<view_options>& based_on) {
  asked_change a;
  a.what = {++request_ids, kind, kind == change_kind::leave ? self() : who, wanted_options, based_on};
  a.since = now;
  asked_changes.push_back(a);
  if (kind != change_kind::leave) return a.what.id;
  if (has_state)
    leaving = true;
  else
    answered(a.what.id, change_refusal::unknown_member);  // it is no member yet
  return a.what.id;
}

/// Asked again until answered: whoever leads meanwhile hears of it, whichever step the one before had reached.
void core::impl::drive_requests() {
  for (std::size_t i = 0; i < asked_changes.size(); ++i) {
    auto& a = asked_changes[i];
    if (now - a.since > request_patience) {
      answered(a.what.id, change_refusal::no_leader);
      --i;
      continue;
    }
    if (role == core_role::leader && a.what.kind == change_kind::leave && !roster_members().empty()) {
      hand_over(no_member);  // E8: somebody else leads us out
      continue;
    }
    if (a.sent != instant{} && now - a.sent < options.heartbeat) continue;
    a.sent = now;
    if (role == core_role::leader) {
      const auto before = asked_changes.size();
      consider(start.self, a.what);
      if (asked_changes.size() < before) --i;
    } else if (leader != no_member) {
      send(leader, a.what, on_disk(state_position) ? 0 : state_position);
    }
  }
}

void core::impl::answered(std::uint64_t id, change_refusal why) {
  const auto a = std::ranges::find(asked_changes, id, [](const asked_change& x) { return x.what.id; });
  if (a == asked_changes.end()) return;
  const bool was_leave = a->what.kind == change_kind::leave;
  asked_changes.erase(a);
  if (why == change_refusal::none) {
    notify(event_kind::change_done, self(), id);
    if (was_leave) notify(event_kind::left, self(), in_force ? in_force->number : 0);
    return;
  }
  if (was_leave) leaving = false;
  notify(event_kind::change_refused, self(), id, false, static_cast<log_index>(why));
}

void core::impl::receive_change_reply(voter_id, const change_reply& r) { answered(r.id, r.why); }

// ---- the leader -----------------------------------------------------------------------------------------------------

void core::impl::receive_change_request(voter_id from, const change_request& r) {
  if (!has_state || role != core_role::leader) return;
  consider(from, r);
}

void core::impl::answer(voter_id origin, std::uint64_t id, change_refusal why) {
  if (origin == start.self)
    answered(id, why);
  else
    send(origin.member, change_reply{id, why});
}

void core::impl::consider(voter_id origin, const change_request& r) {
  if (commit < first_own_entry || log.last_view().index > applied) return;  // C7: asked again soon
  if (satisfied(origin, r)) {
    // PA4, V14: who leaves may go only when the new side knows of it, whoever of them dies.
    const auto known = quorum_value(*in_force, [&](voter_id id) -> std::uint64_t {
      if (id == start.self) return durable_view;
      const auto* p = known_peer(id);
      return p ? p->view : 0;
    });
    if (known >= in_force->number) answer(origin, r.id, change_refusal::none);
    return;
  }
  if (const auto why = flaw_of(origin, r); why != change_refusal::none) return answer(origin, r.id, why);
  for (auto& w : wanted_changes)
    if (w.origin == origin && w.what.id == r.id) {
      w.heard = now;
      return;
    }
  wanted_changes.push_back({origin, r, now});
}

bool core::impl::satisfied(voter_id origin, const change_request& r) const {
  switch (r.kind) {
    case change_kind::leave: return find(*in_force, origin) == nullptr;
    case change_kind::remove:
      return is_barred(*in_force, r.who) &&
             std::ranges::none_of(in_force->roster, [&](const roster_entry& e) { return e.id.member == r.who; });
    case change_kind::restore: return !is_barred(*in_force, r.who);
    case change_kind::options: return in_force->options == r.options;
  }
  return true;
}

/// X10: whoever asked looked at other rules, and could not see what it would undo.
bool core::impl::is_overtaken(const change_request& r, const view_options& rules) const {
  return r.based_on && *r.based_on != rules && !mutated(mutation::rules_put_back);
}

/// Whether the request is for this member to go.
bool core::impl::lets_go(voter_id origin, const change_request& r, const roster_entry& e) {
  if (r.kind == change_kind::leave) return e.id == origin;
  return r.kind == change_kind::remove && e.id.member == r.who;
}

/// `none`, or why the group would be worse off than told.
change_refusal core::impl::flaw_of(voter_id origin, const change_request& r) const {
  if (r.kind == change_kind::restore) return change_refusal::none;
  if (r.kind == change_kind::options) return is_overtaken(r, in_force->options) ? change_refusal::rules_changed : flaw_of(r.options);
  const auto leaves = [&](const roster_entry& e) { return lets_go(origin, r, e); };
  const bool known = std::ranges::any_of(in_force->roster, leaves);
  if (!known && r.kind == change_kind::remove && !std::ranges::binary_search(start.founders, r.who)) return change_refusal::unknown_member;
  std::size_t voters = 0, active = 0;
  for (const auto& e : in_force->roster) {
    if (!e.voter || leaves(e)) continue;
    ++voters;
    // Witnesses report although they are not active (W1).
    if ((e.active || e.witness) && !silent(e)) ++active;
  }
  if (known && voters == 0) return change_refusal::last_member;
  const std::size_t needed = std::max<std::size_t>(voters / 2 + 1, in_force->options.min_copies);
  return active >= needed ? change_refusal::none : change_refusal::no_quorum_left;
}

change_refusal core::impl::flaw_of(const view_options& o) const {
  const bool orders = !o.orders.empty() && o.orders.has(o.default_order);
  const bool times = o.heartbeat >= std::chrono::milliseconds(1) && o.election_min >= 4 * o.heartbeat &&
                     o.fail_after >= 2 * o.election_min && o.suspect_at >= 1000 && o.suspect_at <= 15'000;
  const bool copies = o.min_copies >= 1 && o.min_copies <= data_voter_count(*in_force) && o.min_voters >= 1;
  if (!orders || !times || !copies || o.lane_window == 0 || o.message_bytes_max == 0 || o.clock_rate_ppm > clock_rate_ppm_max)
    return change_refusal::bad_options;
  if (!o.durable && std::ranges::any_of(in_force->roster, &roster_entry::witness)) return change_refusal::bad_options;  // W5
  if (!o.durable && in_force->options.durable && std::ranges::any_of(in_force->roster, [](const auto& r) { return r.voter && !r.active; }))
    return change_refusal::voters_away;
  const bool fits = lease_limit(o) > duration(0) && o.lease <= lease_limit(o);
  return o.reads == read_mode::lease && !fits ? change_refusal::no_lease_fits : change_refusal::none;
}

bool core::impl::still_wanted(const wanted_change& w) const {
  return now - w.heard < 10 * options.heartbeat && !satisfied(w.origin, w.what) && flaw_of(w.origin, w.what) == change_refusal::none;
}

bool core::impl::goes(const roster_entry& r) const {
  return std::ranges::any_of(wanted_changes, [&](const wanted_change& w) { return lets_go(w.origin, w.what, r) && still_wanted(w); });
}

/// What is asked for beside the roster.
void core::impl::apply_requests(view& next) const {
  for (const auto& w : wanted_changes) {
    if (!still_wanted(w)) continue;
    if (w.what.kind == change_kind::options && !is_overtaken(w.what, next.options)) next.options = w.what.options;
    if (w.what.kind == change_kind::remove && !is_barred(next, w.what.who)) next.barred.push_back(w.what.who);
    if (w.what.kind == change_kind::restore) std::erase(next.barred, w.what.who);
    std::ranges::sort(next.barred);
  }
  next.kinds = static_cast<lane_kinds>(next.kinds | kinds_of(next.options.orders));
  next.largest_message = std::max(next.largest_message, next.options.message_bytes_max);
}

/// Behind a view that does not bring what it was to bring: another one's rules came first (X10), or the reporters would not have been a
/// quorum with it (V10).
void core::impl::settle_requests() {
  const auto before = std::move(wanted_changes);
  wanted_changes.clear();
  for (const auto& w : before) {
    if (satisfied(w.origin, w.what)) continue;
    const bool overtaken = w.what.kind == change_kind::options && is_overtaken(w.what, in_force->options);
    answer(w.origin, w.what.id, overtaken ? change_refusal::rules_changed : change_refusal::no_quorum_left);
  }
}

/// X1: every view runs under one set of rules.
void core::impl::adopt_options() {
  const view_options before = options;
  static_cast<view_options&>(options) = in_force->options;
  if (options.election_min != before.election_min) {
    options.election_max = 2 * options.election_min;
    options.wedge_wait = options.election_min;
    options.pull_wait = 2 * options.election_min;
    if (ticked && role != core_role::leader) draw_election();  // who stands votes for itself: by the new rules, too (E5)
  }
  const bool other_beat = options.heartbeat != before.heartbeat;
  if (!other_beat && options.suspect_at == before.suspect_at && options.election_min == before.election_min &&
      options.fail_after == before.fail_after)
    return;
  for (auto& p : peers) {  // V20: silences are judged by the new rules from now on, and rhythms are counted in beats
    if (other_beat) p.rhythm.begin(options.heartbeat, p.rhythm.last_heard());
    p.patience = std::clamp(p.rhythm.patience(options.suspect_at), options.election_min, options.fail_after);
  }
}

}  // namespace cohort::protocol
