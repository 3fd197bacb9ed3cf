#pragma once

#include <cohort/contract.hpp>
#include <cohort/divergence.hpp>
#include <cohort/group_port.hpp>
#include <cohort/listener.hpp>
#include <cohort/primary_backup.hpp>
#include <cohort/singleton.hpp>
#include <cohort/state_machine.hpp>
#include <cohort/typed_port.hpp>

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// One founder.
struct member_config {
  std::string name;     ///< 1 to 64 of [A-Za-z0-9_.-]
  std::string address;  ///< "host:port" with a port from 1 up, "srv:NAME", or "discover" (docs/discovery.md)
};

struct node_config {
  std::string name;                    ///< own name, one of `members` unless it is to `join`
  std::filesystem::path data;          ///< data directory; created if missing; may be empty if all groups are volatile
  std::string listen;                  ///< empty: the own entry in `members`. Another one must have host 0.0.0.0 or ::,
                                       ///< unless members are discovered
  std::vector<member_config> members;  ///< 1 to 64 founders, the same at all
  bool catalogue = false;              ///< the cluster keeps a table of its nodes, which can be added, moved and removed while it
                                       ///< runs (docs/membership.md); the same at all founders
  std::vector<std::string> join;       ///< this node is none of the founders but was added, and learns from whoever answers there
                                       ///< what the cluster is: "host:port", "srv:NAME" or "file:PATH". Then `members` may be left out,
                                       ///< and `listen` must be given
  std::vector<std::string> discover;   ///< further sources of addresses, "file:PATH" or "srv:NAME" (docs/discovery.md)
  std::string cluster;                 ///< the same at all; nodes of other clusters refuse. Needed where members are
                                       ///< discovered, since then their addresses tell no cluster from another
  std::string name_servers;            ///< "10.0.0.2, 127.0.0.1:8600"; empty: those of the system
  std::string compression = "off";     ///< "zstd": payload goes compressed to every member, for slow links; each node for itself
  std::vector<member_config> gateways; ///< where members serve clients outside the group, "host:port", the same at all (docs/rpc.md);
                                       ///< a node that is not among them serves none
  std::string metrics;                 ///< "host:port" where GET /metrics tells Prometheus how the node is (docs/operating.md);
                                       ///< empty: nowhere. Not encrypted, open to whoever reaches it
  std::vector<std::string> witnesses;  ///< members that keep the log but neither payload nor state in groups whose contract has
                                       ///< witnesses: the first so many, the same at all nodes (docs/contracts.md, G5)
  std::uint64_t epoch = 0;             ///< `--new-epoch`: founds anew after all members of a volatile group were lost
  unsigned workers = 0;                ///< application threads; 0: cores - 1, at least 1
  std::uint64_t journal_quota = 64ull << 30;  ///< bytes on disk
  /// `run`: from the request to stop to the end of the process. Within it application processes stop, leadership is handed
  /// over, submissions are resolved, checkpoints stored; past it the process ends as it is, which loses nothing acknowledged.
  std::chrono::milliseconds stop_limit{30000};
  bool one_flush = false;              ///< one disk flush per commit under load (docs/journal.md)
  std::string log_level = "info";      ///< trace, debug, info, warn, error, off
  std::string log_file;                ///< empty: stderr
  std::map<std::string, contract, std::less<>> groups;  ///< contracts by group, for those hosted without one
};

/// The configuration or the start failed; `what()` says what, where and what to do.
struct node_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Fills a configuration from `--name N --data DIR --member NAME=HOST:PORT ... [--listen HOST:PORT] [--new-epoch N]
/// [--discover SOURCE ...] [--cluster NAME] [--name-servers LIST] [--stop-limit SECONDS] [--log-level L]
/// [--gateway NAME=HOST:PORT ...] [--metrics HOST:PORT] [--catalogue yes|no] [--join HINT ...]`. Throws `node_error`.
node_config config_from_arguments(int argc, char** argv);

/// A line of the cluster's table of nodes.
struct node_info {
  std::string name;
  std::string address;
  bool founder = false;
  bool present = true;  ///< false: removed for good
};

/// A group that was created while the cluster ran.
struct group_info {
  std::string name;
  std::uint32_t number = 0;   ///< never used again in this cluster
  std::string type;           ///< under which programs register who gets its messages
  std::string why_not;        ///< empty: it runs here
  std::vector<std::string> hosts;  ///< names of the nodes that have it; empty: all
};

/// On which nodes a group is created.
struct group_placement {
  std::vector<std::string> on;         ///< names of nodes, up to 64, an even number as well; empty: all, and those that come later
  std::vector<std::string> witnesses;  ///< nodes, of these or beside them, that keep the log alone (docs/contracts.md, G5), as many as the
                                       ///< contract says, which may leave that out; empty: as the nodes' configurations name them
};

/// What happened to such a group on this node.
struct group_event {
  enum class kind : std::uint8_t {
    hosted,      ///< it runs here from now on: also told after a restart of the node
    not_hosted,  ///< it is there, and this node cannot take part; `info.why_not` says why
    deleted,     ///< it is no more
  };
  kind what{};
  group_info info;
};

/// What became of a change of a living group.
struct change_result {
  bool done = false;
  std::string why;  ///< if not: why
  explicit operator bool() const { return done; }
};

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

  /// Hosts a replica of `group` here. `make` is called on an application thread, again for each restart. Without a contract
  /// it is that of the configuration (`node_config::groups`), else the default one. Throws `node_error` if the contract
  /// contradicts itself, the number of members or this node, or asks for what is not built yet: with the rules, the
  /// reasons and the nearest legal contract (`check`). What is only doubtful is logged.
  void replicate(std::string_view group, machine_factory make);
  void replicate(std::string_view group, machine_factory make, contract how);
  template <class Machine>
  void replicate(std::string_view group) {
    replicate(group, maker<Machine>());
  }
  template <class Machine>
  void replicate(std::string_view group, contract how) {
    replicate(group, maker<Machine>(), how);
  }
  template <class Machine, order Default, order... Others>
  void replicate(std::string_view group, const static_contract<Default, Others...>& how) {
    replicate(group, maker<Machine>(), how.replicating());
  }
  /// The same with a listener beside the state machine, called on the same thread: it hears the messages of all orders, those in
  /// total order before the state machine applies them. State may depend on nothing but total order (G11), so the state machine
  /// is given no others.
  void replicate(std::string_view group, machine_factory make, contract how, listener_factory beside);
  /// Hosts a service of which one member executes the requests, and the others follow by its updates; this node's backup is of kind
  /// `backups`. `make` is called on the replica's thread, and more than once. Requests are
  /// submitted as to a state machine, through ports or a group's handle; a message may be `message_bytes_max` - 1 bytes long, and
  /// so may what the execution of one request writes.
  void replicate_primary(std::string_view group, primary_service_factory make, backup_kind backups = backup_kind::hot);
  void replicate_primary(std::string_view group, primary_service_factory make, contract how, backup_kind backups = backup_kind::hot);
  template <class Service>
  void replicate_primary(std::string_view group, backup_kind backups = backup_kind::hot) {
    replicate_primary(group, [] { return std::unique_ptr<primary_service>(std::make_unique<Service>()); }, backups);
  }
  /// Hosts a candidate for the group's one instance (<cohort/singleton.hpp>); messages are submitted as to a primary/backup group.
  void host_singleton(std::string_view group, singleton_factory make);
  void host_singleton(std::string_view group, singleton_factory make, contract how);
  template <class Singleton>
  void host_singleton(std::string_view group) {
    host_singleton(group, [] { return std::unique_ptr<singleton>(std::make_unique<Singleton>()); });
  }
  /// Hosts a process that is given whole batches instead of single messages; its checkpoints are empty.
  void listen(std::string_view group, listener_factory make);
  void listen(std::string_view group, listener_factory make, contract how);

  /// Opens the journal, recovers, listens, dials. Returns once the node runs (it need not have a quorum yet).
  /// Throws `node_error`: port in use, data directory of another node, damaged, already open, ...
  void start();
  /// Drains and ends all threads: no new submissions, pending ones are resolved or reported, journal flushed and closed.
  void stop();
  /// `start`, unless done; blocks until SIGTERM, SIGINT, `request_stop` or a fatal failure; then `stop`, within
  /// `node_config::stop_limit`. Tells a service manager that set $NOTIFY_SOCKET (sd_notify) ready, status, stopping, and
  /// its watchdog as long as the protocol thread passes through its groups.
  /// Returns the exit code: 0, or 1 after a failure (which has been logged).
  int run();
  /// If this node leads `group`: lets the member that is furthest lead instead, without waiting for a timeout (Raft
  /// dissertation, section 3.10). Returns at once; nothing is lost, submissions wait about two round trips. `stop` does this
  /// by itself. Crash model.
  void hand_over(std::string_view group);
  /// This node leaves `group` for good, for its remaining members' quorum (V9). Refused if those that stay and are active would be
  /// no quorum (V10). Once done submissions here complete as `not_member`, and the node goes on with its other groups; what was
  /// submitted and not resolved is `unknown`. A process that is started with the group again asks to join anew.
  ///
  /// This and the three below: thread-safe, on a node that was started. The future is ready at the latest when the node stops, or
  /// about 30 s after the question if nobody leads the group (then the change may still happen).
  std::future<change_result> leave(std::string_view group);
  /// A member loses its place and its vote, whether it runs or not, and may not join again before `restore_member`.
  std::future<change_result> remove_member(std::string_view group, std::string_view member);
  std::future<change_result> restore_member(std::string_view group, std::string_view member);
  /// From the next view on the group runs under `to` at all members (X1). Refused with the reason if `check_change` refuses it
  /// (weaker promises only if `weaker_accepted`), if it differs from the contract in force in a field that is fixed while the
  /// group runs, or if the leader refuses it. Nodes' configurations are not changed by it and stay as they were founded: the view that a node finds tells it the rules.
  std::future<change_result> change(std::string_view group, const contract& to, bool weaker_accepted = false);
  /// The contract in force: that of the configuration with all changes made since.
  contract rules(std::string_view group) const;

  /// The three below change the cluster's table of nodes (`node_config::catalogue`), once for all nodes: who is in it may be a member
  /// of the groups it hosts, is dialled by all, and found at its address. Thread-safe, on a node that was started; the future is
  /// ready within about 10 s. What is done before is done: a change whose driver died may be asked for again, anywhere.
  ///
  /// `name` may join: it is started with `join`, and with the same groups.
  std::future<change_result> add_node(std::string_view name, std::string_view address);
  /// `name` is elsewhere from now on; also one whose disk is gone, and which comes back blank under its old name.
  std::future<change_result> move_node(std::string_view name, std::string_view address);
  /// `name` is none of the cluster for good: every group goes on without its place and its vote (V9), whoever dies meanwhile, and no
  /// node links with it again. Refused if what this node knows of a group says that the others would be no quorum (V10).
  std::future<change_result> remove_node(std::string_view name);
  /// All nodes the cluster ever had, as this node knows it; founders first. Any thread.
  std::vector<node_info> nodes() const;

  /// Who gets the messages of groups of that type, which are created while the cluster runs (`create_group`). Before `start`, and the
  /// same at all nodes: a node without it has no part in such a group, says so in its status and its log, and takes part once it runs a
  /// program with it. `make` is called as for `replicate`, `replicate_primary`, `host_singleton` and `listen`. Throws `node_error` if the type is registered
  /// already, or its name is none: 1 to 64 of [A-Za-z0-9_.-].
  void register_machine(std::string_view type, machine_factory make, listener_factory beside = {});
  template <class Machine>
  void register_machine(std::string_view type) {
    register_machine(type, maker<Machine>());
  }
  void register_primary(std::string_view type, primary_service_factory make, backup_kind backups = backup_kind::hot);
  /// One instance in each group of the type, as `host_singleton` has it; `register_singleton` in <cohort/singleton_actor.hpp> takes actors.
  void register_singleton(std::string_view type, singleton_factory make);
  void register_listener(std::string_view type, listener_factory make);

  /// Creates a group of a registered type on the nodes that `where` names, or on all of the cluster, also on those that are down, once a
  /// quorum of the catalogue has it on disk (`node_config::catalogue`). It begins with those of them that are voters of the catalogue at
  /// that moment; a quorum of them is enough (V19), and the others join. Refused with the reason if `check` refuses the contract for so
  /// many members, if this node's program registers no such type, if there is no such node, or if a group of that name exists and is set
  /// up differently. Asking again for what exists is done. When the future says done, the group runs here, if it is to: `port` opens ports
  /// into it. Crash model; thread-safe, ready within about 15 s.
  std::future<change_result> create_group(std::string_view name, std::string_view type, contract how = {}, group_placement where = {});
  /// `node` has a part from now on in a group that was created on some nodes: it joins, runs or not, and gets what the group holds. To
  /// replace a host: extend the group, then `remove_member`. Thread-safe, ready within about 10 s.
  std::future<change_result> extend_group(std::string_view name, std::string_view node);
  /// Deletes such a group for good: at all nodes its replica ends, what waits is refused, actors are told (`group_deleted`, and
  /// `down_reason::deleted` to monitors), and what it had on disk is freed. A group of that name which is created later is another one
  /// and begins empty. What it can change while it runs: `change`.
  std::future<change_result> delete_group(std::string_view name);
  /// All such groups that are there. Any thread.
  std::vector<group_info> created_groups() const;
  /// `tell` is called on a thread of the node's for each event; it must not block, nor create or delete groups and wait. Before `start`.
  void on_group_event(std::function<void(const group_event&)> tell);

  /// Makes `run` return. Any thread, also a signal handler's watcher.
  void request_stop();

  /// Opens a port into `group`. `wake` may be empty for callers that poll `take`.
  group_port port(std::string_view group, port_wake wake = {});
  /// The same for a group hosted with `how`, whose orders the compiler knows. Throws `node_error` if others are enabled there.
  template <order Default, order... Others>
  typed_port<static_contract<Default, Others...>> port(std::string_view group, const static_contract<Default, Others...>& how,
                                                       port_wake wake = {}) {
    expect_orders(group, how);
    return typed_port<static_contract<Default, Others...>>(port(group, std::move(wake)));
  }
  /// This node drops what it holds of the group, memory and disk, and is given the others' state: for a member whose state was found to differ
  /// (docs/state-machines.md), one that stopped for it included. To the group it is a host whose disk is gone: it votes under another identity,
  /// and what it had acknowledged rests with the others, of whom there must be a quorum, else it is refused. The node's part in all of
  /// its groups begins anew, as after a failure of a replica; ports stay. Ready once the state is dropped and the node asks for another one;
  /// until it has one, submissions are refused. Throws `node_error` if the node hosts no such group. Any thread.
  std::future<change_result> repair(std::string_view group);
  /// `tell` is called whenever comparing the states of a group's replicas brings something new to light (docs/state-machines.md), on
  /// the thread of that replica, one call at a time: short, and no call of this node in it but `request_stop`. Replaces an earlier
  /// one; empty: nobody is told but log, status and metrics. Any thread.
  void on_divergence(std::function<void(const divergence_report&)> tell);
  group_status status(std::string_view group) const;
  /// Who executes in a primary/backup group, as this node's replica knows it. Any thread.
  primary_status primary(std::string_view group) const;
  /// Non-empty once a fatal failure ended the node: what, where, what to do.
  std::string failure() const;
  const node_config& config() const;

  struct impl;
  /// For `<cohort/group.hpp>` and tests.
  impl& internals() { return *impl_; }

private:
  template <class Machine>
  static machine_factory maker() {
    return [] { return std::unique_ptr<state_machine>(std::make_unique<Machine>()); };
  }
  void expect_orders(std::string_view group, const contract& how) const;

  std::unique_ptr<impl> impl_;
};

}  // namespace cohort
