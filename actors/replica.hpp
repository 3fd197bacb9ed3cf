#pragma once

#include "actors/call_responder.hpp"
#include "actors/deferred_answers.hpp"
#include "actors/components.hpp"
#include "actors/divergence_guard.hpp"
#include "actors/group_entry.hpp"
#include "actors/primary_host.hpp"
#include "actors/work.hpp"

#include "framework/protocol/assembler.hpp"
#include "framework/protocol/time_wish.hpp"

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace cohort::detail {

/// What a replica needs from the node around it. Called on the replica's thread.
struct replica_services {
  std::shared_ptr<const known_nodes> nodes;  ///< who the members are
  member_id self = no_member;
  bool odd = false;                ///< the state it is restored to was found to differ from the majority's
  bool witness = false;            ///< nothing is delivered here, and there is no state (W1)
  /// Chunk `number` (1..chunks) of the checkpoint at `index`; `why` tells what is wrong with an empty one.
  std::function<protocol::payload(log_index index, std::uint32_t number, std::string& why)> load_chunk;
  /// Takes the state at `at`, which `write` serialises; reports to the core by itself. `write` is called before
  /// it returns.
  std::function<void(const protocol::mark& at, bool on_disk, const std::function<void(sink&)>& write)> store_checkpoint;
  /// Nothing more is read of the checkpoint at `index`.
  std::function<void(log_index index)> restored;
  std::function<void(const std::string&)> log;
  std::filesystem::path cold;      ///< where a cold backup's files begin
  port_wake updates_ready;         ///< leads to `replica::updates_done` on the replica's thread; called by any
  std::function<void(std::size_t bytes)> pends;  ///< primary/backup groups: requests that are taken and not settled
  /// Groups with calls: this member's answers to those of another.
  call_responder::send_function send_answers;
  /// When the state machine's next timer is due, by agreed time; `wall_time::max()`: never.
  std::function<void(wall_time due)> want_time;
  /// This member's digest, for the others.
  std::function<void(const protocol::state_digest&)> send_digest;
  /// States differ, or agree again: `odd` are those that differ from the majority's. With `stopped` nothing is applied here any more.
  std::function<void(const divergence_report&, const std::vector<member_id>& odd)> diverged;
  /// Partitionable groups: the state of this side, for the merge of that view.
  std::function<void(protocol::partition::component_id view, std::vector<std::byte> state)> offer;
};

/// The application's side of a group on this node: owns the state machine (or the listener) and gives it the total
/// order. One application thread at a time. Whatever the application throws passes through.
class replica {
public:
  replica(std::shared_ptr<group_entry> group, replica_services services);

  /// Applies a pass's deliveries in their order and answers own messages.
  void run(work& w);
  /// Answers questions from the state as it is.
  void ask(question_set& questions);
  /// Updates of this primary were completed.
  void updates_done();
  /// Wants `tick` to be called within some tens of milliseconds.
  bool waits() const { return !stopped_ && (!deferred_.empty() || (primary_ && primary_->waits())); }
  /// Ends what has waited too long, tries again what was refused.
  void tick();

private:
  void deliver(protocol::deliver_batch& b, work& w);
  void deliver(protocol::deliver_view& v, work& w);
  void deliver(protocol::deliver_void& v, work&) { assembler_.drop(v); }  // its sender has been told
  void deliver(protocol::deliver_time& t, work& w);
  void deliver(protocol::deliver_read& r, work& w);
  void deliver(protocol::deliver_checkpoint& c, work& w);
  void deliver(protocol::deliver_place& p, work&) { assembler_.reached(p.at); }
  void deliver(protocol::deliver_restore& r, work& w);
  void host_primary();
  void deliver(protocol::deliver_component& c, work& w);
  void deliver(protocol::deliver_transition& t, work&) { components_->transition(t); }
  void deliver(protocol::deliver_offer& o, work&) { services_.offer(o.view, components_->offer()); }
  void deliver(protocol::deliver_merge& m, work&) { components_->merge(m); }
  void find_components();
  void guard_state();
  void found(const divergence::finding& f, view_number view);
  bool active_in(const protocol::view& v) const;
  void tell_primary(bool now);
  void tell_rules(const protocol::view& v);
  void tell_listener(const protocol::deliver_batch& b, bool calls);
  void answer_own(work& w, outcome what);
  void defer_own(work& w, std::uint64_t position);
  void answer_settled();
  void answer_port(const std::shared_ptr<port_state>& port);
  void flush_answers();

  std::shared_ptr<group_entry> group_;
  replica_services services_;
  std::unique_ptr<state_machine> machine_;
  primary_backup::member* member_ = nullptr;  ///< `machine_`, in a primary/backup group
  std::unique_ptr<primary_host> primary_;
  std::unique_ptr<listener> listener_;
  bool told_primary_ = false;  ///< to the listener, and ...
  contract rules_;             ///< ... the rules that it knows of
  protocol::assembler assembler_;
  std::unique_ptr<mergeable> plain_state_;  ///< of a state machine that merges by taking one side's state
  std::unique_ptr<components> components_;  ///< partitionable groups only

  protocol::time_wish wish_;
  std::unique_ptr<divergence_guard> guard_;  ///< groups whose states are compared only
  bool stopped_ = false;                     ///< the state differs from the majority's, and nobody sees it any more
  std::unique_ptr<call_responder> calls_;  ///< groups with calls only
  std::vector<std::uint32_t> stripped_sizes_;
  std::vector<std::byte> stripped_;

  reply answer_;
  deferred_answers deferred_;
  std::size_t next_run_ = 0;      ///< in the work's `runs`
  std::size_t next_read_ = 0;  ///< in the work's `reads`
  std::shared_ptr<port_state> answering_;  ///< whose answers `answers_` gathers
  completion_batch answers_;
};

/// The view in the application's words.
group_view describe(const protocol::deliver_view& v, const known_nodes& nodes);
/// What the member that was given the checkpoint had missed; there is something.
delivery_gap describe(const protocol::mark& at, const known_nodes& nodes);

}  // namespace cohort::detail
