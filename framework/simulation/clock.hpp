#pragma once

#include "framework/protocol/types.hpp"

namespace cohort::sim {

/// A node's two clocks as functions of true time: a monotonic one that runs at its own rate, and one for the time of day
/// that may in addition be stepped.
class clock_model {
public:
  /// The rate differs from true time by `ppm` millionths; the time of day is `offset` away from the truth.
  clock_model(std::int64_t ppm, std::chrono::microseconds offset) : ppm_(ppm), offset_(offset) {}

  protocol::instant mono(protocol::instant truth) const { return truth + drift(truth); }
  wall_time wall(protocol::instant truth) const {
    return std::chrono::duration_cast<wall_time>(truth + drift(truth)) + epoch + offset_;
  }
  /// The earliest true time at which `mono` shows at least `local`.
  protocol::instant truth_at(protocol::instant local) const {
    const auto estimate = local.count() - local.count() * ppm_ / 1'000'000;
    auto t = protocol::instant(estimate);
    while (mono(t) < local) t += std::max<protocol::duration>(local - mono(t), protocol::duration(1));
    return t;
  }
  void step(std::chrono::microseconds by) { offset_ += by; }
  std::chrono::microseconds offset() const { return offset_; }

  /// The simulated world begins at 2026-01-01.
  static constexpr wall_time epoch{1'767'225'600'000'000};

private:
  protocol::duration drift(protocol::instant truth) const { return truth * ppm_ / 1'000'000; }

  std::int64_t ppm_;
  std::chrono::microseconds offset_;
};

}  // namespace cohort::sim
