// What a member that joins costs the others: its state is given at a pace (S9), and who sends makes room when it catches up (FC5).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

namespace {

/// A sender keeps so much of what it sent before the learner came, or of what the learner takes if that is more: the learner, which
/// then takes more than is sent, comes closer, and the group loses a fifth of its throughput at most.
constexpr std::uint64_t kept_of_ten = 8;
/// What was not sent in so long a time is not made up for. Passes come every millisecond at best.
constexpr duration burst = std::chrono::milliseconds(10);

constexpr std::int64_t chunk_bytes = 256 * 1024;  // S1

/// Bytes that are due in that time, `burst` at most.
std::int64_t due(std::uint64_t per_second, duration d) {
  const auto microseconds = static_cast<std::uint64_t>(std::min(d, burst) / std::chrono::microseconds(1));
  return static_cast<std::int64_t>(per_second / 1000 * microseconds / 1000);
}

}  // namespace

/// S9: beside a group at work half of what that delivers, so that what is left to catch up with has a bound: twice the state.
void core::impl::give_chunks() {
  if (wanted_chunks.empty()) return;
  const bool at_work = delivered_rate.any(now) && !mutated(mutation::chunks_given_at_once);
  const auto rate = giving_rate();
  giving.room = std::min(giving.room + due(rate, now - giving.filled), std::max(due(rate, burst), chunk_bytes));
  giving.filled = now;
  for (; !wanted_chunks.empty() && (giving.room > 0 || !at_work); wanted_chunks.pop_front()) {
    const auto& w = wanted_chunks.front();
    notify(event_kind::chunk_wanted, w.by, w.number, false, w.index);
    giving.room = at_work ? giving.room - chunk_bytes : 0;
  }
}

/// What it has not applied of our lanes, wherever they were in the view that it has come to.
std::size_t core::impl::own_bytes_behind(const peer& p) const {
  const auto upto = std::clamp(p.applied, log.base().index, log.last());
  const auto& v = *log.view_at(upto);
  const auto cut = log.cut_behind(upto);
  std::size_t bytes = 0;
  for (slot s = my_slot; s < own_slots_end(); ++s) {
    const auto& l = *lanes.find(in_force->number, s);
    const slot then = slot_of_lane(v, l.name());
    bytes += l.bytes_above(then == no_slot ? 0 : at(cut, then));
  }
  return bytes;
}

void core::impl::keep_pace() {
  count_roster();
  if (!pace.on && !roster_memory.learners) return;
  bool learners = false, fed = false;
  std::size_t behind = 0;
  if (my_slot != no_slot)
    for (const auto& r : in_force->roster) {
      if (!is_learner(r) || r.id == start.self) continue;
      learners = true;
      const auto* p = known_peer(r.id);
      if (!p || p->inc != r.inc || p->no_state) continue;
      fed = true;
      behind = std::max(behind, own_bytes_behind(*p));
    }
  if (!learners) {
    if (pace.on) pace = {.usual = pace.usual, .limited = pace.limited};
    return;
  }
  if (!pace.on) {
    // One that was given up and comes again at once finds us at the pace of then.
    const bool of_then = pace.usual > 0 && now - pace.limited <= 2 * rate_meter::span;
    pace.usual = std::max(of_then ? pace.usual : 0, sealed_rate.per_second(now));
  }
  pace.on = true;
  // How far the slowest has come in the bytes that we ever sealed.
  const auto reached = fed ? sealed_bytes - std::min<std::uint64_t>(behind, sealed_bytes) : 0;
  if (pace.reached > 0 && reached > pace.reached) pace.taken.add(now, reached - pace.reached);
  pace.reached = fed ? std::max(pace.reached, reached) : 0;

  const auto before = pace.limit;
  const auto most = std::max(pace.usual, pace.taken.per_second(now));
  pace.limit = behind > options.lane_window && !mutated(mutation::pace_not_kept) ? most * kept_of_ten / 10 : 0;
  const auto most_at_once = std::max<std::int64_t>(due(pace.limit, burst), 1);
  pace.room = before == 0 ? most_at_once : std::min(pace.room + due(pace.limit, now - pace.filled), most_at_once);
  pace.filled = now;
  if (pace.limit > 0) pace.limited = now;
}

}  // namespace cohort::protocol
