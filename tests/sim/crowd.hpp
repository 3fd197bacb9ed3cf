#pragma once

namespace cohort::sim {

/// One large group under all checkers: `churning` of its members end, leave, come back, and end again for `minutes` of virtual
/// time, while members multicast in several orders; then all must find into one view. 0 if every property held.
int run_crowd(unsigned members, unsigned churning, unsigned minutes);

}  // namespace cohort::sim
