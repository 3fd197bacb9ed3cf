#include "framework/divergence/points.hpp"

namespace cohort::divergence {

void points::advance(std::uint64_t position, std::uint64_t step) {
  next_ = step == 0 ? std::numeric_limits<std::uint64_t>::max() : (position / step + 1) * step;
}

void points::taken(std::uint64_t position, std::uint64_t bytes) {
  auto step = every_;
  while (step != 0 && step * bytes_per_message < bytes && step < std::uint64_t{1} << 48) step *= 2;
  advance(position, step);
}

}  // namespace cohort::divergence
