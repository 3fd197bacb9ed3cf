#pragma once

#include "transport/gateway/service.hpp"

#include <cohort/group_port.hpp>
#include <cohort/session.hpp>

#include <optional>
#include <string>

namespace cohort::detail {

/// What became of a submission or a session's request, in the words which clients are told.
transport::gateway::answer refused_as(transport::gateway::reason because, bool retry, const std::string& why);
transport::gateway::answer answer_of(outcome o);
void take_reply(transport::gateway::answer& a, const session_reply& r);
/// By a node that does not host the group.
transport::gateway::answer no_such_group(const std::string& name);
/// To what only groups with sessions take.
transport::gateway::answer no_sessions(const std::string& group, bool primary_backup);
std::optional<order> order_named(const std::string& name);

}  // namespace cohort::detail
