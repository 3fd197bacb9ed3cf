#pragma once

#include <cohort/supervision.hpp>

#include <deque>
#include <functional>

namespace cohort::supervision {

/// Time of a clock that never goes back, from any origin.
using instant = std::chrono::nanoseconds;

/// Draws evenly from all 64-bit numbers; handed in, so that the same draws give the same delays.
using draw = std::function<std::uint64_t()>;

/// The pause before the restart that follows failure number `in_a_row` (from 1) of a child: none for the first
/// `at_once`, then from [1/2, 1] of first_delay * 2^n. The jitter keeps what failed of one cause from coming back in one
/// instant.
instant restart_delay(const restart_limits& limits, unsigned in_a_row, const draw& random);

/// Counts failures in a window that slides: each failure counts until it is older than the window.
class restart_window {
public:
  explicit restart_window(const restart_limits& limits) : limits_(limits) {}

  /// A failure at `now`; false if it is one too many.
  bool failed(instant now);
  unsigned failures() const { return static_cast<unsigned>(failures_.size()); }

private:
  restart_limits limits_;
  std::deque<instant> failures_;  ///< at most failures_max + 1
};

}  // namespace cohort::supervision
