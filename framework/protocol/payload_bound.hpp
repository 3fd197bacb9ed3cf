#pragma once

#include "framework/protocol/core.hpp"

#include <cstddef>
#include <cstdint>

namespace cohort::protocol {

/// The bytes of payload that a member holds at most (FC1, FC2, FC4, S3, S4), whoever is slow or catches up. `distance`: what is
/// applied between checkpoints, the last one's size, or a window, whichever is most. Simulations hold cores to it.
constexpr std::uint64_t payload_bound(const core_options& o, std::size_t lanes, std::uint64_t distance, bool on_disk) {
  // Two more for retransmission under way; a disk may lag behind by its own bound.
  return (lanes + 2) * (2 * o.lane_window + 2 * (o.part_bytes + o.batch_bytes)) + 12 * distance + o.retain_bytes +
         (on_disk ? o.journal_backlog_max : 0);
}

}  // namespace cohort::protocol
