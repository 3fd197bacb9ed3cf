#pragma once

#include <cohort/group_port.hpp>
#include <cohort/listener.hpp>
#include <cohort/state_machine.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// Where a group's promises live.
enum class durability : std::uint8_t {
  journaled,  ///< on a quorum of disks before anything is acknowledged; survives a restart of all
  in_memory,  ///< "volatile": in the memory of a quorum; a restart of all ends the group (see `node_config::epoch`)
};

/// What a group promises and within which limits. The same at all members.
struct contract {
  cohort::durability durability = durability::journaled;
  cohort::reads reads = cohort::reads::linearizable;       ///< `lease`: reads confirmed by the leader's lease
  std::chrono::milliseconds heartbeat{50};                 ///< 1 ms up; at most a quarter of `election_min`
  std::chrono::milliseconds election_min{300};             ///< a silent leader is replaced after 1 to 2 times this
  std::chrono::milliseconds fail_after{2000};              ///< silence that excludes a member; at least 2 election_min
  std::chrono::milliseconds outcome_bound{2000};           ///< after this a submission completes as `unknown`
  std::size_t message_bytes_max = 16u << 20;
  std::size_t queue_bytes = 32u << 20;                     ///< per port: submitted, not yet taken by the protocol
  std::size_t backlog_bytes = 64u << 20;                   ///< delivered, not yet applied: above it own submissions wait
  std::uint64_t checkpoint_bytes = 256u << 20;             ///< payload applied between checkpoints (or the state's size,
                                                           ///< if larger); volatile groups: at most 8 MiB
  std::size_t lane_window = 8u << 20;                      ///< bytes in flight beyond the slowest active member
};

/// One founder.
struct member_config {
  std::string name;     ///< 1 to 64 of [A-Za-z0-9_.-]
  std::string address;  ///< "host:port" with a port from 1 up, "srv:NAME", or "discover" (docs/discovery.md)
};

struct node_config {
  std::string name;                    ///< own name, one of `members`
  std::filesystem::path data;          ///< data directory; created if missing; may be empty if all groups are volatile
  std::string listen;                  ///< empty: the own entry in `members`. Another one must have host 0.0.0.0 or ::,
                                       ///< unless members are discovered
  std::vector<member_config> members;  ///< 1 to 64 founders, the same at all
  std::vector<std::string> discover;   ///< further sources of addresses, "file:PATH" or "srv:NAME" (docs/discovery.md)
  std::string cluster;                 ///< the same at all; nodes of other clusters refuse. Needed where members are
                                       ///< discovered, since then their addresses tell no cluster from another
  std::string name_servers;            ///< "10.0.0.2, 127.0.0.1:8600"; empty: those of the system
  std::uint64_t epoch = 0;             ///< `--new-epoch`: founds anew after all members of a volatile group were lost
  unsigned workers = 0;                ///< application threads; 0: cores - 1, at least 1
  std::uint64_t journal_quota = 64ull << 30;  ///< bytes on disk
  bool one_flush = false;              ///< one disk flush per commit under load (docs/journal.md)
  std::string log_level = "info";      ///< trace, debug, info, warn, error, off
  std::string log_file;                ///< empty: stderr
};

/// The configuration or the start failed; `what()` says what, where and what to do.
struct node_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Fills a configuration from `--name N --data DIR --member NAME=HOST:PORT ... [--listen HOST:PORT] [--new-epoch N]
/// [--discover SOURCE ...] [--cluster NAME] [--name-servers LIST] [--log-level L]`. Throws `node_error`.
node_config config_from_arguments(int argc, char** argv);

/// One node: a process's transport, journal, application threads and group replicas. Construct, `replicate` each group,
/// then `run` (or `start` ... `stop`). One thread drives these; `port`, `status` and `request_stop` may be called by any.
///
/// Signals: the constructor blocks SIGTERM and SIGINT in the calling thread, so that threads started later inherit it;
/// `run` waits for them and drains.
class node {
public:
  explicit node(node_config config);  ///< Checks the configuration; throws `node_error`. Starts nothing.
  ~node();                            ///< Stops.
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  using machine_factory = std::function<std::unique_ptr<state_machine>()>;
  using listener_factory = std::function<std::unique_ptr<listener>()>;

  /// Hosts a replica of `group` here. `make` is called on an application thread, again for each restart.
  void replicate(std::string_view group, machine_factory make, contract how = {});
  template <class Machine>
  void replicate(std::string_view group, contract how = {}) {
    replicate(group, [] { return std::unique_ptr<state_machine>(std::make_unique<Machine>()); }, how);
  }
  /// Hosts a process that is given whole batches instead of single messages; its checkpoints are empty.
  void listen(std::string_view group, listener_factory make, contract how = {});

  /// Opens the journal, recovers, listens, dials. Returns once the node runs (it need not have a quorum yet).
  /// Throws `node_error`: port in use, data directory of another node, damaged, already open, ...
  void start();
  /// Drains and ends all threads: no new submissions, pending ones are resolved or reported, journal flushed and closed.
  void stop();
  /// `start`, unless done; blocks until SIGTERM, SIGINT, `request_stop` or a fatal failure; then `stop`.
  /// Returns the exit code: 0, or 1 after a failure (which has been logged).
  int run();
  /// If this node leads `group`: lets the member that is furthest lead instead, without waiting for a timeout (Raft
  /// dissertation, section 3.10). Returns at once; nothing is lost, submissions wait about two round trips. `stop` does this
  /// by itself. Crash model.
  void hand_over(std::string_view group);
  /// Makes `run` return. Any thread, also a signal handler's watcher.
  void request_stop();

  /// Opens a port into `group`. `wake` may be empty for callers that poll `take`.
  group_port port(std::string_view group, port_wake wake = {});
  group_status status(std::string_view group) const;
  /// Non-empty once a fatal failure ended the node: what, where, what to do.
  std::string failure() const;
  const node_config& config() const;

  struct impl;
  /// For `<cohort/group.hpp>` and tests.
  impl& internals() { return *impl_; }

private:
  std::unique_ptr<impl> impl_;
};

}  // namespace cohort
