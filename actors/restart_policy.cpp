#include "actors/restart_policy.hpp"

#include <algorithm>

namespace cohort {

std::optional<std::chrono::nanoseconds> restart_policy::failed(std::chrono::nanoseconds now) {
  while (!failures_.empty() && now - failures_.front() > limits_.window) failures_.pop_front();
  failures_.push_back(now);
  if (failures_.size() > limits_.failures_max) return std::nullopt;
  auto delay = limits_.first_delay;
  for (std::size_t i = 1; i < failures_.size() && delay < limits_.longest_delay; ++i) delay *= 2;
  delay = std::min(delay, limits_.longest_delay);
  std::uniform_int_distribution<std::int64_t> draw(delay.count() / 2, delay.count());
  return std::chrono::nanoseconds(draw(random_));
}

}  // namespace cohort
