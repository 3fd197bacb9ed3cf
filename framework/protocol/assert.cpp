#include "framework/protocol/assert.hpp"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

namespace cohort::protocol {

void broken_invariant(const char* condition, const char* file, int line, std::uint64_t a, std::uint64_t b) {
  std::fprintf(stderr, "cohort: broken invariant %s (%" PRIu64 ", %" PRIu64 ") at %s:%d; this node stops\n", condition, a,
               b, file, line);
  std::abort();
}

}  // namespace cohort::protocol
