#pragma once

#include "framework/protocol/messages.hpp"
#include "framework/protocol/rate_meter.hpp"

#include <cohort/order.hpp>

#include <vector>

namespace cohort::protocol {

// What an owner keeps of its lanes.

/// Submissions that are not sealed yet (N3).
struct open_batch {
  order cls = order::total;
  wall_time deadline{};
  message_part part;
  std::vector<std::uint32_t> sizes;
  std::vector<std::byte> blob;
  instant oldest{};
};

/// A large message whose parts are being submitted (L10); part 0 is next if there is none.
struct open_message {
  std::uint32_t parts = 0;       ///< sealed
  view_number begun = 0;
  incarnation inc = 0;           ///< under which
};

/// What a sender may seal beside learners (FC5).
struct sender_pace {
  bool on = false;               ///< there are some
  std::uint64_t usual = 0;       ///< bytes a second that we sealed before they came
  std::uint64_t reached = 0;     ///< of `sealed_bytes`, by the slowest that has its state; 0: none has
  rate_meter taken{};            ///< by that one
  std::uint64_t limit = 0;       ///< bytes a second; 0: none
  std::int64_t room = 0;         ///< bytes that may be taken at once
  instant filled{};
  instant limited{};             ///< newest time at which there was a limit
};

}  // namespace cohort::protocol
