#pragma once

#include "framework/catalogue/group_table.hpp"
#include "actors/divergence_guard.hpp"
#include "actors/spare_blocks.hpp"

#include "framework/protocol/messages.hpp"

#include <cohort/node.hpp>

#include <caf/fwd.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace cohort {
enum class group_news : std::uint8_t;
}  // namespace cohort

namespace cohort::detail {

class call_desk;
class death_book;
class monitors;
class watch_hub;
struct port_state;
struct question_set;

/// The rules a group runs under at the moment, and whom they bind.
struct group_rules {
  protocol::view_options options;
  unsigned voters = 0;
  unsigned inactive = 0;  ///< voters that are away; witnesses are not
};

/// A change of the view that somebody asks for. `done` is called once, on any thread.
struct change_asked {
  protocol::change_kind kind{};
  std::string member;  ///< whom it concerns
  protocol::view_options options;
  std::function<void(change_result)> done;
  std::optional<protocol::view_options> based_on;  ///< the rules that were looked at to choose these
};

/// The running side of a group on this node, as ports see it. Any thread may call.
class group_link {
public:
  virtual ~group_link() = default;
  /// `port` has blocks in its inbox. One that has ended meanwhile refuses them at once.
  virtual void flushed(std::shared_ptr<port_state> port) = 0;
  /// The protocol thread is to look at the group's desk.
  virtual void calls_changed() = 0;
  /// Questions for the replica as it is.
  virtual void ask(std::shared_ptr<question_set> questions) = 0;
  virtual group_status status() = 0;
  /// Empty if it has ended.
  virtual std::optional<group_rules> rules() = 0;
  virtual void change(change_asked what) = 0;
  /// Another member leads, if this one does.
  virtual void hand_over() = 0;
  /// `process` gets the group's views from now on, the newest at once, and what else it wants.
  virtual void tell_views(const caf::actor& process, group_news what) = 0;
};

/// One group hosted here. Outlives restarts of its replica, so ports stay valid.
struct group_entry {
  std::string name;
  contract how;
  node::machine_factory make_machine;    ///< one of the three at least is set
  node::listener_factory make_listener;
  primary_service_factory make_service;  ///< instead of a state machine: the group is primary/backup ...
  backup_kind backups = backup_kind::hot;  ///< ... and this node's backup is of this kind
  std::shared_ptr<monitors> watch;       ///< is told of each view; null in tests of parts
  std::shared_ptr<watch_hub> hub;        ///< null where no gateway serves clients that watch
  std::shared_ptr<spare_blocks> spares = std::make_shared<spare_blocks>();  ///< of the node
  std::shared_ptr<call_desk> desk;       ///< where the contract has `calls`
  std::shared_ptr<death_book> deaths;    ///< of the node's process; null in tests of parts
  std::uint32_t index = 0;               ///< in the order of the groups' names, equal at all members; or as created
  std::optional<catalogue::group_line> created;  ///< while the cluster ran; else it is one of the application's own
  std::atomic<bool> by_lease{false};     ///< linearizable reads are confirmed by a lease, by the rules in force
  std::atomic<std::uint64_t> message_limit{0};  ///< of the view installed last; 0: none has been since the start
  std::atomic<bool> left{false};         ///< this node left the group: a restarted runtime does not join again
  std::atomic<bool> diverged{false};     ///< ... because its state differs from the majority's

  /// What ports accept. What they accepted goes its way, however the limit changes meanwhile (X1).
  std::uint64_t message_bytes_max() const {
    const auto now = message_limit.load(std::memory_order_relaxed);
    return now == 0 ? how.message_bytes_max : now;
  }

  std::shared_ptr<group_link> running() const {
    std::lock_guard guard(mutex);
    return link;
  }
  void run_by(std::shared_ptr<group_link> now) {
    std::lock_guard guard(mutex);
    link = std::move(now);
  }

  void add_port(const std::shared_ptr<port_state>& port) {
    std::lock_guard guard(mutex);
    std::erase_if(ports, [](auto& p) { return p.expired(); });
    ports.push_back(port);
  }
  std::vector<std::shared_ptr<port_state>> open_ports() const {
    std::lock_guard guard(mutex);
    std::vector<std::shared_ptr<port_state>> open;
    for (auto& p : ports)
      if (auto port = p.lock()) open.push_back(std::move(port));
    return open;
  }

  void report(const primary_status& now) {
    std::lock_guard guard(mutex);
    primary = now;
  }
  primary_status reported() const {
    std::lock_guard guard(mutex);
    return primary;
  }

  void report(const divergence_figures& now) {
    std::lock_guard guard(mutex);
    states = now;
  }
  divergence_figures compared() const {
    std::lock_guard guard(mutex);
    return states;
  }

private:
  mutable std::mutex mutex;
  primary_status primary;
  divergence_figures states;
  std::vector<std::weak_ptr<port_state>> ports;
  std::shared_ptr<group_link> link;  ///< null while nothing runs
};

}  // namespace cohort::detail
