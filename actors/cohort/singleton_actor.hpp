#pragma once

#include <cohort/node.hpp>
#include <cohort/singleton.hpp>
#include <cohort/supervisor.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace cohort {

/// What the actor of a singleton is sent for each message to its group, and answers with a `std::string`: by returning it from the
/// handler, or later by a response promise. The next one comes when it has answered.
struct singleton_request {
  std::string body;
  std::uint64_t position = 0;  ///< in the total order. A request that is handled again after a failover has the same one
  wall_time time{};            ///< agreed time
};

struct singleton_actor_options {
  /// How the actor is supervised; it is a child of its group's name. `mailbox.poison_after`: on so many lives of the actor that failed
  /// on the same request it is put aside as a dead letter, and answered "failed: ...".
  child_options child;
};

/// Makes a life of the actor, by `child_start::spawn`, on the supervisors' thread. `token` is greater than that of every instance before
/// it in the group, and the same for the lives of one: give it to whatever the actor acts on, and let that refuse older ones.
using singleton_actor_factory = std::function<caf::actor(child_start& at, fencing_token token)>;

/// A singleton (<cohort/singleton.hpp>) that is an actor: it runs at the member in office and nowhere else, as a supervised child
/// of that node. Messages that are submitted to the group anywhere, through its handle (<cohort/group.hpp>) or a port, are sent to it one
/// after the other in their total order, and its answers go back the same way. When the office is lost, as far as this node knows, it is
/// stopped as any child is, and the next instance on this node begins once it has ended.
///
/// An exception ends this life of the actor alone: its supervisor starts the next one, which is given the request again. If the
/// supervisor gives up, the node ends, and the next member in the order of names goes on. What is promised, and what is not while
/// a node is paused or cut off: <cohort/singleton.hpp>.
///
/// To be called before the node starts, at every member, with a group name that is also a child's: 1 to 64 of [A-Za-z0-9_.-]. Throws
/// `node_error` as `node::host_singleton` does, and if the name is none.
void spawn_singleton(node& where, std::string_view group, singleton_actor_factory make, contract how = {}, singleton_actor_options options = {});

/// The same for the groups of a type, which are created while the cluster runs (`node::create_group`): in each of them one actor acts, made by
/// `make` under the group's name, which `child_start::path` tells, and it ends when its group is deleted. To be called before the node
/// starts, at every node. Throws `node_error` as `node::register_primary` does.
void register_singleton(node& where, std::string_view type, singleton_actor_factory make, singleton_actor_options options = {});

/// `Actor` is derived from `process`, and made as Actor(caf::actor_config&, fencing_token).
template <class Actor>
void spawn_singleton(node& where, std::string_view group, contract how = {}, singleton_actor_options options = {}) {
  static_assert(std::is_base_of_v<process, Actor>, "the actor of a singleton is supervised: derive it from cohort::process");
  spawn_singleton(where, group, [](child_start& at, fencing_token token) { return at.spawn<Actor>(token); }, std::move(how), options);
}
template <class Actor>
void register_singleton(node& where, std::string_view type, singleton_actor_options options = {}) {
  static_assert(std::is_base_of_v<process, Actor>, "the actor of a singleton is supervised: derive it from cohort::process");
  register_singleton(where, type, [](child_start& at, fencing_token token) { return at.spawn<Actor>(token); }, options);
}

}  // namespace cohort

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::singleton_request)
