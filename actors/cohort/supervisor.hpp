#pragma once

#include <cohort/node.hpp>
#include <cohort/process.hpp>
#include <cohort/supervision.hpp>

#include <caf/actor.hpp>
#include <caf/actor_system.hpp>
#include <caf/make_actor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace cohort {

namespace detail {
class child_link;
class supervision_host;
struct tree_spec;
}  // namespace detail

/// How one child is watched over.
struct child_options {
  restart_type restart = restart_type::permanent;
  std::chrono::milliseconds start_limit{5000};  ///< until it is up (`process::is_up`); then it is killed and that is a failure
  std::chrono::milliseconds stop_limit{5000};   ///< until it has ended when asked to; then it is killed. 0: killed at once
  mailbox_options mailbox;                      ///< of a child made by `child_start::spawn`
};

/// How a supervisor treats its children.
struct supervisor_options {
  restart_strategy strategy = restart_strategy::one_for_one;
  /// By default the first failure in a row is followed by a restart at once; five within a minute are survived.
  restart_limits limits{.at_once = 1};
  /// Killed, an actor ends as soon as it comes back from the handler it is in. One that does not for so long cannot be ended
  /// by anything but the end of the process: its supervisor gives up.
  std::chrono::milliseconds kill_limit{10000};
};

/// A child about to be started; given to its factory, on the supervisors' thread.
class child_start {
public:
  caf::actor_system& system() const { return system_; }
  const std::string& path() const { return path_; }
  std::uint64_t life() const { return life_; }  ///< 1 for the first start

  /// Spawns a class derived from `process` with mailbox and address of the child; any other actor class as it is: such a
  /// child has a new address after each restart, and CAF's mailbox.
  template <class Actor, class... Ts>
  caf::actor spawn(Ts&&... arguments) {
    if constexpr (std::is_base_of_v<process, Actor>) {
      caf::actor_config config;
      caf::actor made = caf::make_actor<Actor, caf::actor>(system_.next_actor_id(), system_.node(), &system_, config,
                                                           std::forward<Ts>(arguments)...);
      adopt(static_cast<Actor&>(*caf::actor_cast<caf::abstract_actor*>(made)));
      return made;
    } else {
      return system_.spawn<Actor>(std::forward<Ts>(arguments)...);
    }
  }
  /// Spawns a process from a function.
  caf::actor spawn(process_function function);

private:
  friend class detail::supervision_host;
  child_start(caf::actor_system& system, const std::string& path, std::uint64_t life, detail::child_link& link)
      : system_(system), path_(path), life_(life), link_(link) {}
  void adopt(process& made);

  caf::actor_system& system_;
  const std::string& path_;
  std::uint64_t life_;
  detail::child_link& link_;
};

/// Makes one life of a child. What it throws is a failure while starting.
using child_factory = std::function<caf::actor(child_start&)>;

/// A supervisor with its children, in the order in which they start. Stopped in the reverse order.
class supervision_tree {
public:
  /// `name`  1 to 64 of [A-Za-z0-9_.-]; paths join names by '/'.
  explicit supervision_tree(std::string name, supervisor_options how = {});

  /// Adds an actor. Throws `node_error` for a bad or known name.
  supervision_tree& child(std::string name, child_factory make, child_options how = {});
  template <class Actor>
  supervision_tree& child(std::string name, child_options how = {}) {
    return child(std::move(name), [](child_start& at) { return at.spawn<Actor>(); }, how);
  }
  /// Adds a supervisor. It fails when it gives up, and is then started again with all its own, within the limits of this one.
  supervision_tree& branch(supervision_tree nested);

  const std::shared_ptr<const detail::tree_spec>& spec() const { return spec_; }

private:
  detail::tree_spec& mutable_spec();
  void add_name(const std::string& name);
  std::shared_ptr<const detail::tree_spec> spec_;
};

/// One child as a query shows it.
struct child_status {
  std::string path;
  std::string state;  ///< waiting, starting, up, down (`process::stays_down`), stopping, ended, stuck
  bool is_supervisor = false;
  restart_type restart = restart_type::permanent;
  std::uint64_t lives = 0;
  std::uint64_t restarts = 0;
  std::chrono::nanoseconds age{0};      ///< of this life
  std::string last_cause;               ///< of the newest failure, or why it stays down; empty if there was none
  std::vector<std::string> last_stack;  ///< of the throw, innermost first; empty where nothing was thrown
  mailbox_figures mailbox;
};

/// Something that happened to a child.
struct supervision_event {
  wall_time time{0};
  std::string path;
  std::string what;                   ///< restarts, gave_up, start_late, stop_late, stuck, ended, poison, down
  std::string cause;
  std::string message;                ///< that was being handled, if one was
  std::vector<std::string> stack;     ///< as in `child_status`
  std::chrono::nanoseconds age{0};    ///< of the life that ended
  std::chrono::nanoseconds delay{0};  ///< before the next
  std::uint64_t restarts = 0;         ///< of the child, this one included
};

/// Counted since the node started.
struct supervision_counters {
  std::uint64_t starts = 0;
  std::uint64_t restarts = 0;   ///< decided on
  std::uint64_t gave_up = 0;    ///< supervisors
  std::uint64_t start_late = 0;
  std::uint64_t stop_late = 0;
  std::uint64_t stuck = 0;
  std::uint64_t poison = 0;     ///< messages put aside
};

/// A message that has killed its receiver too often.
struct dead_letter {
  std::uint64_t number = 0;
  wall_time time{0};
  std::string path;     ///< the child it was for
  unsigned kills = 0;
  std::string cause;
  std::string message;  ///< in words
  /// Whether it can be given again: always while the process lives; after its restart only if the message consists of types
  /// that CAF can serialise (numbers, strings, atoms, lists of them).
  bool replayable = false;
};

/// The supervisors of a node. Copies share them; all members may be called from any thread but the factories of children.
/// Calls that change something wait until it is done, or begun: for a child, until its factory was called; for a tree, until all
/// of it is up, but not longer than 30 s.
class supervisors {
public:
  /// Starts a tree below the node. Its path is its name. When it gives up, the node starts it again within the limits of
  /// `supervisor_options`' defaults, then stops and says why. Throws `node_error`: name taken, node not started.
  void start(const supervision_tree& tree);
  /// Adds a child, or a tree, to the supervisor at `parent` and starts it. It is forgotten when that supervisor is restarted.
  void start(const std::string& parent, const std::string& name, child_factory make, child_options how = {});
  void start(const std::string& parent, const supervision_tree& tree);
  /// Stops what is at `path`, with all below it, and forgets it. False if there is nothing.
  bool remove(const std::string& path);
  /// Starts a transient child whose end was final once more.
  bool start_again(const std::string& path);

  /// The child's address, which it keeps over its restarts; it ends when the child is forgotten. Null if there is no such
  /// child, or it was not made by `child_start::spawn`.
  caf::actor address(const std::string& path) const;

  std::vector<child_status> children() const;  ///< sorted by path
  std::vector<supervision_event> events() const;  ///< the newest 256, oldest first
  supervision_counters counters() const;

  std::vector<dead_letter> dead_letters() const;  ///< oldest first
  /// Gives the letter to its child once more; it is no letter any more then. Empty, or why not.
  std::string replay(std::uint64_t letter);
  bool drop(std::uint64_t letter);

  struct impl;
  explicit supervisors(std::shared_ptr<impl> of) : impl_(std::move(of)) {}

private:
  std::shared_ptr<impl> impl_;
};

/// The supervisors of a node that was started. Throws `node_error` otherwise.
supervisors supervisors_of(node& where);

/// The actor system of a node that was started, for `caf::scoped_actor` and actors that nobody supervises. Ends when the node
/// stops: whatever the application made in it has to be gone before. Throws `node_error` otherwise.
caf::actor_system& actor_system_of(node& where);

}  // namespace cohort
