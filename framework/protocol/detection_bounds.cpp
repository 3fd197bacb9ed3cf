#include "framework/protocol/detection_bounds.hpp"

#include <algorithm>

namespace cohort::protocol {

duration reset_patience(const core_options& o) { return std::max(o.heartbeat, o.election_min / 4); }

detection_bounds bounds_of(const core_options& o) {
  detector calm;
  instant now{};
  calm.begin(o.heartbeat, now);
  for (std::size_t i = 0; i < detector::window; ++i) calm.heard(now += o.heartbeat);
  // The leader looks at its members with every heartbeat it sends; the newest echo is up to one heartbeat old when the
  // member dies, and what is measured here begins at the death.
  const auto patience = std::clamp(calm.patience(o.suspect_at), o.election_min, o.fail_after);
  const auto confirmed = std::max(patience + o.heartbeat + o.election_min, o.election_max);
  return {.ended = reset_patience(o) + 2 * o.heartbeat,
          .reset = o.election_min + 2 * o.heartbeat,
          .calm = std::min(confirmed, o.fail_after) + o.heartbeat,
          .most = o.fail_after + o.heartbeat,
          .replaced = 2 * o.election_min};
}

}  // namespace cohort::protocol
