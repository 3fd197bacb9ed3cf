// Views: wedge, flush, one VIEW entry with joint commitment, joining (section 6).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>
#include <utility>

namespace cohort::protocol {

// ---- members --------------------------------------------------------------------------------------------------------

void core::impl::wedge_self(term_number term, std::uint64_t attempt) {
  if (!wedged.on) {
    wedged.on = true;
    wedged.term = term;
    wedged.front = lanes.held(in_force->number);  // V4: frozen once, a later attempt changes nothing
    notify(event_kind::wedged, leader, in_force->number, true);
  }
  wedged.term = mutated(mutation::pa3_wedge_term_not_raised) ? wedged.term : std::max(wedged.term, term);  // PA3
  wedged.attempt = attempt;
  wedged.view = in_force->number;
}

void core::impl::receive_wedge(voter_id from, const wedge& w) {
  if (w.term < promises.term) {
    ack_due = true;
    return;
  }
  if (w.term > promises.term) adopt_term(w.term);
  if (role == core_role::leader) return;  // cannot be: one leader a term (I1)
  leader_heard(from);
  report r;
  r.term = w.term;
  r.attempt = w.attempt;
  r.view = w.view;
  r.inc = promises.inc;
  if (!has_state) {
    // PA6: an active member that is still being given its state has sealed and delivered nothing; it stays active.
    r.no_state = true;
    blank_report = {w.term, w.attempt, w.view};
    send(from.member, std::move(r), state_position);
    return;
  }
  if (in_force->number != w.view && !mutated(mutation::report_for_other_view)) {  // V3: it first catches up
    if (w.view > in_force->number && !mutated(mutation::early_wedge_forgotten)) early_wedge = {from, w};
    return;
  }
  if (my_slot != no_slot) {
    if (!mutated(mutation::report_without_wedge)) wedge_self(w.term, w.attempt);
  }
  report_front(r);
  // D9: the front must be on disk, or a crash could lose what the final cut relies on.
  send(from.member, std::move(r), next_position - 1);
}

/// V3: a leader whose next change begins while this member installs the view of the last one need not ask again.
void core::impl::answer_early_wedge() {
  const auto [from, w] = std::exchange(early_wedge, {});
  if (w.view == in_force->number && w.term == promises.term && from == leader_id)
    receive_wedge(from, w);
  else if (w.view > in_force->number)
    early_wedge = {from, w};
}

/// V4. A restarted member of a journaled group tells what its disk holds: what h(v) disks hold may have been delivered as
/// safe, and the quorum that reports contains one of them.
void core::impl::report_front(report& r) const {
  if (my_slot == no_slot) {
    if (kept == keeping::disk && !total_only() && !is_witness()) r.front = lanes.held(in_force->number);
    return;
  }
  r.front = mutated(mutation::report_without_wedge) ? lanes.held(in_force->number) : wedged.front;
  for (slot s = 0; s < ahead.size(); ++s)
    for (const sequence seq : ahead[s])
      if (seq > at(r.front, s) && !mutated(mutation::unordered_not_reported)) r.extras.push_back({s, seq});
}

/// PA6, V4: who reported for a view that it held nothing in it must not seal there once it has its state, nor in any view
/// before that one: their final cuts are drawn.
void core::impl::honour_blank_report() {
  if (my_slot != no_slot && blank_report.term != 0 && blank_report.view >= in_force->number)
    wedge_self(blank_report.term, blank_report.attempt);
}

void core::impl::send_join() {
  if (leaving || (is_witness() && has_state)) return;
  const bool cut_off = my_slot != no_slot && has_state && role != core_role::leader &&
                       (leader_contact == instant::min() || now - leader_contact > options.election_max);
  const bool blank_founder = !has_state && start.blank && !start.ever_founded &&
                             std::ranges::none_of(peers, [](const peer& p) { return p.linked && !p.blank; });
  if (blank_founder || (has_state && my_slot != no_slot && !cut_off)) return;
  if (now - join_sent < options.heartbeat) return;
  join_sent = now;
  if (promises.inc == 0) take_incarnation(0);
  join j;
  j.inc = promises.inc;
  j.known = in_force ? in_force->number : 0;
  j.has_state = has_state;
  std::vector<member_id> to;
  for (const member_id m : known_members)
    if (m != self()) to.push_back(m);
  send_to(to, j, state_position);
  if (start.ever_founded && !has_state && !restarted && !unfounded_told && now - joining_since > std::chrono::seconds(5) &&
      leader_contact == instant::min()) {
    unfounded_told = true;
    notify(event_kind::unfounded_restart);
  }
}

void core::impl::take_incarnation(incarnation above) {
  const incarnation used = in_force ? std::max(burnt(*in_force, self()), burnt(*log.last_view().what, self())) : 0;
  promises.inc = std::max({static_cast<incarnation>(std::max<std::int64_t>(wall.count(), 0)), used + 1, promises.inc + 1, above + 1});
  save_state();
  place_self();
}

void core::impl::place_self() {
  my_slot = in_force ? slot_of(*in_force, start.self, promises.inc) : no_slot;
  const auto* own = my_slot == no_slot ? nullptr : find(*in_force, start.self);
  learning = own && !own->voter;
  if (my_slot == no_slot) wedged.on = false;  // the promise was the former incarnation's, which is no member any more
}

void core::impl::receive_join(voter_id from, const join& j) {
  if (j.barred) {
    if (!barred_told) notify(event_kind::barred, from.member, j.known);
    barred_told = true;
    return;
  }
  if (j.burnt != 0) {
    // The leader's answer: our incarnation was admitted and dropped again, or our clock went back over a restart (V11).
    if (j.inc == promises.inc && (!has_state || my_slot == no_slot || now - leader_contact > options.election_max || leader_contact == instant::min())) {
      take_incarnation(j.burnt);
      join_sent = instant{};
    }
    return;
  }
  auto& p = peer_of(from);
  if (j.inc > p.inc) {
    p.inc = j.inc;
    p.applied = 0;
    p.view = 0;
    p.have.clear();
    p.served_from = {};
  }
  p.no_state = !j.has_state;
  if (!has_state) return;
  if (!j.has_state && log.base().index == 0 && find(*log.base().in_force, from)) {
    // A founder that missed the commit of view 0: its identity has never acted.
    send(from.member, form{form_phase::commit, 0, log.base().in_force});
  }
  if (role != core_role::leader) return;
  const auto& newest = *log.last_view().what;
  if (is_barred(newest, from.member)) {
    join no;
    no.known = newest.number;
    no.barred = true;
    send(from.member, no);
    return;
  }
  const auto* r = find(newest, from);
  if (r && r->active && r->inc == j.inc) return;  // admitted already
  if (j.inc <= burnt(newest, from.member) && !mutated(mutation::burnt_readmitted)) {
    send(from.member, join{j.inc, newest.number, true, burnt(newest, from.member)});
    return;
  }
  p.join_inc = j.inc;
  p.join_heard = now;
  p.join_has_state = j.has_state;
}

// ---- the leader -----------------------------------------------------------------------------------------------------

/// W6. Everybody's window waits for it from its promotion on: it may lack no more of a lane than a voter may.
bool core::impl::caught_up(const roster_entry& r) const {
  const auto* p = known_peer(r.id);
  return p && p->inc == r.inc && !p->no_state && p->view == in_force->number && close_behind(*p) && (r.witness || window_behind(*p));
}

bool core::impl::close_behind(const peer& p) const {
  return p.match_term == promises.term && p.match + options.append_window >= log.last();
}

bool core::impl::window_behind(const peer& p) const {
  if (mutated(mutation::promoted_far_behind)) return true;
  const auto upto = std::min(p.match, log.last());
  if (log.last_view().what->number != in_force->number) return true;  // slots of another view; nobody is promoted before it is installed
  const auto cut = upto > view_index && upto >= log.base().index ? log.cut_behind(upto) : view_floor;
  for (slot s = 0; s < lane_count(*in_force); ++s)
    if (lanes.find(in_force->number, s)->bytes_above(at(cut, s)) > options.lane_window + options.part_bytes) return false;
  return true;
}

/// FC4, policy `exclude`: it answers heartbeats but has acknowledged nothing for T_fail although it lags, as with a disk
/// that is full. Windows must not wait for it for ever. They do not wait for a learner, which may take long to read its state.
bool core::impl::stuck(const roster_entry& r, const peer& p) const {
  return options.slow == slow_policy::exclude && (r.voter || mutated(mutation::learner_taken_for_stuck)) && lagging(p, options.fail_after);
}

/// A learner holds up nobody's window, so nothing else bounds what is kept for it: lanes are trimmed behind it (S3).
bool core::impl::learns_too_slowly(const roster_entry& r) const {
  return is_learner(r) && lanes.bytes() > 8 * checkpoint_distance() && !mutated(mutation::learner_kept);
}

/// The log begins above what it needs, and it takes no checkpoint.
bool core::impl::unservable(const peer& p) const {
  return p.unservable_since != never && now - std::max(p.unservable_since, awake_since) > options.fail_after &&
         now - p.chunk_asked >= options.join_hold;
}

bool core::impl::change_wanted() {
  bool wanted = false;
  bool transferring = false;
  for (const auto& r : in_force->roster) {
    if (!r.active) continue;
    if (silent(r)) {
      wanted = true;
      continue;
    }
    if (r.id == start.self) continue;
    const auto& p = peer_of(r.id);
    if (!r.voter && !r.witness && caught_up(r)) {
      // V10: a promotion waits until it cannot make the group depend on the newcomer.
      const auto next = next_view(true, false);
      const auto* n = find(*next, r.id);
      if (n && n->voter) wanted = true;
    }
    if (stuck(r, p) || learns_too_slowly(r)) wanted = true;
    if (p.no_state && now - p.chunk_asked < options.join_hold) transferring = true;
    if (unservable(p)) wanted = true;  // S3
  }
  if (wanted) return true;
  if (my_slot == no_slot && !leaving && !is_barred(*in_force, self())) return true;  // V1: the leader itself is inactive
  for (const auto& r : in_force->roster)
    if (r.witness && !r.voter && caught_up(r)) return true;  // takes the place of one whose disk is gone
  if (std::ranges::any_of(wanted_changes, [&](const auto& w) { return still_wanted(w); })) return true;
  if (transferring && !mutated(mutation::pa6_joins_not_held)) return false;  // PA6: a change would not end its transfer, but delay it
  return std::ranges::any_of(peers, [&](const peer& p) {
    return p.join_inc > burnt(*in_force, p.id.member) && !is_barred(*in_force, p.id.member) && admissible(p);
  });
}

bool core::impl::waits_for_admission(const peer& p) const {
  return p.join_inc != 0 && !superseded(p) && now - p.join_heard < 10 * options.heartbeat;
}

/// Whether a process that asks to join may do so now. One that has state first catches up as an inactive member, fed by
/// the leader: were it admitted at once, everybody's window would wait for it (FC1).
bool core::impl::admissible(const peer& p) const {
  if (!waits_for_admission(p) || held_back(p.id.member)) return false;
  if (!p.join_has_state) return true;
  // V23: it hears us, too, or it would be admitted only to go again.
  if (now - std::max(p.echo, awake_since) > options.election_max && !mutated(mutation::deaf_admitted)) return false;
  return close_behind(p);
}

/// S3: a member that this log cannot serve is excluded. Where that would take its own vote, somebody else, whose log reaches
/// further back, has to lead.
void core::impl::rescue_stranded() {
  if (handover.on || log.last() <= commit || mutated(mutation::stranded_forever)) return;
  for (const auto& r : in_force->roster) {
    const auto* p = known_peer(r.id);
    if (!r.voter || !r.active || !p || p->unservable_since == never || now - p->unservable_since <= options.fail_after) continue;
    for (const auto& q : peers)
      if (!superseded(q) && !q.no_state && q.match_term == promises.term && q.match == log.last() && q.base <= p->match_below)
        if (const auto* e = find(*in_force, q.id); e && e->voter && e->active && now - q.echo < options.election_min)
          return hand_over(q.id.member);
  }
}

void core::impl::change_views() {
  rescue_stranded();  // first: the stranded member may be the one whose report a change waits for
  if (change.running) {
    drive_change();
    return;
  }
  // V1: preconditions as C7.
  if (commit < first_own_entry || log.last_view().index > applied || handover.on) return;
  if (!change_wanted()) return;
  start_change();
  drive_change();
}

void core::impl::start_change() {
  const auto dead = std::move(change.dead_sources);
  change = {};
  change.dead_sources = dead;
  change.running = true;
  change.attempt = ++attempts;
  change.started = now;
  tell_absent();
  if (my_slot != no_slot) wedge_self(promises.term, change.attempt);
  report own;
  own.term = promises.term;
  own.attempt = change.attempt;
  own.view = in_force->number;
  own.inc = promises.inc;
  report_front(own);
  change.reports[start.self] = own;
  change.wedge_sent = now;
  send_all(wedge{promises.term, change.attempt, in_force->number});
}

void core::impl::receive_report(voter_id from, const report& r) {
  if (role != core_role::leader || !change.running || change.proposed) return;
  if (r.term != promises.term || r.attempt != change.attempt || r.view != in_force->number) return;  // I19
  if (std::ranges::find(change.dead_sources, from) != change.dead_sources.end()) return;
  const auto* entry = find(*in_force, from);
  if (!entry) return;
  const bool holder = entry->active && entry->inc == r.inc && !r.no_state;
  if (r.front.size() != (holder || !r.front.empty() ? lane_count(*in_force) : 0)) return;
  for (const auto& x : r.extras)
    if (x.slot >= r.front.size() || x.seq > r.front[x.slot] + lane_ahead_max) return;
  change.reports[from] = r;
}

void core::impl::drive_change() {
  if (change.proposed) return;
  if (now - change.wedge_sent >= options.heartbeat) {
    change.wedge_sent = now;
    send_all(wedge{promises.term, change.attempt, in_force->number});
  }
  // V6: all active members, after T_wedge without the silent; a quorum of the voters in any case.
  const auto reported = [&](const roster_entry& r) {
    const auto it = change.reports.find(r.id);
    return it != change.reports.end() && it->second.inc == r.inc;
  };
  bool all = true;
  for (const auto& r : in_force->roster)
    if (r.active && !reported(r) && !silent(r) &&
        std::ranges::find(change.dead_sources, r.id) == change.dead_sources.end())
      all = false;
  if (!all && now - change.started < options.wedge_wait) return;
  std::size_t voters = 0;
  for (const auto& r : in_force->roster)
    if (r.voter && change.reports.contains(r.id)) ++voters;
  if (voters < quorum_size(*in_force) && !mutated(mutation::final_cut_without_quorum)) return;

  // V7: everything that any reporter may have acked, and all that is ordered already.
  frontier want = log.cut_behind(log.last());
  if (!mutated(mutation::final_cut_of_leader_only))
    for (const auto& [id, r] : change.reports) raise(want, r.front);
  raise(want, my_slot == no_slot ? frontier{} : wedged.front);
  std::vector<extra> extras;
  for (const auto& [id, r] : change.reports)
    for (const auto& x : r.extras)
      if (x.seq > at(want, x.slot)) extras.push_back(x);
  std::ranges::sort(extras);
  extras.erase(std::ranges::unique(extras).begin(), extras.end());
  const auto held = lanes.held(in_force->number);
  if (!covers(held, want) || !holds(extras, in_force->number)) {
    const bool moved = held != change.pull_held;
    if (change.pull_started == never || moved) change.pull_started = now;
    change.pull_held = held;
    if (now - change.pull_started > options.pull_wait) {
      // The only holders stopped answering: a new attempt does without them (V7), unless that leaves no quorum.
      for (const auto& [id, r] : change.reports)
        if (id != start.self && (!covers(held, r.front) || !holds(r.extras, in_force->number))) change.dead_sources.push_back(id);
      std::size_t left = 0;
      for (const auto& r : in_force->roster)
        if (r.voter && change.reports.contains(r.id) &&
            std::ranges::find(change.dead_sources, r.id) == change.dead_sources.end())
          ++left;
      if (left < quorum_size(*in_force)) change.dead_sources.clear();
      start_change();
      return;
    }
    // Asked again at once when an answer came (it is bounded), else after two heartbeats.
    if (!moved && now - change.pull_sent < 2 * options.heartbeat) return;
    change.pull_sent = now;
    for (slot s = 0; s < want.size(); ++s) {
      if (at(held, s) >= want[s]) continue;
      for (const auto& [id, r] : change.reports)
        if (id != start.self && at(r.front, s) > at(held, s)) {
          const auto& l = *lanes.find(in_force->number, s);
          send(id.member, pull{in_force->number, s, at(held, s) + 1, std::min(at(r.front, s), want[s]), l.owner.member, l.inc, l.kind});
        }
    }
    for (const auto& [id, r] : change.reports)
      if (id != start.self) pull_extras(r.extras, in_force->number, id.member);
    return;
  }
  propose_view(want, extras);
}

/// V9, V11: who is in the next view, given the reports of this attempt (or, before one, everybody who is not silent).
view_ptr core::impl::next_view(bool with_promotions, bool with_requests) const {
  auto next = std::make_shared<view>();
  next->number = in_force->number + 1;
  next->burnt = in_force->burnt;
  next->options = in_force->options;
  next->kinds = in_force->kinds;
  next->barred = in_force->barred;
  next->largest_message = in_force->largest_message;
  if (with_requests) apply_requests(*next);
  const auto note = [&](voter_id id, view_cause cause) { next->notes.push_back({id, cause}); };
  const auto wants_in = [&](voter_id id) -> incarnation {
    if (is_barred(*next, id.member)) return 0;
    if (id == start.self) return leaving ? 0 : my_slot == no_slot ? promises.inc : 0;
    const auto* p = known_peer(id);
    if (!p || !admissible(*p)) return 0;
    return p->join_inc > burnt(*in_force, id.member) || mutated(mutation::burnt_readmitted) ? p->join_inc : 0;
  };
  std::size_t voters = voter_count(*in_force);
  for (roster_entry r : in_force->roster) {
    if (with_requests && goes(r)) {
      const bool removed = is_barred(*next, r.id.member);
      note(r.id, removed ? view_cause::removed : view_cause::left);
      voters -= r.voter;
      continue;
    }
    if (r.witness) {
      next->roster.push_back(r);  // it is never active: there is nothing to take from it
      continue;
    }
    bool here = r.active;
    bool excluded = false;
    if (change.running && r.active) {
      const auto it = change.reports.find(r.id);
      here = (it != change.reports.end() && it->second.inc == r.inc) || mutated(mutation::silent_stays_active);
      const auto* p = known_peer(r.id);
      if (p && p->inc > r.inc) here = false;
      if (p && (stuck(r, *p) || unservable(*p) || learns_too_slowly(r))) {
        here = false;
        excluded = true;
      }
      if (p && vouched(*p)) excluded = true;  // it lives; it is the link that does not
    }
    if (r.active && !here) note(r.id, excluded ? view_cause::excluded : view_cause::failed);
    r.active = here;
    if (!here)
      if (const incarnation inc = wants_in(r.id); inc > r.inc) {
        note(r.id, !r.voter ? view_cause::joined : r.inc == 0 ? view_cause::founded : view_cause::recovered);
        r.active = true;
        r.inc = inc;
      }
    if (!r.active && !r.voter) continue;
    // V16: who failed leaves the quorum base, too, as long as enough voters stay. It comes back as a learner.
    if (!r.active && options.shrink && voters > options.min_voters) {
      --voters;
      note(r.id, view_cause::shrunk);
      continue;
    }
    next->roster.push_back(r);
  }
  for (const auto& p : peers) {
    if (find(*in_force, p.id) || p.id.member == self()) continue;
    if (const incarnation inc = wants_in(p.id)) {
      const bool witness = std::ranges::binary_search(start.witnesses, p.id.member);
      next->roster.push_back({p.id, inc, false, !witness, witness});
      note(p.id, view_cause::joined);
    }
  }
  if (my_slot == no_slot && !find(*in_force, start.self) && wants_in(start.self) != 0) next->roster.push_back({start.self, promises.inc, false, true});
  if (with_promotions) {
    const bool voter_away = std::ranges::any_of(next->roster, [](const auto& r) { return r.voter && !r.active; });
    const auto before = next->roster;
    for (const auto& r : before) {
      if (r.voter || (!r.active && !r.witness) || !caught_up(r)) continue;
      const auto* old = find_voter(*next, r.id.member);
      if (old && old->active) continue;
      auto promoted = next->roster;
      std::erase_if(promoted, [&](const auto& e) { return e.voter && e.id.member == r.id.member; });
      for (auto& e : promoted)
        if (e.id == r.id) e.voter = true;
      // V10, second part: with another voter away the new quorum must exist without the newcomer.
      const auto replaced_only_away = old && std::ranges::count_if(next->roster, [](const auto& e) { return e.voter && !e.active; }) == 1;
      if (voter_away && !replaced_only_away) {
        view trial{0, promoted, {}, {}};
        std::size_t without = 0;
        for (const auto& e : promoted)
          if (e.voter && e.active && e.id != r.id) ++without;
        if (without < quorum_size(trial)) continue;
      }
      if (old) note(old->id, view_cause::replaced);
      next->roster = std::move(promoted);
      note(r.id, view_cause::promoted);
    }
  }
  std::ranges::sort(next->roster, {}, &roster_entry::id);
  for (const auto& r : next->roster) {
    if (!r.active && !r.witness) continue;
    const auto it = std::ranges::find(next->burnt, r.id.member, &burnt_entry::member);
    if (it == next->burnt.end())
      next->burnt.push_back({r.id.member, r.inc});
    else
      it->inc = std::max(it->inc, r.inc);
  }
  std::ranges::sort(next->burnt, {}, &burnt_entry::member);
  const auto came = [&](const roster_entry& r) { return r.active && slot_of(*in_force, r.id, r.inc) == no_slot; };
  next->admitted = std::ranges::any_of(next->roster, came) ? next->number : in_force->admitted;
  return next;
}

/// V10: the reporters must contain a quorum of the new voters, else the VIEW could never be committed.
bool core::impl::feasible(const view& next) const {
  std::size_t reporters = 0;
  for (const auto& r : next.roster)
    if (r.voter && change.reports.contains(r.id)) ++reporters;
  // Requests that are sound one by one may not be so together.
  const bool enough = voter_count(next) > 0 && data_voter_count(next) >= next.options.min_copies;
  return enough && reporters >= quorum_size(next);
}

void core::impl::propose_view(const frontier& want, const std::vector<extra>& extras) {
  // V10: what would make it infeasible is left out.
  auto next = next_view(true, true);
  if (!feasible(*next) && !mutated(mutation::infeasible_view)) next = next_view(false, true);
  if (!feasible(*next) && !mutated(mutation::infeasible_view)) next = next_view(false, false);
  if (!feasible(*next) && !mutated(mutation::infeasible_view)) return;
  // V8: a causal batch whose past is lost was delivered by nobody.
  append_own(entry_kind::view, closed_frontier(log.cut_behind(log.last()), want), next, extras);
  change.proposed = true;
}

// ---- installation ---------------------------------------------------------------------------------------------------

/// What this member sealed in its lane of that kind and has not delivered is delivered nowhere any more.
void core::impl::lose_own(deliver_view& told, lane_kind k) {
  for (std::size_t c = 0; c < order_count; ++c) {
    if (kind_of(static_cast<order>(c)) != k) continue;
    if (!mutated(mutation::lost_not_told)) told.lost_messages[c] += undelivered(static_cast<order>(c));
    own_undelivered[c].clear();
  }
}

/// What waits to be sealed in an order that the group does not take any more is lost (X1).
void core::impl::drop_disabled(deliver_view& told) {
  for (auto& queue : open)
    std::erase_if(queue, [&](const std::shared_ptr<open_batch>& b) {
      if (in_force->options.orders.has(b->cls)) return false;
      told.lost_messages[static_cast<std::size_t>(b->cls)] += b->sizes.size();
      open_bytes -= b->blob.size() + b->sizes.size() * sizeof(std::uint32_t);
      return true;
    });
}

/// This member is out of the view under its incarnation; it goes on as a new one. What was taken and never sent is lost.
void core::impl::excluded(deliver_view& told) {
  if (!leaving) notify(event_kind::excluded, self(), in_force->number);
  for (auto& queue : open) {
    for (const auto& b : queue) told.lost_messages[static_cast<std::size_t>(b->cls)] += b->sizes.size();
    queue.clear();
  }
  open_bytes = 0;
  if (!leaving) take_incarnation(0);
}

/// Lanes that ended with a view up to `upto` held nothing beyond their final cut that was ever delivered (L8 b).
void core::impl::seal_ended_lanes(log_index upto) {
  for (const auto& v : log.views()) {
    if (v.index <= log.base().index || v.index > upto) continue;
    const auto* ended = lanes.table_of(log.view_at(v.index - 1)->number);
    for (slot s = 0; s < ended->lanes.size() && !is_witness(); ++s) {
      auto& l = *ended->lanes[s];
      if (slot_of(*v.what, l.owner, l.inc, l.kind) == no_slot) seal_lane(l, s, log.at(v.index));
    }
  }
}

/// V13, L8: batches above the final cut of a lane that ends were delivered by nobody who stays; they are void, but for
/// the extras of the entry.
void core::impl::seal_lane(lane& l, slot s, const entry& e) {
  std::vector<sequence> extras;
  for (const auto& x : e.extras)
    if (x.slot == s && !mutated(mutation::extras_dropped)) extras.push_back(x.seq);
  l.seal(at(e.cut, s), extras);
}

void core::impl::install(const entry& e) {
  const view_ptr next = e.next;
  const log_index index = e.index;
  const view_ptr before = in_force;
  COHORT_INVARIANT(next->number == before->number + 1, next->number, before->number);
  const auto* ended = lanes.table_of(before->number);
  deliver_view d;
  d.index = index;
  d.time = applied_time;
  d.what = next;
  for (slot s = 0; s < ended->lanes.size() && !is_witness(); ++s) {
    auto& l = *ended->lanes[s];
    if (slot_of(*next, l.owner, l.inc, l.kind) != no_slot) continue;
    if (!mutated(mutation::sealed_lane_not_capped)) seal_lane(l, s, e);
    if (l.owner == start.self && l.inc == own_inc) lose_own(d, l.kind);
  }
  if (mutated(mutation::install_drops_later_lanes)) {
    for (const auto& v : log.views())
      if (v.what->number > next->number)
        for (const auto& l : lanes.table_of(v.what->number)->lanes)
          if (slot_of(*next, l->owner, l->inc, l->kind) == no_slot) l->seal(l->trimmed());
  }
  remember_ended(e, *before);
  const bool was_active = my_slot != no_slot;
  if (was_active && slot_of(*next, start.self, promises.inc) != no_slot)
    for (const auto& r : next->roster)
      if (r.active && (slot_of(*before, r.id, r.inc) != no_slot || (mutated(mutation::together_by_name) && find(*before, r.id))))
        d.together.push_back(r.id.member);
  in_force = next;
  view_since = now;
  note_away();
  adopt_options();
  note_departures(*before, *next);
  view_index = index;
  applied_cut = carry_over(*before, e.cut, *next);
  begin_view_delivery();
  view_floor = applied_cut;
  if (wedged.on) {
    wedged.on = false;
    notify(event_kind::wedged, leader, next->number, false);
  }
  promises.view_commit = index;  // PA4
  save_state();
  view_position = state_position;
  if (tells_views_at_once()) durable_view = next->number;
  change = {};
  place_self();
  honour_blank_report();
  d.member = my_slot != no_slot;
  for (const auto& r : before->roster)
    if (!find(*next, r.id)) let_go.push_back({r, next->number, now + options.fail_after});
  std::erase_if(let_go, [&](const departed_member& m) { return now >= m.until || find(*next, m.who.id); });
  drop_disabled(d);
  if (was_active && my_slot == no_slot) {
    excluded(d);
    join_sent = instant{};
  }
  out.deliveries.emplace_back(std::move(d));
  ack_due = true;
  for (auto& p : peers) {
    p.lane_progress = now;
    p.lease_echo = instant{};
    if (p.join_inc != 0 && p.join_inc <= burnt(*next, p.id.member)) p.join_inc = 0;
  }
  if (role == core_role::leader) {
    const auto* r = find(*next, start.self);
    settle_requests();
    if (!r || !r->voter) step_down();  // V14
  }
}

}  // namespace cohort::protocol
