// Large messages: parts that travel in batches of their own, between others' batches (rules L10, L11).
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {

/// O9 holds for a large message as for any: all of its parts are sealed in one view. The flush of that view delivers
/// either all of them to all who come along, or none of them the last one.
submit_status core::impl::submit_part(std::span<const std::byte> bytes, bool more, order how, wall_time deadline) {
  auto& message = large[static_cast<std::size_t>(how)];
  auto refusal = takes(how, deadline);
  if (bytes.size() > options.part_bytes) refusal = submit_status::too_large;
  if (refusal == submit_status::taken && message.parts > 0 && message.begun != view->id.counter &&
      !mistaken(mistake::parts_go_on))
    refusal = submit_status::interrupted;
  if (refusal != submit_status::taken) {
    message = {};
    return refusal;
  }
  const auto cost = bytes.size() + sizeof(std::uint32_t);
  if (window_full(cost)) {
    told_busy = true;
    return submit_status::busy;
  }
  // Fewer bytes under way than the window lets through: what others submit waits no longer than for these.
  const auto under_way = part_bytes_under_way();
  const bool full = under_way > 0 && under_way + cost > part_window() && !mistaken(mistake::parts_without_window);
  if (!may_deliver() || full) {
    told_part_waits = true;
    return submit_status::part_waits;
  }
  const auto kind = kind_of(how);
  seal_all(kind);
  if (message.parts == 0) message.begun = view->id.counter;
  auto b = std::make_unique<open_batch>();
  b->cls = how;
  b->deadline = deadline;
  b->part = {message.parts++, more, message.begun};
  b->sizes.push_back(static_cast<std::uint32_t>(bytes.size()));
  b->blob.assign(bytes.begin(), bytes.end());
  open_bytes += cost;
  seal_one(std::move(b));
  parts_under_way[static_cast<std::size_t>(kind)].emplace_back(lanes[slot_of(rank, kind)]->held(), cost);
  if (!more) message = {};
  return submit_status::taken;
}

std::size_t core::impl::part_bytes_under_way() {
  std::size_t bytes = 0;
  for (const auto kind : {lane_kind::plain, lane_kind::causal}) {
    auto& parts = parts_under_way[static_cast<std::size_t>(kind)];
    while (!parts.empty() && parts.front().first <= at(stable, slot_of(rank, kind))) parts.pop_front();
    for (const auto& [seq, size] : parts) bytes += size;
  }
  return bytes;
}

}  // namespace cohort::protocol::partition
