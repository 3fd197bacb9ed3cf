#include "transport/unsent_bound.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace cohort::transport {

namespace {

// Long beside a turn of the loop, short beside what a control frame may wait for.
constexpr std::chrono::milliseconds measured_over{10};

}  // namespace

bool unsent_bound::written(instant now, std::size_t bytes) {
  taken_ += bytes;
  const auto passed = now - since_;
  if (passed < measured_over) return false;
  const auto sent = static_cast<double>(std::exchange(taken_, 0)) * static_cast<double>(instant(limits_.time).count()) / static_cast<double>(passed.count());
  since_ = now;
  // Powers of two: a rate that wavers does not call the kernel each time.
  const auto whole = std::bit_floor(static_cast<std::size_t>(std::min(sent, static_cast<double>(limits_.most))));
  return std::exchange(bytes_, std::clamp(whole, limits_.least, limits_.most)) != bytes_;
}

}  // namespace cohort::transport
