// Incarnations, asking to join, and what the leader makes of it (S7, S8, V11, V23).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

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

}  // namespace cohort::protocol
