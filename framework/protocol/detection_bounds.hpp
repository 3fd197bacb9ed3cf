#pragma once

#include "framework/protocol/core.hpp"

namespace cohort::protocol {

/// How long a death may stay unnoticed, by what is known of it (docs/detection.md). Up to the verdict of the leader; the
/// view change that follows takes some round trips more. Holds while the leader itself runs and is heard by a quorum.
struct detection_bounds {
  duration reset;    ///< the process ended, and its machine said so by closing the connection
  duration calm;     ///< nothing but silence, on links whose rhythm is known and loses nothing; others can be asked
  duration most;     ///< whatever the rhythm, and also if nobody can be asked
  duration replaced; ///< the leader itself: from its last heartbeat until another stands; with a reset link half a heartbeat
};

/// From the configuration alone; the same at all members.
detection_bounds bounds_of(const core_options& options);

}  // namespace cohort::protocol
