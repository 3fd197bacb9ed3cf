#pragma once

#include <cohort/listener.hpp>
#include <cohort/node.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace cohort {

/// Errors with which a group handle answers a request: the values of `outcome` in this category.
/// `outcome_of` reads one back.
caf::error make_error(outcome o);
/// `replied` if the error is none of ours.
outcome outcome_of(const caf::error& e);
/// With `outcome::busy`: when it makes sense to try again, by the pace at which the group took messages of late. 1 ms to the
/// contract's `outcome_bound`.
std::optional<std::chrono::milliseconds> retry_after(const caf::error& e);

/// What an actor is sent whose message, no request, a group had no room for (`outcome::busy`): it was never submitted.
struct group_busy {
  std::string group;
  std::chrono::milliseconds retry_after{};
};
/// What every actor is sent, once, whose messages or requests a group had no room for, as soon as half of its queue is free.
struct group_resumed {
  std::string group;
};

/// What every actor that `subscribe`d to a group's views is sent, last: an operator or a program deleted the group.
struct group_deleted {
  std::string group;
};

/// The group as an ordinary actor. Send or request it a `std::string` (any bytes), alone or followed by a `cohort::order`: it
/// is submitted in that order, else in the contract's default one. A request is answered with the state machine's reply as a
/// `std::string` once this replica has applied it, with an empty one where no state machine hears that order; otherwise with an
/// error that tells refused, lost and unknown apart. Followed by `collation` it is a call of all members, in groups whose
/// contract has `calls`, and the request is answered by a `call_report` (<cohort/collation.hpp>). Where the queue
/// (`contract::queue_bytes`) is full, senders are told when to try again (`retry_after`, `group_busy`) and when there is room
/// (`group_resumed`). Monitor it: it ends when the node stops. The node must have been started.
caf::actor group_handle(node& where, std::string_view group);

/// This node has contact with a quorum's leader, or has lost it (partitionable groups: its component is primary, or is not).
struct group_primary {
  std::string group;
  bool primary = false;
};
/// The group runs by other rules from now on.
struct group_rules_changed {
  std::string group;
  contract now;
  std::string what;      ///< which fields differ, and from what
  view_number view = 0;  ///< that brings them
};

/// What a subscriber is told of.
enum class group_news : std::uint8_t {
  views,
  all,  ///< also `group_primary`, at once and whenever it changes, and `group_rules_changed`, at once if they are not those of this
        ///< node's configuration and whenever they change. Not in the order of messages: a `listener` hears both in it
};

/// From now on `process` gets a `cohort::group_view` message for each view of the group (the newest at once), until it
/// ends or the group is deleted, which `cohort::group_deleted` tells.
void subscribe(node& where, std::string_view group, const caf::actor& process, group_news what = group_news::views);

/// The short form of `supervisors_of(where).start("", name, ...)` (<cohort/supervisor.hpp>) for an actor of any kind: `spawn`
/// is called at once, and again after a back-off whenever the actor ended with an error. Past the intensity limit the node
/// stops and says why.
void supervise(node& where, const std::string& name, std::function<caf::actor(caf::actor_system&)> spawn);

}  // namespace cohort

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::group_view)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::order)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::collation)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::call_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::group_busy)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::group_resumed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::group_deleted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::group_primary)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::group_rules_changed)
