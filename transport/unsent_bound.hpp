#pragma once

// Inside transport/ only: how much the kernel may hold unsent for one link.

#include "transport/loop.hpp"

#include <cstddef>

namespace cohort::transport {

struct unsent_limits {
  std::size_t least = 128u << 10;      ///< 1 ms at 1 Gbit/s
  std::size_t most = 2u << 20;
  std::chrono::milliseconds time{2};   ///< what a control frame may wait for behind payload in the kernel, above `least`
};

/// What a link sends in `unsent_limits::time`, within the limits (T4): nothing overtakes in the kernel, so it is to be given little,
/// but a fast link that is given less than it sends between two turns of the loop runs dry.
class unsent_bound {
public:
  explicit unsent_bound(const unsent_limits& limits) : limits_(limits), bytes_(limits.least) {}

  /// The kernel took `bytes`. True if the bound changed.
  bool written(instant now, std::size_t bytes);
  std::size_t bytes() const { return bytes_; }

private:
  unsent_limits limits_;
  std::size_t bytes_;
  instant since_{};
  std::size_t taken_ = 0;  // since then
};

}  // namespace cohort::transport
