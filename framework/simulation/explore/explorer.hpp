#pragma once

#include "framework/simulation/explore/scope.hpp"

#include <functional>

namespace cohort::sim::explore {

struct bounds {
  std::size_t states = 1'000'000;
  unsigned depth = 1'000;      ///< actions from the settled group
  double seconds = 3'600;      ///< of the caller's clock
  std::size_t memory_mb = 6'000;
  std::function<double()> clock;   ///< seconds; the exploration has no clock of its own
  std::function<std::size_t()> memory;  ///< megabytes this process takes
};

struct result {
  std::size_t states = 0, transitions = 0;
  std::size_t member_states = 0, letters = 0;  ///< distinct ones; transitions between them are looked up
  std::size_t ends = 0;         ///< states in which nothing can happen any more
  std::size_t new_views = 0;    ///< states in which somebody has installed a view
  std::size_t all_delivered = 0;  ///< states in which a living member has delivered every message
  unsigned depth = 0;           ///< of the deepest state looked at, breadth first
  bool complete = false;        ///< nothing was left out
  std::string broken;           ///< property, and between whom
  std::vector<std::string> trace;  ///< shortest way there, an action a line
};

/// Looks at every state that can be reached, breadth first, each once. The mistake that is planted in this thread is
/// in force.
result explore(const scope& s, const bounds& b);

}  // namespace cohort::sim::explore
