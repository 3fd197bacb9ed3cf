#pragma once

#include <cohort/resilient.hpp>
#include <cohort/stable_store.hpp>
#include <cohort/supervisor.hpp>

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

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
};

struct resilient_options {
  checkpoint_policy checkpoints;
  std::size_t outbox_max =
      100'000;          ///< messages that their receivers have not taken; further inputs are refused with an error
  child_options child;  ///< for `resilient_home::child`
};

/// How a resilient process does.
struct resilient_status {
  std::string name;
  std::uint64_t life = 0;               ///< counts from 1, over restarts of the node
  std::uint64_t applied = 0;            ///< events
  std::uint64_t durable = 0;            ///< of them
  std::uint64_t outbox = 0;             ///< messages that their receivers have not taken
  std::uint64_t duplicates = 0;         ///< inputs known already, in this life
  std::uint64_t refused = 0;            ///< inputs, in this life
  std::uint64_t checkpoint = 0;         ///< the one this life started from
  std::uint64_t redone = 0;             ///< events that this life began with
  std::vector<std::string> unreadable;  ///< checkpoints that this life passed over
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
  explicit resilient_home(std::shared_ptr<stable_store> storage);

  /// Adds a process to a tree, under a name that is its own on this node for ever.
  void add_to(supervision_tree& tree, const std::string& name, resilient_factory make,
              resilient_options how = {}) const;
  template <class Machine>
  void add_to(supervision_tree& tree, const std::string& name, resilient_options how = {}) const {
    add_to(
        tree, name, [] { return std::unique_ptr<resilient_machine>(std::make_unique<Machine>()); }, how);
  }
  /// The child without its tree, for `supervisors::start`.
  child_factory child(const std::string& name, resilient_factory make, resilient_options how = {}) const;

  /// Whom resilient processes reach under a name. Enter it before they start, and again if it gets another address.
  void receiver(const std::string& name, caf::actor who) const;
  caf::actor find(const std::string& name) const;  ///< null: nobody

  std::vector<resilient_status> status() const;  ///< of those that have lived since the node's start, by name

  struct impl;

private:
  std::shared_ptr<impl> impl_;
};

}  // namespace cohort

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::resilient_message)
