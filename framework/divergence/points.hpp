#pragma once

#include <cstdint>
#include <limits>

namespace cohort::divergence {

/// At which positions of the total order this replica takes a digest of its state. A function of the positions alone, so that
/// replicas need not talk about it: the end of the first batch that reaches a multiple of the step.
///
/// The step is the group's `compare_every` times a power of two, which grows with what a digest costs here. So the positions of a
/// replica with the larger step are among those of every other one, and whatever one of them says can be compared.
class points {
public:
  static constexpr std::uint64_t bytes_per_message = 16;  ///< of state that a digest may read for each message applied

  /// `every` messages; 0: never.
  explicit points(std::uint64_t every) : every_(every) { begin(0); }

  /// The state is that at `position`, of which no digest was taken.
  void begin(std::uint64_t position) { advance(position, every_); }
  bool reached(std::uint64_t position) const { return position >= next_; }
  /// A digest was taken at `position`, for which so many bytes of state were read.
  void taken(std::uint64_t position, std::uint64_t bytes);
  /// `std::numeric_limits<std::uint64_t>::max()`: none.
  std::uint64_t next() const { return next_; }

private:
  void advance(std::uint64_t position, std::uint64_t step);

  std::uint64_t every_;
  std::uint64_t next_ = 0;
};

}  // namespace cohort::divergence
