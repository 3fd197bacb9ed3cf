#pragma once

#include "framework/simulation/checker.hpp"

namespace cohort::sim {

enum class linearizability { holds, violated, unknown };
struct linearizability_verdict {
  linearizability result = linearizability::holds;
  std::string why;
};

/// Whether clients could have seen this from registers that execute one operation at a time, each at a moment between
/// its call and its return (Herlihy, Wing, "Linearizability", 1990). Looks at nothing but calls, returns and values; by
/// key, since linearizability is local. The search is Wing and Gong's with the states tried remembered (Lowe, "Testing
/// for Linearizability", 2017), ended after `steps` with `unknown`, which is no pass. Operations whose outcome is open
/// may have happened at any time since, or never.
linearizability_verdict check_linearizable(const std::vector<operation>& history, std::uint64_t steps);

}  // namespace cohort::sim
