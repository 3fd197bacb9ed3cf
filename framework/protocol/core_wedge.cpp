// What a member promises while a view changes, and reports: where it stands still (V3 to V5).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>
#include <utility>

namespace cohort::protocol {

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

}  // namespace cohort::protocol
