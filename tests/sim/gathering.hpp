#pragma once

#include "framework/simulation/world.hpp"

namespace cohort::sim {

/// The newest view that anybody in the world has installed.
std::uint64_t newest_view(const world& w);
/// How many are in the newest view as they should be.
unsigned together(const world& w);
/// The run is over: has the checkers judge it as a whole. Whether every property held.
bool judge(world& w, const checkers& watchers);

}  // namespace cohort::sim
