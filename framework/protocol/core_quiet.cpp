// Quiet groups: with nothing to do, a group lives on the heartbeats of its nodes (rules Q1 to Q9).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>
#include <utility>

namespace cohort::protocol {

/// Q4, Q5: a peer's node vouches for it, in the term that we are in. Taken before anything else in a pass.
void core::impl::contact(member_id member, const node_contact& c) {
  if (!has_state) return;
  if (c.awake > awake_since) stood_still();
  const auto p = std::ranges::find_if(peers, [&](const peer& q) { return q.id.member == member && q.linked; });
  if (p == peers.end()) return;
  const auto before = std::exchange(p->node, c);
  p->heard_at = std::max(p->heard_at, c.heard);
  if (role != core_role::leader && c.heard > before.heard) attend(*p, c.heard);
  // Q8: what is owed from this pass on has not been owed while nobody looked.
  if (my_slot != no_slot && !lacks_ours(*p)) p->lane_progress = now;
  if (p->match_term == promises.term && p->match >= commit && !mutated(mutation::quiet_looks_stuck)) p->match_progress = now;
  if (c.kind == vouch_kind::none || (c.term != promises.term && !mutated(mutation::pulse_of_any_term))) return;
  if (role == core_role::leader) {
    if (c.kind != vouch_kind::follows) return;
    if (c.echo > before.echo) attend(*p, c.heard);
    p->echo = std::max(p->echo, std::min(c.echo, stamp));
    if (p->view >= in_force->number) p->lease_echo = std::max(p->lease_echo, std::min(c.echo, stamp));
    return;
  }
  // As an APPEND of that time would have been (E5, E7); it never names a leader that we do not know.
  if (c.kind != vouch_kind::leads || leader_id != p->id || c.heard <= leader_contact || mutated(mutation::pulse_not_heard)) return;
  role = core_role::follower;
  leader_contact = c.heard;
  election_at = std::max(c.heard, awake_since) + random.between(options.election_min, 2 * options.election_min);
  if (now - c.heard < options.election_max) set_primary(true);
}

/// A pulse is evidence of life like an answer (V20). While the group was quiet nobody looked, so that time says nothing of
/// the rhythm: the silence just ends with the pulse.
void core::impl::attend(peer& p, instant at) {
  if (resting || unattended > options.heartbeat)
    p.rhythm.restart(std::max(at, p.rhythm.last_heard()));
  else
    alive(p, at);
}

/// Q2: what our node may say of us. The term is on disk before its first word. A leader has it told to those whom it
/// sends its log: who is in no view any more must notice that, and join.
vouch core::impl::own_vouch() {
  vouch v;
  const auto bit = [](member_id m) { return to_index(m) < vouch_members_max ? std::uint64_t{1} << to_index(m) : 0; };
  if (has_state && role == core_role::leader) {
    v = {vouch_kind::leads, promises.term, 0};
    for (const auto& p : peers) {
      if (!p.linked) continue;
      bool fed = find(*in_force, p.id) || mutated(mutation::pulse_to_strangers);
      for (auto known = log.views().rbegin(); !fed && known != log.views().rend() && known->index > applied; ++known)
        fed = find(*known->what, p.id);
      if (fed) v.to |= bit(p.id.member);
    }
  } else if (has_state && leader != no_member) {
    v = {vouch_kind::follows, promises.term, bit(leader)};
  }
  const bool new_word = v.kind != last_vouch.kind || v.term != last_vouch.term;
  if (new_word && !on_disk(state_position)) v = {};
  last_vouch = v;
  return v;
}

/// A peer whose node says `kind` for it in our term, and is heard.
bool core::impl::vouched_by(const peer& p, vouch_kind kind) const {
  return p.linked && p.node.live && p.node.kind == kind && p.node.term == promises.term;
}

/// Q9: how often a leader's heartbeat is due. Where pulses are the heartbeats, an APPEND only repeats what got lost (L7).
duration core::impl::beat(const peer& p) const {
  return vouched_by(p, vouch_kind::follows) ? 4 * options.heartbeat : options.heartbeat;
}

/// Q9: what was sent since its acks last moved may still be under way: no pulse that left behind it has been echoed.
bool core::impl::may_be_slow(const peer& p) const {
  return p.node.heard != instant::min() && p.node.echo <= p.lane_progress && !mutated(mutation::slow_looks_lost);
}

/// Q7: nothing is under way anywhere, as far as a leader can see.
bool core::impl::settled() const {
  if (change.running || wedged.on || handover.on || heartbeat_due || my_slot == no_slot) return false;
  if (commit < first_own_entry || commit != log.last() || applied != commit) return false;
  if (!nothing_open() || !all_delivered() || !unwritten.empty()) return false;
  if (!reads.none()) return false;
  if (lanes.held(in_force->number) != applied_cut) return false;
  if (!asked_changes.empty() || !wanted_changes.empty()) return false;
  if (std::ranges::any_of(peers, [&](const peer& p) { return waits_for_admission(p); })) return false;
  for (const auto& d : let_go)  // they are told that they are out
    if (const auto* p = known_peer(d.who.id); now < d.until && !(p && p->view >= d.without)) return false;
  std::vector<voter_id> present{start.self};
  for (const auto& r : in_force->roster) {
    if (r.id == start.self) continue;
    const auto* p = known_peer(r.id);
    if (!r.active) {
      if (p && p->linked && !superseded(*p)) return false;  // it is being fed, to come back
      continue;
    }
    if (!p || !r.voter || superseded(*p) || !vouched_by(*p, vouch_kind::follows)) return false;
    if (p->suspected_since != never || p->probing || p->no_state || p->inc != r.inc || p->view != in_force->number ||
        p->reset_at != never || p->refused_our_clock)
      return false;
    if (p->match_term != promises.term || p->match != log.last() || p->applied != applied) return false;
    present.push_back(p->id);
  }
  return is_quorum(present);
}

/// Q7: a leader rests once every active member has echoed a heartbeat which told it that all have applied everything.
bool core::impl::leader_rests() {
  if (!settled()) {
    settled_since = never;
    return false;
  }
  if (settled_since == never) settled_since = stamp;
  return std::ranges::all_of(in_force->roster, [&](const roster_entry& r) {
    return r.id == start.self || !r.active || known_peer(r.id)->told >= settled_since;
  });
}

/// Q6: who is vouched for by its leader's node needs no clock of its own for that; what it waits for besides has one.
bool core::impl::follower_rests() const {
  if (role != core_role::follower || leader == no_member || !primary) return false;
  const auto* p = known_peer(leader_id);
  return p && vouched_by(*p, vouch_kind::leads);
}

}  // namespace cohort::protocol
