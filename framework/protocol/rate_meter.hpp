#pragma once

#include "framework/protocol/types.hpp"

#include <algorithm>
#include <array>

namespace cohort::protocol {

struct inspector;

/// Bytes a second of late: over the last `span`, without the times in which nothing came.
class rate_meter {
public:
  static constexpr duration span = std::chrono::seconds(1);

  void add(instant now, std::uint64_t bytes) {
    advance(now);
    of_[place(newest_)] += bytes;
  }
  std::uint64_t per_second(instant now) {
    advance(now);
    std::uint64_t bytes = 0, times = 0;
    for (std::int64_t at = newest_ - 8; at < newest_; ++at) {  // the newest has only begun
      bytes += of_[place(at)];
      times += of_[place(at)] > 0;
    }
    return times == 0 ? 0 : bytes / times * 1000 / (width / std::chrono::milliseconds(1));
  }

  /// Whether anything came.
  bool any(instant now) {
    advance(now);
    return std::ranges::any_of(of_, [](std::uint64_t bytes) { return bytes > 0; });
  }

private:
  friend struct inspector;
  static constexpr duration width = span / 8;
  std::size_t place(std::int64_t at) const { return static_cast<std::size_t>(at + 9) % of_.size(); }

  void advance(instant now) {
    const std::int64_t at = now / width;
    for (auto n = std::min<std::int64_t>(at - newest_, 9); n > 0; --n) of_[place(at - n + 1)] = 0;
    newest_ = std::max(newest_, at);
  }

  std::array<std::uint64_t, 9> of_{};
  std::int64_t newest_ = 0;  ///< `of_` ends with this one
};

}  // namespace cohort::protocol
