#pragma once

// Inside actors/ only: includes CAF.
#include "actors/caf_compat.hpp"
#include "actors/replica.hpp"

#include <functional>
#include <memory>
#include <string>

namespace cohort::detail {

using questions_ptr = std::shared_ptr<question_set>;

/// Ends a process actor after what is in its mailbox.
struct process_stop {};

/// Updates of this node's primary were completed.
struct updates_ready {};
/// Time passed for a replica that `waits`.
struct replica_tick {};

/// What a process tells its node. Called on the process's thread.
struct process_calls {
  std::function<void(work_ptr)> finished;
  std::function<void(const std::string& why)> failed;
};

/// The process actor of a group's replica: runs the application on CAF's scheduler. An exception ends it, after which
/// everything in its mailbox is answered by being dropped.
caf::actor spawn_process(caf::actor_system& system, std::shared_ptr<group_entry> group,
                         replica_services services, process_calls calls);

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::work_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::questions_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::process_stop)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::updates_ready)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::replica_tick)
