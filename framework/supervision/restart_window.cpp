#include "framework/supervision/restart_window.hpp"

#include <algorithm>

namespace cohort {

const char* to_string(restart_strategy s) {
  switch (s) {
    case restart_strategy::one_for_one: return "one_for_one";
    case restart_strategy::one_for_all: return "one_for_all";
    case restart_strategy::rest_for_one: return "rest_for_one";
    case restart_strategy::dynamic: return "dynamic";
  }
  return "?";
}

const char* to_string(restart_type t) {
  switch (t) {
    case restart_type::permanent: return "permanent";
    case restart_type::transient: return "transient";
    case restart_type::temporary: return "temporary";
  }
  return "?";
}

namespace supervision {

instant restart_delay(const restart_limits& limits, unsigned in_a_row, const draw& random) {
  if (in_a_row <= limits.at_once) return instant(0);
  auto delay = std::min(limits.first_delay, limits.longest_delay);
  for (auto i = limits.at_once + 1; i < in_a_row && delay < limits.longest_delay; ++i)
    delay = std::min(2 * delay, limits.longest_delay);
  const auto half = static_cast<std::uint64_t>(delay.count() / 2);
  // The modulo's bias is below 2^-20 for delays up to hours.
  return delay - instant(random() % (half + 1));
}

bool restart_window::failed(instant now) {
  while (!failures_.empty() && now - failures_.front() > limits_.window) failures_.pop_front();
  failures_.push_back(now);
  return failures_.size() <= limits_.failures_max;
}

}  // namespace supervision
}  // namespace cohort
