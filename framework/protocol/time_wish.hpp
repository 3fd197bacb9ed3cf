#pragma once

#include <cohort/state_machine.hpp>

#include <algorithm>
#include <chrono>
#include <optional>

namespace cohort::protocol {

/// When a replica's state machine next wants to be told of agreed time (C12). A timer that is late already is due again soon and not at
/// once: a state machine that does not look at its timers must not keep the group busy.
class time_wish {
public:
  static constexpr wall_time step = std::chrono::milliseconds(1);

  /// The state machine was told, or its state is of that time.
  void told(wall_time time) { told_ = time; }
  /// For `core::want_time`; empty if that knows it.
  std::optional<wall_time> news(const state_machine& machine) {
    auto due = wall_time::max();
    if (const auto next = machine.next_due()) due = std::max(*next, told_ + step);
    if (due == asked_) return {};
    return asked_ = due;
  }

private:
  wall_time told_{};
  wall_time asked_ = wall_time::max();
};

}  // namespace cohort::protocol
