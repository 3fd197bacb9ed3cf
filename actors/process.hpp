#pragma once

// Inside actors/ only: includes CAF.
#include "actors/caf_compat.hpp"
#include "actors/replica.hpp"
#include "actors/restart_policy.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace cohort::detail {

using questions_ptr = std::shared_ptr<question_set>;

/// Ends a process actor after what is in its mailbox.
struct process_stop {};

/// A supervised child has ended by itself.
struct child_failed {
  std::string child;
  std::string why;
};
struct child_restart {
  std::string child;
};
/// Adds a child; it is started at once.
struct child_added {
  std::string child;
  std::function<void()> start;  ///< also called for each restart, on the supervisor's thread
};
struct child_removed {
  std::string child;
};

/// What a process tells its node. Called on the process's thread.
struct process_calls {
  std::function<void(work_ptr)> finished;
  std::function<void(const std::string& why)> failed;
};

/// The process actor of a group's replica: runs the application on CAF's scheduler. An exception ends it, after which
/// everything in its mailbox is answered by being dropped.
caf::actor spawn_process(caf::actor_system& system, std::shared_ptr<const group_entry> group,
                         replica_services services, process_calls calls);

/// What a supervisor tells its node. Called on the supervisor's thread.
struct supervisor_calls {
  std::function<void(const std::string& line)> log;
  /// The intensity limit was passed: `why` says which child, how often and its last error.
  std::function<void(const std::string& why)> gave_up;
};

/// One-for-one: a child which fails is started again after a back-off; the others do not notice. Past the intensity
/// limit it gives up, and says so once.
caf::actor spawn_supervisor(caf::actor_system& system, restart_limits limits, std::uint64_t seed,
                            supervisor_calls calls);

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::work_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::questions_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::process_stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::child_failed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::child_restart)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::child_added)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::child_removed)
