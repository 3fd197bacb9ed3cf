#pragma once

#include <chrono>
#include <cstdint>

namespace cohort {

/// What the death of one child does to its siblings. Source: Armstrong, "Making Reliable Distributed Systems in the
/// Presence of Software Errors", 2003; the behaviour is that of Erlang/OTP's supervisors where nothing else is said.
enum class restart_strategy : std::uint8_t {
  one_for_one,   ///< it alone is started again
  one_for_all,   ///< all others are stopped, the last first, then all are started, the first first
  rest_for_one,  ///< those behind it are stopped, the last first, then it and those are started
  dynamic,       ///< as one_for_one, for many children that come and go: started and stopped all at once, in no order
};

/// Which deaths of a child are followed by another life.
enum class restart_type : std::uint8_t {
  permanent,  ///< all of them
  transient,  ///< failures only; an end that was asked for, or normal, is final
  temporary,  ///< none: the child is forgotten
};

/// When to start again what failed, and when to give up.
struct restart_limits {
  std::chrono::nanoseconds first_delay = std::chrono::milliseconds(50);  ///< before the first delayed restart; doubles
  std::chrono::nanoseconds longest_delay = std::chrono::seconds(5);
  unsigned failures_max = 5;  ///< so many within `window`, of all children together, are survived; one more gives up
  std::chrono::nanoseconds window = std::chrono::seconds(60);  ///< slides; a child quiet for so long has no delay to pay
  unsigned at_once = 0;  ///< so many failures of a child in a row are followed by a restart without delay
};

const char* to_string(restart_strategy s);
const char* to_string(restart_type t);

}  // namespace cohort
