// Which messages are delivered when, inside a component's view and at its end (section 5, rules P2, P5).
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {
namespace {

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ (hash >> 29) ^ value) * 0xbf58476d1ce4e5b9ull;
  return hash ^ (hash >> 32);
}

bool safe_at(const limits& l, const batch& b) {
  if (!l.stable || mistaken(mistake::safe_at_receipt)) return true;
  if (b.seq > at(*l.stable, b.slot)) return false;
  return covers(*l.stable, b.deps) || mistaken(mistake::safe_without_past);  // O2
}

}  // namespace

/// DL1. What orders messages here is the time at which they were sealed, so that decides, alike at all members of all
/// components. Nothing later could: another component may have delivered it in time.
bool core::impl::is_expired(const batch& b) const {
  if (b.cls != order::total || b.deadline == wall_time{} || mistaken(mistake::expired_delivered)) return false;
  return (mistaken(mistake::expiry_by_own_clock) ? wall : time_of(b.stamp)) > b.deadline;
}

void core::impl::hand_up(const batch& b, std::uint64_t position) {
  const bool own = b.owner == self.member && b.inc == self.inc && b.view > resumed;
  const bool late = b.deadline != wall_time{} && wall > b.deadline;
  if (is_expired(b) || (late && b.cls == order::unordered)) {  // DL1, DL2
    results.deliveries.push_back(deliver_void{void_cause::expired, b.owner, b.inc, b.seq, own, b.what, b.cls, b.part});
    return;
  }
  deliver_batch d;
  d.time = time_of(b.stamp);
  d.view = b.view;
  d.sender = b.owner;
  d.inc = b.inc;
  d.seq = b.seq;
  d.position = position;
  d.own = own;
  d.what = b.what;
  d.cls = b.cls;
  d.deadline = b.deadline;
  d.part = b.part;
  d.late = late;
  d.stable = is_safe(b.cls) || b.seq <= at(stable, b.slot);
  results.deliveries.push_back(std::move(d));
}

/// The table of section 5, with all members of the view as those who must hold what is safe (P2).
bool core::impl::pass_some(const limits& l) {
  bool moved = false;
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    const auto& lane = *lanes[s];
    if (kind_at(s) == lane_kind::plain)
      for (auto& seq = unordered_passed[s]; seq < lane.held();) {
        const auto* b = lane.find(++seq);
        if (b && b->cls == order::unordered) hand_up(*b, 0);
      }
    while (passed[s] < lane.held()) {
      const auto& b = *lane.find(passed[s] + 1);
      const bool causal = kind_at(s) == lane_kind::causal;
      if (causal && !covers(passed, b.deps) && !mistaken(mistake::causality_ignored)) break;
      if ((b.cls == order::causal || b.cls == order::safe_causal) && b.tdep > totals_delivered &&
          !mistaken(mistake::tdep_ignored))
        break;
      if ((b.cls == order::safe_fifo || b.cls == order::safe_causal) && !safe_at(l, b)) break;
      if (b.cls != order::unordered && b.cls != order::total) hand_up(b, 0);
      ++passed[s];
      moved = true;
    }
  }
  return moved;
}

bool core::impl::total_may_come(std::uint64_t stamp) const {
  for (std::size_t r = 0; r < members.size(); ++r)
    if (r != rank && members[r].clock < stamp) return true;
  return false;
}

bool core::impl::deliver_total(const limits& l) {
  const batch* next = nullptr;
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    if (totals[s].empty()) continue;
    const auto* b = lanes[s]->find(totals[s].front());
    if (l.closed_only && b->seq > passed[s]) continue;  // V8: its past is held by nobody who is left
    if (!next || std::pair(b->stamp, b->slot) < std::pair(next->stamp, next->slot)) next = b;
  }
  if (!next || next->seq > passed[next->slot] || !safe_at(l, *next)) return false;
  if (!l.complete && total_may_come(next->stamp) && !mistaken(mistake::total_without_clocks)) return false;
  totals[next->slot].pop_front();
  ++totals_delivered;
  for (const auto x : {next->view, std::uint64_t{next->slot}, next->seq}) digest = mixed(digest, x);
  hand_up(*next, delivered + 1);
  if (!is_expired(*next)) delivered += next->messages();
  return true;
}

void core::impl::deliver(const limits& l) {
  while (pass_some(l) || deliver_total(l)) {
  }
}

void core::impl::answer_reads() {
  while (!reads.empty()) {
    for (std::size_t s = 0; s < lanes.size(); ++s)
      if (!totals[s].empty() && lanes[s]->find(totals[s].front())->stamp <= reads.front().second) return;
    if (!open_for_messages) return;
    results.deliveries.push_back(deliver_read{reads.front().first, false, 0});
    reads.pop_front();
  }
}

}  // namespace cohort::protocol::partition
