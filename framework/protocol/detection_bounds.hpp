#pragma once

#include "framework/protocol/core.hpp"

namespace cohort::protocol {

/// How long a death may stay unnoticed, by what is known of it (docs/detection.md). Up to the verdict of the leader; the
/// view change that follows takes some round trips more. Holds while the leader itself runs and is heard by a quorum.
struct detection_bounds {
  duration ended;    ///< the process ended, its machine closed its connections, and another member can be asked about its own
  duration reset;    ///< the same, nobody can be asked
  duration calm;     ///< nothing but silence, on links whose rhythm is known and loses nothing; others can be asked
  duration most;     ///< whatever the rhythm, and also if nobody can be asked
  duration replaced; ///< the leader itself: from its last heartbeat until another stands; with a reset link half a heartbeat
};

/// V24: how long a process whose link was reset is given to dial again before the others' word counts.
duration reset_patience(const core_options& options);

/// From the configuration alone; the same at all members.
detection_bounds bounds_of(const core_options& options);

}  // namespace cohort::protocol
