#pragma once

#include "framework/protocol/partition/types.hpp"

#include <cohort/contract.hpp>

#include <map>
#include <string>
#include <vector>

namespace cohort::sim::partition {

using protocol::partition::component_id;
using protocol::partition::component_ptr;
using protocol::partition::process;

/// A message of the simulated application. No two are alike.
struct sent {
  process sender;
  order how = order::total;
  std::size_t size = 0;
  wall_time deadline{};  ///< 0 = none
};

enum class step_kind : std::uint8_t {
  submits,     ///< `message` was taken
  delivers,    ///< `message`, at `position`
  enters,      ///< the view `view`
  expires,     ///< `message` is delivered nowhere: its deadline was over when it was sealed
  transition,  ///< what follows is of the transitional view: `together` of the view `id`
  merges,      ///< the state that all sides gave
  asks,        ///< for `rules`
  changed,     ///< it was told that `rules` are in force, as it had asked
};

/// One thing a process's application saw or did. `state` is what its replicated state came to afterwards.
struct step {
  step_kind kind{};
  std::uint64_t at = 0;  ///< counted over all processes: what happened before what
  std::uint64_t message = 0;
  std::uint64_t position = 0;
  component_id id;
  component_ptr view;
  std::vector<process> together;
  std::shared_ptr<const protocol::view_options> rules;
  std::uint64_t state = 0;
  bool intact = true;  ///< delivered as it was submitted
  bool late = false;
  wall_time time{};  ///< delivered: when it was sealed
  wall_time wall{};  ///< delivered: this process's clock; expired: the fastest one
};

/// What one life of one member saw.
struct life {
  process who;
  bool ended = false;  ///< crashed
  std::vector<step> steps;
  /// Durable groups: what it had seen when it crashed and its disk did not tell its next start; oldest first. Its steps
  /// go on from what the disk did tell.
  std::vector<std::vector<step>> lost;
  std::uint64_t resumed = 0;  ///< when it started last; 0: it never crashed
};

/// A whole run, as the checkers see it.
struct history {
  std::vector<member_id> founders;
  protocol::view_options rules;                     ///< with which all were started
  merge_policy merge = merge_policy::application;   ///< whose state all take; `none`: the group has no state
  bool durable = false;                             ///< restarts go on from disks
  bool dependencies = true;                         ///< batches name what they depend on
  bool healed = false;                              ///< faults ended early enough for all to be one again
  std::size_t payload_most = 0, payload_bound = 0;  ///< bytes that any member held of its view's lanes
  std::size_t parts_most = 0, parts_bound = 0;      ///< bytes that any had under way of large messages
  std::uint64_t interrupted = 0;                    ///< large messages that began again in another view
  std::map<std::uint64_t, sent> messages;
  std::vector<life> lives;
};

/// A property of partitionable groups. Empty: it holds; else what broke it.
using check_fn = std::string (*)(const history& h);
struct property {
  const char* name;
  check_fn check;
};

std::string self_inclusion(const history& h);
std::string monotonic_views(const history& h);
std::string view_agreement(const history& h);
std::string sending_view(const history& h);
std::string integrity(const history& h);
std::string self_delivery(const history& h);
std::string virtual_synchrony(const history& h);
std::string transitional_sets(const history& h);
std::string safe_delivery(const history& h);
std::string fifo_order(const history& h);
std::string causal_order(const history& h);
std::string total_order(const history& h);
std::string merge_barrier(const history& h);
std::string merged_states(const history& h);
std::string winning_side(const history& h);
std::string primary_chain(const history& h);
std::string whole_messages(const history& h);
std::string bounded_memory(const history& h);
std::string termination(const history& h);
std::string durability(const history& h);
std::string rules_in_force(const history& h);
std::string liveness(const history& h);

const std::vector<property>& properties();
/// The first property that does not hold, and why; empty if all do.
std::string first_broken(const history& h);

// ---- what checkers share

/// One stay of a process in one view.
struct stay {
  const life* of = nullptr;
  component_ptr view;
  component_ptr next;                              ///< null: it crashed or the run ended in `view`
  std::vector<process> together;                   ///< of the transition; empty if there was none
  std::vector<const step*> regular, transitional;  ///< deliveries
  bool ended_by_crash() const { return !next && of->ended; }
};
std::vector<stay> stays(const history& h);
/// All that a process ever saw, also what it forgot with a crash, in the order of time.
std::vector<const step*> timeline(const life& l);
bool is_in(const std::vector<process>& set, process who);
std::string name_of(process p);
std::string name_of(const component_id& v);
std::string message_name(const history& h, std::uint64_t message);

}  // namespace cohort::sim::partition
