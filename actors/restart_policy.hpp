#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>

namespace cohort {

/// When to restart something that failed, and when to give up.
struct restart_limits {
  std::chrono::nanoseconds first_delay = std::chrono::milliseconds(50);  ///< before the first restart; doubles
  std::chrono::nanoseconds longest_delay = std::chrono::seconds(5);
  unsigned failures_max = 5;  ///< so many within `window` are survived; one more gives up (intensity limit)
  std::chrono::nanoseconds window = std::chrono::seconds(60);  ///< slides; a quiet one resets the delay, too
};

/// Exponential back-off with jitter and an intensity limit over a sliding window (Erlang's restart intensity). Pure:
/// the time is handed in.
class restart_policy {
public:
  restart_policy(const restart_limits& limits, std::uint64_t seed) : limits_(limits), random_(seed) {}

  /// A failure at `now` (never going back): the delay before the restart, or nothing when the limit is passed.
  /// The delay lies in [1/2, 1] of first_delay * 2^(failures in the window - 1), so that members which failed of the
  /// same cause do not all come back in the same instant.
  std::optional<std::chrono::nanoseconds> failed(std::chrono::nanoseconds now);

  unsigned failures_in_window() const { return static_cast<unsigned>(failures_.size()); }
  const restart_limits& limits() const { return limits_; }

private:
  restart_limits limits_;
  std::mt19937_64 random_;
  std::deque<std::chrono::nanoseconds> failures_;
};

}  // namespace cohort
