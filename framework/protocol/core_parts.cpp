// Large messages: parts that travel in batches of their own, between others' batches (L10, L11).
#include "framework/protocol/core_impl.hpp"

namespace cohort::protocol {

/// Parts never wait in the open queue: a view that comes between must find each either sealed or still at the caller's.
submit_status core::impl::submit_part(std::span<const std::byte> bytes, bool more, order how, wall_time deadline) {
  auto& now_open = open_messages[static_cast<std::size_t>(how)];
  auto refusal = takes(how, deadline);
  if (bytes.size() > options.part_bytes) refusal = submit_status::too_large;
  // L11. An own lane that ended took the parts with it.
  if (refusal == submit_status::taken && now_open.parts > 0 &&
      (now_open.begun < in_force->admitted || now_open.inc != promises.inc) && !mutated(mutation::interrupted_goes_on))
    refusal = submit_status::interrupted;
  if (refusal != submit_status::taken) {
    now_open = {};
    return refusal;
  }
  const auto cost = bytes.size() + sizeof(std::uint32_t);
  if (window_full(cost)) {
    told_busy = true;
    return submit_status::busy;
  }
  // Fewer bytes under way than the window lets through: what comes after them from others waits no longer than for these.
  const auto under_way = part_bytes_under_way();
  if (!may_seal() || (under_way > 0 && under_way + cost > part_window())) {
    told_part_waits = true;
    return submit_status::part_waits;
  }
  const auto kind = kind_of(how);
  seal_all(kind);
  if (now_open.parts == 0) now_open = {0, in_force->number, promises.inc};
  auto b = std::make_shared<open_batch>();
  b->cls = how;
  b->deadline = deadline;
  b->part = {now_open.parts++, more, now_open.begun};
  b->sizes.push_back(static_cast<std::uint32_t>(bytes.size()));
  b->blob.assign(bytes.begin(), bytes.end());
  open_bytes += cost;
  pace.room -= static_cast<std::int64_t>(cost);
  seal_one(std::move(b));
  parts_under_way[static_cast<std::size_t>(kind)].emplace_back(lanes.find(in_force->number, own_slot(kind))->held(), cost);
  if (!more) now_open = {};
  return submit_status::taken;
}

/// L11: who became active since part 0 was sealed does not have it, so the message is delivered to nobody. Decided by views, so
/// alike everywhere.
bool core::impl::interrupted(const batch& b) const {
  return !b.part.whole() && b.part.begun < in_force->admitted && !mutated(mutation::interrupted_delivered);
}

/// Own parts that some active member has not acknowledged.
std::size_t core::impl::part_bytes_under_way() {
  std::size_t bytes = 0;
  for (const auto kind : {lane_kind::plain, lane_kind::causal}) {
    auto& parts = parts_under_way[static_cast<std::size_t>(kind)];
    const slot s = own_slot(kind);
    if (s == no_slot) {
      parts.clear();
      continue;
    }
    // A new lane begins at 1 again: what the old one had under way is gone.
    const auto held = lanes.find(in_force->number, s)->held();
    const auto least = parts.empty() ? 0 : slowest(s);
    while (!parts.empty() && (parts.front().first <= least || parts.back().first > held)) parts.pop_front();
    for (const auto& [seq, size] : parts) bytes += size;
  }
  return bytes;
}

}  // namespace cohort::protocol
