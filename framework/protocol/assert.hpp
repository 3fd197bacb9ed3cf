#pragma once

#include <cstdint>

namespace cohort::protocol {

/// Ends the process: an invariant of our own is broken, and a node that may be wrong must stop so that the group can
/// mask it. `a` and `b` are the values which the condition compares.
[[noreturn]] void broken_invariant(const char* condition, const char* file, int line, std::uint64_t a, std::uint64_t b);

}  // namespace cohort::protocol

/// Always on, in release builds, too. For our own bugs only: what peers, disks or users cause is checked and answered.
#define COHORT_INVARIANT(condition, a, b)                                                                      \
  ((condition) ? void(0)                                                                                       \
               : ::cohort::protocol::broken_invariant(#condition, __FILE__, __LINE__, static_cast<std::uint64_t>(a), \
                                                      static_cast<std::uint64_t>(b)))
