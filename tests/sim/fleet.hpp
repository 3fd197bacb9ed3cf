#pragma once

namespace cohort::sim {

/// Many nodes, and as many groups of three, each on three neighbouring nodes: a node that ends, stands still or is cut off takes
/// its part in all of its groups with it. Every group runs under all checkers, and must be whole again in the end. Groups share
/// nothing but what befalls their nodes, so they are run one after the other. 0 if every property held.
int run_fleet(unsigned nodes, unsigned minutes);

}  // namespace cohort::sim
