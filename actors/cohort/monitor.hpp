#pragma once

#include <cohort/types.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <string>

namespace cohort {

class node;

/// Kinds of what can be monitored.
enum class down_kind : std::uint8_t { node, group, member, process };

/// Why something is down.
enum class down_reason : std::uint8_t {
  left,         ///< a member asked to go
  failed,       ///< a member was silent for too long; an actor ended by an exception or an error
  excluded,     ///< a member is alive and heard, but does not keep up: its disk, its CPU, or it needs what the others have not kept
  removed,      ///< by an operator: a member from its group, or a node from the cluster
  replaced,     ///< a member's place went to a process of its name that has nothing of it: with another disk, or started again in a volatile group
  recovered,    ///< a member's former life is over; it is back already, under a new incarnation
  partitioned,  ///< a node or member hangs or is cut off from this one; a group has no quorum on this side of the network
  ended,        ///< a node's process ended: it closed its connections; an actor ended as it should
  stopped,      ///< this node's own part in the group ended: the node stops, or its replicas start again
  deleted,      ///< a group that was created while the cluster ran is no more, and so are its members
  diverged,     ///< this node's own part in the group ended: its state differs from that of the majority (`divergence_policy::stop`)
  cut_off,      ///< a member is alive, another one hears it, but the leader does not: the network between the two is broken
  unknown,      ///< there is no such thing, and there never was as far as this node knows
};
const char* to_string(down_reason r);

using monitor_id = std::uint64_t;  ///< never 0

/// What a monitoring actor is sent, once for each call of `monitor`.
struct down {
  monitor_id monitor = 0;
  down_kind what{};
  std::string group;      ///< of groups and members
  std::string name;       ///< of nodes, members and children of supervisors
  down_reason reason{};
  std::string why;        ///< in words; for actors their exit reason, for children what was thrown
  view_number view = 0;   ///< members: which first has it no more
};

/// What is to be monitored.
struct monitored {
  down_kind what{};
  std::string group, name;
  caf::actor actor;

  /// Another node of the cluster: it is down when the link to it is lost. That is evidence and no decision; what a group makes of it
  /// its members' downs tell. Crash model: a node that is only slow or cut off looks the same as one that hangs.
  static monitored node(std::string name) { return {down_kind::node, {}, std::move(name), {}}; }
  /// A group hosted here: it is down while this node has no part in a quorum's work.
  static monitored group_of(std::string group) { return {down_kind::group, std::move(group), {}, {}}; }
  /// An active member of a group hosted here, or a witness, which is one as long as the view has it (whether it is well,
  /// `monitored::node` tells). Its down is in the group's order: the state machine and the listener have handled all
  /// messages before the view without it, and none behind, and so has an actor which they send what they handle.
  static monitored member(std::string group, std::string name) { return {down_kind::member, std::move(group), std::move(name), {}}; }
  /// Any actor of this process.
  static monitored process(caf::actor which) { return {down_kind::process, {}, {}, std::move(which)}; }
  /// The life that the child of a supervisor is in, or waits for: it is down when that ends, whether another one follows or not.
  static monitored child(std::string path) { return {down_kind::process, {}, std::move(path), {}}; }
};

/// From now on `whom` is sent one `down` when this ends; at once, with the last reason known, if it has ended already. For the next
/// time monitor again: what is up by then is watched. Any thread; the node must have been started, or `node_error` is thrown.
monitor_id monitor(node& where, const monitored& what, const caf::actor& whom);
/// True if nothing was sent, and nothing will be. False: a `down` was sent, and may still be on its way.
bool demonitor(node& where, monitor_id which);

}  // namespace cohort

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::down)
