#pragma once

// Inside actors/ only: includes CAF.
#include "actors/bulk.hpp"
#include "actors/discovery.hpp"
#include "actors/figures.hpp"
#include "actors/known_nodes.hpp"
#include "actors/log.hpp"
#include "actors/membership.hpp"
#include "actors/monitors.hpp"
#include "actors/node_config.hpp"
#include "actors/numbered.hpp"
#include "actors/ordering.hpp"
#include "actors/process.hpp"
#include "actors/schedule.hpp"

#include "transport/endpoint.hpp"

#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace cohort::detail {

/// What a runtime tells the node. Any thread.
struct runtime_calls {
  /// Something that a restart may cure: a replica threw, the journal stopped.
  std::function<void(const std::string& why)> failed;
  std::shared_ptr<monitors> watch;  ///< is told of nodes and groups
  /// The application is told of it on a replica's thread.
  std::function<void(const divergence_report&)> diverged;
};

/// One life of a node between start and stop (or failure): journal, loop, links, cores, pinned actors, processes. A
/// node whose replica failed ends its runtime and begins another: in journaled groups it redoes from its journal, in
/// volatile ones it comes back with a new boot id and a checkpoint from the others. To the group both look like the
/// restart of a process, so no rule of their own is needed.
class runtime final : public driver_host, public transport::endpoint_handler, public protocol::pulse_host {
public:
  /// Opens the journal, recovers, binds the port, starts the threads. Of the groups at the places `give_up` nothing that the directory
  /// holds counts any more: they are joined anew. Throws `node_error`.
  runtime(const node_config& config, std::shared_ptr<known_nodes> nodes, std::vector<std::shared_ptr<group_entry>> groups,
          caf::actor_system& system, logger& log, runtime_calls calls, std::vector<std::uint32_t> give_up = {});
  /// Ends without drain, unless `drain` was called before.
  ~runtime() override;

  /// Takes no more submissions, lets others lead what this node leads, and waits until that is done and submissions under
  /// way are resolved, but not longer than their bound; then stores a checkpoint of each journaled group, so that the next
  /// start has little to redo. All within `limit`, of which a quarter is kept for the checkpoints.
  void drain(std::chrono::nanoseconds limit);
  /// Gives the protocol thread a turn; `turns` tells when it has had it. Any thread.
  void nudge();
  std::uint64_t turns() const { return turns_.load(std::memory_order_relaxed); }

  /// How all is, as soon as the protocol thread gets to it; broken if the runtime ends before. Any thread.
  std::future<node_figures> look();

  /// Takes part in a group that was created while the runtime runs, beside `groups` others, and so far not in it. Reads the disk on the
  /// calling thread and returns once the group runs, or says why it does not. One call at a time, not within the loop.
  std::string host(const std::shared_ptr<group_entry>& entry, std::size_t groups, const std::function<bool()>& given_up);
  /// Whether nothing is left of those who had the group's place before it: call `host` then. If something is, sees to it that it goes,
  /// and returns at once; ask again. Not within the loop.
  bool makes_room(std::uint32_t number, const std::function<bool()>& given_up);
  /// The group was deleted: its replica ends, ports into it are refused, its actors are told, and what the journal has of it goes.
  /// Also for one that this life of the runtime never hosted. Any thread; returns at once.
  void drop(std::uint32_t number);
  /// Numbers of groups that were created, of which the directory holds something that nobody told to go. Any thread.
  std::vector<std::uint32_t> kept() const;
  /// Who would found a group now: the voters of the catalogue's group, and which of them are linked under which process. Any thread.
  std::future<std::vector<catalogue::founder_line>> founders_now(std::uint32_t catalogue);
  /// Passes of groups' cores so far. Any thread.
  std::uint64_t passes() const { return passes_.load(std::memory_order_relaxed); }
  /// For tests: the protocol thread.
  std::thread::id protocol_thread() const { return protocol_thread_.get_id(); }

private:
  class link_to_group;
  struct group {
    explicit group(std::shared_ptr<group_entry> of)
        : entry(std::move(of)), heartbeat(entry->how.heartbeat), election_min(entry->how.election_min) {}
    std::shared_ptr<group_entry> entry;
    std::shared_ptr<driver_credit> credit;
    std::shared_ptr<group_driver> driver;
    std::shared_ptr<link_to_group> link;
    caf::actor ordering, membership, process;
    std::future<void> process_ended;
    std::uint64_t voter = 0;  ///< voter_id::identity
    protocol::duration heartbeat, election_min;  ///< in force (X1)
    contract rules = entry->how;  ///< in force
    bool witness = false;     ///< this node keeps the log, but no payload and no state (W1)
    bool odd = false;         ///< begins with a state that was found to differ from the majority's
    bool blank = true;        ///< the directory never saw the group
    std::string trouble;      ///< protocol thread
    protocol::instant removal_asked = -std::chrono::hours(1);  ///< protocol thread
    log_index checkpoint_goal = 0;  ///< protocol thread, while stopping
    std::map<std::uint64_t, std::pair<protocol::instant, std::uint64_t>> quieted;  ///< events that repeat
  };

  /// What a group begins from.
  struct prepared {
    std::unique_ptr<group_core> core;
    std::shared_ptr<const protocol::recovered_state> state;  ///< groups with one history
    protocol::journal_position last = 0;
    std::optional<persistence::checkpoint_info> checkpoint;
    bool goes_on = false;  ///< with a state that is there
    std::string line;  ///< for the log
  };

  static std::uint64_t random_bits();
  protocol::pulse_options pulse_options_now() const;
  void open_journal(std::vector<std::uint32_t> give_up);
  static std::string shown_name(const group_entry& g);
  persistence::group_options stored_as(const group_entry& g) const;
  transport::group_config shown_as(const group& g) const;
  std::filesystem::path cold_files(std::uint32_t index) const;
  prepared prepare(group& g, std::size_t groups);
  void begin_by_decree(const group_entry& g, protocol::core_start& start) const;
  std::unique_ptr<group_core> core_for(const group_entry& g, const protocol::core_start& start,
                                       protocol::partition::recovered_ptr life, std::size_t groups) const;
  void begin(group& g, prepared p);
  void connect(group& g);
  static void disconnect(group& g);
  void forget(std::uint32_t number);
  void drop_kept(std::uint32_t number);
  void drop_files(std::uint32_t number);
  void open_endpoint();
  void run_loop();
  void end();
  void end_processes();
  replica_services services_for(const group& g);
  void store_checkpoint(std::uint32_t index, const caf::actor& ordering, const protocol::mark& at, bool on_disk,
                        const std::function<void(sink&)>& write);
  void pass();
  void send_pulses();
  bool drained_dry() const;
  group_status status_of(const group& g) const;
  void journal_trouble(const persistence::trouble& t);
  bool quiet(group& g, const protocol::event& e, std::uint64_t& suppressed);
  std::string where(const group& g) const;
  std::string name_of(member_id id) const { return id == no_member ? "nobody" : nodes_->name_of(id); }
  std::vector<std::string> node_names() const;
  void nodes_changed();
  void know(const catalogue::node_line& node);
  void settle_removed();
  bool remove_from(group& g, member_id node);
  std::uint64_t contract_hash(const group& g) const;
  std::filesystem::path wrong_state_mark(std::uint32_t group) const;
  std::string wrong_state(const group_entry& of) const;
  bool mark_wrong_state(const group_entry& of, const std::string& why) const;
  std::string how_to_repair(const group_entry& of) const;
  void begin_with_mark(group& g);
  void diverged(group_entry& of, const caf::actor& ordering, const divergence_report& what, const std::vector<member_id>& odd);
  std::uint64_t founding_hash(const group& g) const;
  std::vector<member_id> witnesses_of(const group& g) const;

  // driver_host, on the protocol thread
  void send(std::uint32_t group, std::span<const member_id> targets, const protocol::message& what) override;
  std::size_t payload_queued(member_id peer) const override;
  bool append(std::uint32_t group, std::span<protocol::persist_op> ops) override;
  void deliver(std::uint32_t group, work_ptr w) override;
  void happened(std::uint32_t group, const protocol::event& e) override;
  void view_installed(std::uint32_t group, const protocol::deliver_view& v) override;
  void again(std::uint32_t group) override { again_.push_back(place_of(group)); }
  void touched(std::uint32_t group) override { schedule_.touch(place_of(group)); }
  void tell_contacts(std::uint32_t group, group_core& to) override;
  void vouch(std::uint32_t group, const protocol::vouch& what) override { pulses_->say(group, what); }
  void withdrawn(std::uint32_t group, const std::string& why) override;
  void state_judged(std::uint32_t group, const std::string& why_odd) override;

  // pulse_host, on the protocol thread
  void touch(std::uint32_t group) override;

  // endpoint_handler, on the protocol thread
  void on_message(std::uint32_t group, protocol::voter_id from, protocol::message&& what) override;
  void on_link_up(std::uint32_t group, protocol::voter_id peer, bool blank) override;
  void on_group_down(std::uint32_t group, member_id peer) override;
  void on_link_down(member_id peer, bool reset) override;
  void on_pulse(member_id peer, const protocol::pulse& what) override;
  void on_event(const transport::link_event& what) override;

  const node_config config_;
  caf::actor_system& system_;
  logger& log_;
  runtime_calls calls_;
  const std::shared_ptr<known_nodes> nodes_;
  member_id self_ = no_member;
  std::uint64_t boot_id_ = 0;
  numbered<group> groups_;                       ///< protocol thread, or while there is none
  std::vector<std::shared_ptr<group>> ending_;   ///< likewise: deleted ones whose process has not ended

  // In the order of their construction; destroyed the other way round.
  std::unique_ptr<transport::loop> loop_;
  std::unique_ptr<persistence::journal> journal_;
  std::unique_ptr<bulk_worker> chunk_loads_;
  std::unique_ptr<bulk_worker> checkpoints_;
  std::shared_ptr<pinned_unit> unit_;
  std::unique_ptr<transport::endpoint> endpoint_;
  std::unique_ptr<discovery> discovery_;
  std::unique_ptr<transport::timer> deadline_, removal_;
  std::thread protocol_thread_;
  schedule schedule_;
  catalogue::node_table table_;             ///< protocol thread: what of `nodes_` is in force here
  std::vector<member_id> leaving_nodes_;    ///< protocol thread: removed, and perhaps not out of every group
  std::vector<std::uint32_t> again_, waiting_;  ///< places
  std::unique_ptr<protocol::pulses> pulses_;
  bool ended_ = false;
  std::shared_ptr<std::promise<void>> drained_;  ///< set while draining
  std::shared_ptr<std::promise<void>> stored_;   ///< set while the last checkpoints are on their way
  std::atomic<std::uint64_t> passes_{0}, turns_{0};
};

}  // namespace cohort::detail
