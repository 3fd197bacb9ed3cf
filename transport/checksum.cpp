#include "transport/checksum.hpp"

// The library's own choice of vector instructions at run time (on x86) halves the cost against the baseline that the
// compiler may assume; the result is the same.
#ifdef COHORT_XXHASH_DISPATCH
#include <xxh_x86dispatch.h>
#else
#define XXH_INLINE_ALL
#include <xxhash.h>
#endif

namespace cohort::transport {

std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

}  // namespace cohort::transport
