#pragma once

#include "framework/protocol/types.hpp"

#include <cstdint>

namespace cohort::protocol {

struct inspector;

/// Small deterministic generator for timeouts (splitmix64): the same on every compiler and library (N1).
class random_source {
public:
  explicit random_source(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  duration between(duration low, duration high) {
    return low + duration(next() % static_cast<std::uint64_t>((high - low).count() + 1));
  }

private:
  friend struct inspector;
  std::uint64_t state_;
};

}  // namespace cohort::protocol
