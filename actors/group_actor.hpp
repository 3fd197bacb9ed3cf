#pragma once

// Inside actors/ only: includes CAF.
#include "actors/caf_compat.hpp"

#include "actors/group_entry.hpp"

#include <cohort/group_port.hpp>

#include <functional>
#include <memory>

namespace cohort::detail {

/// Completions are ready.
struct port_ready {};

/// The actor behind `cohort::group_handle`: a port with a mailbox.
caf::actor spawn_group_handle(caf::actor_system& system, std::shared_ptr<const group_entry> group,
                              std::function<group_port(port_wake)> open);

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::port_ready)
