#pragma once

#include <cohort/delivery.hpp>
#include <cohort/stream.hpp>

#include <cstdint>

namespace cohort {

/// Chance for a replicated state machine: equal at all members, different from one delivery to the next. Call `begin` with each
/// delivery before drawing; what is drawn depends on all deliveries so far (their places, times, senders), and on nothing else.
///
/// Fair, not secret: who reads the log can compute it, and who chooses when to submit can influence it a little. For secrets let a
/// primary draw (<cohort/primary_backup.hpp>). The generator is splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", 2014).
class agreed_random {
public:
  void begin(const delivery& d) {
    for (const auto part : {d.position, static_cast<std::uint64_t>(d.time.count()), static_cast<std::uint64_t>(to_index(d.sender)),
                            d.sender_incarnation})
      state_ = mixed(state_ ^ part) + 0x9e3779b97f4a7c15ull;
  }
  std::uint64_t next() { return mixed(state_ += 0x9e3779b97f4a7c15ull); }
  /// 0 to n - 1, each equally likely; n > 0.
  std::uint64_t below(std::uint64_t n) {
    const auto unfair = (0 - n) % n;  // 2^64 mod n: so many of the smallest values would favour some results
    for (;;)
      if (const auto drawn = next(); drawn >= unfair) return drawn % n;
  }

  void checkpoint(sink& out) const { out.write_u64(state_); }
  void restore(source& in) { state_ = in.read_u64(); }

private:
  static constexpr std::uint64_t mixed(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  std::uint64_t state_ = 0;
};

}  // namespace cohort
