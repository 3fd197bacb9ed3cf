// A leader changes the view: when, with whose reports, and what they leave of the old one (V1, V2, V6 to V8).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>
#include <utility>

namespace cohort::protocol {

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

}  // namespace cohort::protocol
