#pragma once

#include <cohort/fence.hpp>
#include <cohort/node.hpp>
#include <cohort/primary_backup.hpp>
#include <cohort/resilient.hpp>
#include <cohort/stable_store.hpp>
#include <cohort/supervisor.hpp>

#include <caf/actor.hpp>
#include <caf/config.hpp>
#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cohort {

/// An effect on its way. A receiver that is no resilient process may be given one again after a crash, with the same
/// number and the same body: it acts on numbers it has not seen from `from` yet, and answers `number` when it is done,
/// or with an error to be given it later again. Sent by an actor as a request, it is an input that is applied once:
/// number 1, 2, 3 ... of `from`; the answer is the reply, the same one however often it is asked for, until the
/// sender's next one is applied.
struct resilient_message {
  std::string from;
  std::uint64_t number = 0;
  std::string body;
  std::uint64_t low = 0;         ///< the sender has the answers to all its numbers below this one; 0: it does not say
  fencing_token activation = 0;  ///< of the resilient process that sends it: grows with each that takes its place
  /// Not 0: the dead letter of this number is given once more. A resilient process takes it also if its sender has gone on without
  /// it, once; the letter is dropped then. Not part of what is written down.
  std::uint64_t letter = 0;
};

#if CAF_VERSION < 1800
/// How CAF writes it down, as a dead letter.
template <class Inspector>
auto inspect(Inspector& f, resilient_message& m) {
  return f(caf::meta::type_name("cohort::resilient_message"), m.from, m.number, m.body, m.low, m.activation);
}
#endif

/// True for the error of an input that is refused for good: it killed its receivers, and lies among the dead letters. A resilient
/// process that sent it does not send it again; who numbers inputs himself may give the number to another one, or go on with the
/// next and say so (`low`).
bool is_put_aside(const caf::error& e);

struct resilient_options {
  checkpoint_policy checkpoints;     ///< of a process on this node's storage; those of a group: `contract::checkpoint_bytes`
  std::size_t outbox_max = 100'000;  ///< messages that their receivers have not taken; further inputs are refused with an error
  std::size_t senders_max = 100'000;  ///< numbered senders that are remembered; inputs of further ones are refused
  /// A numbered sender of whom nothing came for so long is forgotten; 0: never. What it sends again after that may be applied
  /// twice, so it is longer than anybody is away with a message that was not answered.
  std::chrono::seconds senders_age = std::chrono::hours(24 * 30);
  backup_kind backups = backup_kind::hot;  ///< of a replicated process, on this node
  child_options child;                     ///< for `resilient_home::child`; a replicated one: `poison_after`
};

/// How a resilient process does.
struct resilient_status {
  std::string name;
  bool active = false;                  ///< it executes here; a replicated one: this node holds it
  std::string down;                     ///< why it stays down: its journal ended the whole process; empty: it does not
  std::uint64_t life = 0;               ///< counts from 1, over restarts of the node; a replicated one: its activation
  std::uint64_t applied = 0;            ///< events
  std::uint64_t durable = 0;            ///< of them
  std::uint64_t outbox = 0;             ///< messages that their receivers have not taken
  std::uint64_t senders = 0;            ///< that are remembered
  std::uint64_t duplicates = 0;         ///< inputs known already, in this life
  std::uint64_t refused = 0;            ///< inputs, in this life
  std::uint64_t undelivered = 0;        ///< messages that their receivers refused for good, since the node started
  std::uint64_t restarts = 0;           ///< lives that were followed by another one since the node started
  std::uint64_t checkpoint = 0;         ///< the one this life started from
  std::uint64_t changes = 0;            ///< of it: checkpoints of changes behind the one of the whole state
  std::uint64_t redone = 0;             ///< events that this life began with
  std::chrono::nanoseconds took{0};     ///< ... until they were redone
  std::uint64_t to_redo = 0;            ///< events behind the newest durable checkpoint: what a restart would redo
  wall_time checkpoint_taken{0};        ///< ... and when that was taken; 0: there is none
  std::vector<std::string> unreadable;  ///< checkpoints that this life passed over
  std::string trouble;                  ///< why the storage has no room for what it did last; it waits, and so do its inputs. Empty: none
};

/// A life, or an activation, that followed another one.
struct resilient_restart {
  wall_time time{0};
  std::string name;
  std::uint64_t life = 0;           ///< the new one
  std::string cause;                ///< of the end of the one before
  std::chrono::nanoseconds age{0};  ///< of the one before; 0: not known here
  std::uint64_t restarts = 0;       ///< of this process, this one included, since the node started
  std::uint64_t redone = 0;         ///< events
  std::chrono::nanoseconds took{0};
};

/// The resilient processes of a node, on one stable storage, and those they send to. Copies share it. Any thread.
///
/// A process takes a `std::string` as its input: as a request, whose answer (a `std::string`) says that the input is on
/// stable storage with all it caused; or as a plain message. And `resilient_message`, by which resilient processes talk
/// to each other. It commits what waits while one commit is under way with the next, and shares the disk's flush with
/// all others.
///
/// If a life ends before an answer, the request fails with an error: it may or may not have been applied. Who has to
/// know sends a `resilient_message`, and sends it again.
class resilient_home {
public:
  /// Keeps its processes in the node's stable storage, which is opened by the first of them. All homes of a node are the
  /// same one. The node outlives it.
  explicit resilient_home(node& where);
  /// Keeps them in any storage; replicates none.
  explicit resilient_home(std::shared_ptr<stable_store> storage);

  /// Hosts a process that the nodes of a group hold together: group and process have the same name. Before the node starts, at
  /// every node of the group. One node at a time executes it; when that one fails, another goes on from the last event that was
  /// agreed upon, within the group's failover bound. Its address (`find`, `group_handle`) is good on every node, and takes what
  /// local processes take; receivers of its messages are looked up on the node that executes it. Names of senders are those
  /// of the whole group. Contract as for `node::replicate_primary`. Throws `node_error`.
  void replicate(const std::string& name, resilient_factory make, const contract& how, const resilient_options& options = {}) const;
  /// With the contract of the configuration.
  void replicate(const std::string& name, resilient_factory make, const resilient_options& options = {}) const;
  template <class Machine>
  void replicate(const std::string& name, const contract& how, const resilient_options& options = {}) const {
    replicate(name, maker<Machine>(), how, options);
  }
  template <class Machine>
  void replicate(const std::string& name, const resilient_options& options = {}) const {
    replicate(name, maker<Machine>(), options);
  }

  /// Adds a process to a tree, under a name that is its own on this node for ever.
  void add_to(supervision_tree& tree, const std::string& name, resilient_factory make,
              resilient_options how = {}) const;
  template <class Machine>
  void add_to(supervision_tree& tree, const std::string& name, resilient_options how = {}) const {
    add_to(tree, name, maker<Machine>(), how);
  }
  /// The child without its tree, for `supervisors::start`.
  child_factory child(const std::string& name, resilient_factory make, resilient_options how = {}) const;

  /// Whom resilient processes reach under a name. Enter it before they start, and again if it gets another address.
  void receiver(const std::string& name, caf::actor who) const;
  caf::actor find(const std::string& name) const;  ///< null: nobody

  /// A process that stays down, since redoing its journal ended the whole operating system's process, redoes it once more: by a
  /// program that digests it. Empty, or why not.
  std::string redo(const std::string& name) const;

  std::vector<resilient_status> status() const;  ///< of those that have lived since the node's start, by name
  std::vector<resilient_restart> restarts() const;  ///< the newest 256, oldest first

  struct impl;

private:
  template <class Machine>
  static resilient_factory maker() {
    return [] { return std::unique_ptr<resilient_machine>(std::make_unique<Machine>()); };
  }
  std::shared_ptr<impl> impl_;
};

}  // namespace cohort
