#pragma once

#include <cohort/types.hpp>

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace cohort::protocol {

/// Monotonic time since an epoch of the driver's choosing. It enters the core with `tick` and never goes back.
using instant = std::chrono::nanoseconds;
using duration = std::chrono::nanoseconds;

/// Far future: no deadline.
inline constexpr instant never = instant::max();

/// Position of a record among all records which one core ever gave to its journal, counted from 1; 0 = none.
/// Persistence reports "durable up to" in these (rule D9).
using journal_position = std::uint64_t;

/// Index of a lane within one view; meaningless without the view (rule L1).
using slot = std::uint16_t;
inline constexpr slot no_slot = 0xffff;

/// What votes and log acks are counted under (rules D3, PA1). `identity` is the random id of the data directory in a
/// durable group, because promises are on that disk, and 64 random bits per boot in a volatile group, because promises
/// die with the process. A member name with another identity is another voter: it never inherits a vote.
struct voter_id {
  member_id member = no_member;
  std::uint64_t identity = 0;
  auto operator<=>(const voter_id&) const = default;
};

/// One number per slot of a view: a position in every lane (rule L9). Missing components count as 0.
using frontier = std::vector<sequence>;

/// Which part of a large message a batch is: such a message travels in several batches of its lane, each with one part of it
/// and nothing else, so that others' messages go in between (rule L10 of docs/protocol.md).
struct message_part {
  std::uint32_t number = 0;  ///< counted from 0
  bool more = false;         ///< it is not the last one
  view_number begun = 0;     ///< view in which part 0 was sealed
  /// Not a part at all: whole messages.
  bool whole() const { return number == 0 && !more; }
  bool operator==(const message_part&) const = default;
};

/// The messages of one batch: `sizes[i]` bytes each, back to back in `blob`. `owner` keeps both alive, so a batch moves
/// from the receive buffer to the journal and the application without being copied (rule N7). Immutable once built.
struct payload {
  std::shared_ptr<const void> owner;
  std::span<const std::uint32_t> sizes;
  std::span<const std::byte> blob;

  /// Bytes this payload holds in memory; what windows and quotas count.
  std::size_t bytes() const { return blob.size() + sizes.size_bytes(); }
};

}  // namespace cohort::protocol
