// Acknowledgements: what they tell, who is told, and what waits for them (D8, C3, C4, L8, FC1).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>
#include <utility>

namespace cohort::protocol {

void core::impl::receive_ack(voter_id from, const ack& a) {
  auto& p = peer_of(from);
  p.heard = true;
  if (a.term > promises.term) adopt_term(a.term);
  if (a.inc > p.inc) {  // PA11: a new life; what its former lane ack said is void
    p.inc = a.inc;
    p.applied = 0;
    p.view = 0;
    p.have.clear();
    p.served_from = {};
  }
  if (a.inc == p.inc) {
    if (p.no_state && !a.no_state) p.append_sent = instant{};  // it has its state: what follows does not wait for a beat (Q9)
    p.no_state = a.no_state;
    p.base = a.base;
    p.applied = std::max(p.applied, a.applied);
    if (a.view > p.view) {
      p.view = a.view;
      p.have = a.have;
      if (my_slot != no_slot && p.view == in_force->number && lacks_ours(p)) resend_due = std::min(resend_due, p.lane_progress + 4 * options.heartbeat);
    } else if (a.view == p.view) {
      for (slot s = my_slot; s < own_slots_end(); ++s)
        if (at(a.have, s) > at(p.have, s)) p.lane_progress = now;
      raise(p.have, a.have);
    }
  }
  if (a.match_term > p.match_term || (a.match_term == p.match_term && (a.match > p.match || a.match >= commit)))
    p.match_progress = now;
  if (a.match_term > p.match_term) {
    p.match_term = a.match_term;
    p.match = a.match;
  } else if (a.match_term == p.match_term) {
    p.match = std::max(p.match, a.match);
  }
  if (role != core_role::leader || a.term != promises.term) return;
  if (a.echo_time > p.echo) p.echo = mutated(mutation::lease_from_receipt) ? stamp : std::min(a.echo_time, stamp);
  if (a.view >= in_force->number) p.lease_echo = std::max(p.lease_echo, mutated(mutation::lease_from_receipt) ? stamp : std::min(a.echo_time, stamp));
  if (a.echo_time > p.told) {
    p.told = std::min(a.echo_time, stamp);
    alive(p, now);
  }
  if (p.reset_at != never && a.echo_time > p.reset_at) p.reset_at = never;
  p.refused_our_clock = a.clock_ahead;
  if (a.clock_ahead) {
    std::vector<voter_id> content{start.self};
    for (const auto& other : peers)
      if (!other.refused_our_clock) content.push_back(other.id);
    if (!is_quorum(content)) {
      notify(event_kind::clock_ahead, self());
      stand_not_before = now + 10 * options.election_max;
      step_down();
      return;
    }
  }
  if (a.match_term == promises.term && a.match + 1 >= p.next) {
    p.next = a.match + 1;
    p.probing = false;
  } else if (a.match_term == promises.term && !a.reject && p.probing && a.match + 1 > log.base().index) {
    // Agreement up to `match` is proven, although entries behind it may still wait for payload or disk.
    p.next = std::max(p.next, a.match + 1);
    p.probing = false;
  }
  // Messages that overtook each other are rejected in bursts. Only the answer to the newest probe counts, and no more
  // than one in a quarter heartbeat; what is lost by that is repeated, for every heartbeat is rejected again.
  if (a.reject && !a.no_state) p.match_below = a.hint;
  if (a.reject && !a.no_state && a.refused_prev < p.next && (!p.probing || a.refused_prev + 1 == p.next) &&
      now - p.went_back >= options.heartbeat / 4) {
    p.went_back = now;
    const log_index back = std::min(a.hint + 1, a.refused_prev);
    if (back < p.next) {
      p.next = std::max<log_index>(back, 1);
      p.probing = true;
      p.append_sent = instant{};
    }
  }
}

/// To everybody: each member counts the acks itself and so delivers a hop before the leader could tell it (C4); owners of
/// lanes open their windows by them (FC1).
void core::impl::send_ack() {
  if (!ack_due) return;
  ack_due = false;
  ack a;
  a.term = promises.term;
  a.inc = promises.inc;
  a.echo_time = echo_time;
  a.clock_ahead = clock_refused;
  clock_refused = false;
  const journal_position needs = on_disk(state_position) ? 0 : state_position;
  if (!has_state) {
    a.no_state = true;
    send(leader, std::move(a), needs);
    return;
  }
  a.match_term = match_term;
  a.match = durable_match();
  a.applied = applied;
  a.base = log.base().index;
  // D9: an installed view is told when its knowledge is on disk (PA4); frontiers are in its slots.
  a.view = durable_view;
  if (a.view == in_force->number && !is_witness()) a.have = acked_frontier();
  a.reject = reject_due;
  a.refused_prev = reject_prev;
  a.hint = reject_hint;
  reject_due = false;
  auto to = concerned(a);
  // The leader may have become a member in a view that is not in our log yet.
  if (leader != no_member && leader != self() && std::ranges::find(to, leader) == to.end()) to.push_back(leader);
  if (to.empty()) return;
  send_to(to, std::move(a), needs);
}

bool core::impl::takes_safe_orders() const {
  return in_force->options.orders.has(order::safe_fifo) || in_force->options.orders.has(order::safe_causal);
}

/// C4: in a small group everybody counts everybody's acknowledgements of entries, and so knows what is committed a hop before the
/// leader could say so. That grows with the square of the members: in a large one they go to the leader, which tells the commit
/// index. Stability (D8), which safe orders wait for, is everybody's own reckoning in any group.
bool core::impl::everybody_counts() const {
  count_roster();
  return roster_memory.small;
}

void core::impl::count_roster() const {
  constexpr std::ptrdiff_t small_group = 7;
  auto& known = roster_memory;
  if (known.counted == in_force) return;
  const auto count = std::ranges::count_if(in_force->roster, [](const roster_entry& r) { return r.active || r.voter; });
  known.small = takes_safe_orders() || count <= small_group;
  known.learners = std::ranges::any_of(in_force->roster, is_learner);
  known.counted = in_force;
}

/// C4 in the smallest of groups: an entry is committed once its leader and one other hold it, so of the others' acknowledgements a
/// follower needs the leader's alone. Where a promise waits for disks, another one may be faster than the leader's.
bool core::impl::leader_and_one_decide() const {
  return !options.durable && quorum_size(*in_force) <= 2 && in_force->options.min_copies <= 2 && log.last_view().index <= applied;
}

/// L8: that more of a lane is held concerns its owner, and the leader, which closes cuts by it. Others need it for their windows and
/// rhythms, about once a heartbeat (E_min / 2 in a large group); where the nodes' own heartbeats tell the rhythm, as seldom as
/// those of the leader come (Q9).
std::vector<member_id> core::impl::concerned(const ack& a) {
  const auto* led_by = role == core_role::leader ? nullptr : known_peer(leader_id);
  const auto often = !everybody_counts() ? options.election_min / 2
                     : led_by && vouched_by(*led_by, vouch_kind::leads) ? 2 * options.heartbeat
                                                                        : options.heartbeat / 2;
  const bool counted = everybody_counts() && (role == core_role::leader || !leader_and_one_decide());
  const bool entries = (a.match_term != told_match_term || a.match > told_match) && counted;
  const bool all = std::exchange(all_acked_due, false) || takes_safe_orders() || entries || leader == no_member || a.view != in_force->number ||
                   all_acked_view != a.view || now - all_acked >= often;
  if (all) {
    all_acked = now;
    all_acked_view = a.view;
    told_match_term = a.match_term;
    told_match = a.match;
    told_front = a.have;
    return roster_members();
  }
  std::vector<member_id> owners;
  for (slot s = 0; s < a.have.size(); ++s)
    if (a.have[s] > at(told_front, s)) {
      const auto owner = lanes.find(in_force->number, s)->owner.member;
      if (owner != self() && owner != leader && (owners.empty() || owners.back() != owner)) owners.push_back(owner);
    }
  told_front = a.have;
  return owners;
}

/// Whether what `a` told can set anything going. If not, the next pass is early enough, whatever brings it: all that is kept from
/// an ack counts from when it came. Most acks find everything committed, applied and sent already.
bool core::impl::calls_for_pass(voter_id from, const ack& a) const {
  if (!has_state || my_slot == no_slot || leader == no_member || !out.events.empty()) return true;
  if (a.term != promises.term || a.view != in_force->number || a.no_state || a.reject || a.clock_ahead) return true;
  const auto* r = find(*in_force, from);
  const auto* p = known_peer(from);
  if (!r || !r->active || !p || p->inc != r->inc || superseded(*p)) return true;  // who comes, and who goes
  if (commit != log.last() || applied != commit || !offered.empty() || log.last_view().index > applied) return true;
  if (!nothing_open() || told_busy || told_part_waits || takes_safe_orders()) return true;  // N3, FC1, D8
  if (change.running || wedged.on || handover.on || incoming.running || leaving) return true;
  if (!asked_changes.empty() || !wanted_changes.empty() || !let_go.empty()) return true;
  if (!reads.none()) return true;
  if (role != core_role::leader) return role != core_role::follower;
  if (p->probing || p->next <= log.last() || (commit > told_commit && !everybody_counts())) return true;
  return std::ranges::any_of(in_force->roster, &roster_entry::witness) || std::ranges::any_of(peers, [&](const peer& q) { return waits_for_admission(q); });  // W3, S7
}

}  // namespace cohort::protocol
