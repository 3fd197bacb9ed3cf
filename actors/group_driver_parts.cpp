// Large messages on their way into the core, part by part as its window opens (L10).
#include "actors/group_driver.hpp"

#include <algorithm>

namespace cohort::detail {

/// The port's oldest message is a large one: as many of its parts as the core takes now. Messages of one port keep their order,
/// so what the port submitted behind it waits; what others submit goes in between.
protocol::submit_status group_driver::feed_parts(pending_port& p, std::size_t& fed) {
  using protocol::submit_status;
  auto& block = *p.blocks.front();
  const auto& run = block.runs[block.next_run];
  const auto how = run.how.value_or(core_->rules().default_order);
  auto& open = large_[static_cast<std::size_t>(how)];
  if (open && open != p.port.get()) return submit_status::part_waits;
  const std::size_t size = block.sizes[block.next_message];
  const auto message = std::span<const std::byte>(block.blob).subspan(block.next_byte, size);
  while (fed < turn_bytes) {
    const auto part = message.subspan(block.next_part_byte, std::min(part_bytes_, size - block.next_part_byte));
    const bool more = block.next_part_byte + part.size() < size;
    const auto status = core_->submit_part(part, more, how, run.deadline);
    switch (status) {
      case submit_status::taken: break;
      case submit_status::interrupted:  // L11: from the beginning, for those who have come
        block.next_part_byte = 0;
        continue;
      case submit_status::busy:
      case submit_status::part_waits: return status;
      case submit_status::not_enabled:
      case submit_status::too_late:
        open = nullptr;
        block.next_part_byte = 0;
        fed += p.port->refuse_run(block, status == submit_status::too_late ? outcome::expired : outcome::not_enabled);
        if (block.consumed()) p.blocks.pop_front();
        return status;
      default: return status;  // the caller refuses it
    }
    open = p.port.get();
    fed += part.size();
    // It goes on, so neither it nor what waits behind it is given up (`expire`).
    for (auto& waiting : p.blocks) waiting->flushed = now_;
    block.next_part_byte += part.size();
    if (more) continue;
    open = nullptr;
    block.next_part_byte = 0;
    took(p, 1, size, how);
    return status;
  }
  return submit_status::taken;
}

/// What the core has of the port's large message comes to nothing: it lacks the end.
void group_driver::give_up_large(const port_state* port) {
  for (std::size_t how = 0; how < order_count; ++how) {
    if (large_[how] != port) continue;
    core_->give_up_parts(static_cast<order>(how));
    large_[how] = nullptr;
  }
}

}  // namespace cohort::detail
