#pragma once

#include <array>
#include <cstdint>

namespace cohort::sim {

/// xoshiro256** (Blackman, Vigna, "Scrambled Linear Pseudorandom Number Generators", 2021), seeded by splitmix64. Our
/// own, because the standard's distributions differ between libraries and a seed must replay everywhere. Never call it
/// twice within one expression: the order of evaluation differs between compilers.
class random {
public:
  explicit random(std::uint64_t seed) {
    for (auto& word : state_) {
      std::uint64_t z = (seed += 0x9e3779b97f4a7c15ull);
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
      word = z ^ (z >> 31);
    }
  }

  std::uint64_t next() {
    const auto rotate = [](std::uint64_t x, int k) { return (x << k) | (x >> (64 - k)); };
    const std::uint64_t result = rotate(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotate(state_[3], 45);
    return result;
  }

  /// 0 .. n-1; n > 0. The bias of the remainder does not matter for n far below 2^64.
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  /// low .. high, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
  }
  /// True in `per_mille` of a thousand cases.
  bool chance(unsigned per_mille) { return below(1000) < per_mille; }

private:
  std::array<std::uint64_t, 4> state_{};
};

/// One step of a running hash: the order of the values matters. One to one in either argument.
constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ (hash >> 29)) * 0xbf58476d1ce4e5b9ull;
  hash += (value ^ (value >> 31)) * 0x9e3779b97f4a7c15ull + 0x2545f4914f6cdd1dull;
  hash = (hash ^ (hash >> 32)) * 0x94d049bb133111ebull;
  return hash ^ (hash >> 30);
}

}  // namespace cohort::sim
