#pragma once

// Inside actors/ only: includes CAF.
#include "actors/admin.hpp"
#include "actors/catalogue_desk.hpp"
#include "actors/death_book.hpp"
#include "actors/gateway.hpp"
#include "actors/group_board.hpp"
#include "actors/monitors.hpp"
#include "actors/runtime.hpp"
#include "actors/service_notice.hpp"
#include "actors/supervision.hpp"

#include <cohort/node.hpp>
#include <cohort/resilient_process.hpp>
#include <cohort/stable_storage.hpp>

#include <atomic>
#include <condition_variable>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace cohort {

/// Owns what outlives a restart of the runtime: configuration, groups with their ports, the actor system, the
/// supervisor, and the keeper thread which carries out what the supervisor decides.
struct node::impl {
  explicit impl(node_config wanted);
  ~impl();

  /// What a group is given to: one of them at least.
  struct application {
    machine_factory machine;
    listener_factory listener;
    primary_service_factory service;
    backup_kind backups = backup_kind::hot;
    /// Makes the service's factory for a group of that name, where they are not all alike.
    std::function<primary_service_factory(const std::string& group)> service_of = {};
  };
  void host(std::string_view group, application what, const contract& how);
  /// Makes the actor which is the group's handle here, instead of the usual one.
  using front_factory = std::function<caf::actor(caf::actor_system&, std::shared_ptr<const detail::group_entry>,
                                                 std::function<group_port(port_wake)>)>;
  void front(const std::string& group, front_factory make) { fronts_[group] = std::move(make); }
  /// The home of the node's resilient processes, made by the first call.
  std::shared_ptr<resilient_home::impl> resilient(const std::function<std::shared_ptr<resilient_home::impl>()>& make);
  /// What brought its process down before.
  const std::shared_ptr<detail::death_book>& deaths() const { return deaths_; }
  /// A dead letter that no child's mailbox held: of a replicated process of this name.
  void put_letter(const std::string& name, caf::message what, unsigned lives, const std::string& why);
  void drop_letter(std::uint64_t number);
  /// The contract which the configuration has for a group, or the default one.
  contract configured(std::string_view group) const;
  void start();
  void stop(bool gently);
  int run();
  void request_stop();
  std::shared_ptr<detail::group_entry> entry(std::string_view group) const;
  group_port open_port(std::string_view group, port_wake wake);
  static group_port open(const std::shared_ptr<detail::group_entry>& owner, port_wake wake);
  caf::actor group_handle(std::string_view group);
  void hand_over(std::string_view group);
  std::future<change_result> change(std::string_view group, protocol::change_kind kind, std::string_view member,
                                    const protocol::view_options& options = {}, const std::optional<protocol::view_options>& based_on = {});
  std::future<change_result> change_rules(std::string_view group, const contract& to, bool weaker_accepted);
  contract rules(std::string_view group) const;
  std::future<change_result> change_nodes(catalogue::command what);
  std::vector<node_info> nodes() const;
  void register_type(std::string_view type, application what);
  std::future<change_result> create_group(std::string_view name, std::string_view type, contract how, group_placement where);
  std::future<change_result> extend_group(std::string_view name, std::string_view node);
  std::future<change_result> delete_group(std::string_view name);
  std::vector<group_info> created_groups() const;
  std::future<change_result> repair(std::string_view group);
  void on_divergence(std::function<void(const divergence_report&)> tell);
  void subscribe(std::string_view group, const caf::actor& process, group_news what);
  std::shared_ptr<supervisors::impl> supervision() const;
  detail::monitors& watch() const;
  caf::actor_system& system();
  std::shared_ptr<cohort::stable_store> stable_storage(const stable_storage_options& how);
  std::string failure_text() const;
  std::thread::id protocol_thread() const;
  /// Passes of group cores since the runtime began.
  std::uint64_t passes() const;

  node_config config;  ///< fixed once started: a node that joins learns the founders at its start
  std::function<void(const group_event&)> on_group_event;
  restart_limits limits;  ///< of replicas and of the application's trees; tests change them before `start`
  std::uint32_t reserved_places = 0;  ///< that no group which is created has, beside those of the program's own; tests change it before `start`
  mutable detail::logger log;

private:
  /// What a service manager was told.
  struct heartbeat {
    std::uint64_t turns = 0;
    std::string status;
    std::chrono::steady_clock::time_point next_feed, next_status;
  };
  void keep_informed(detail::service_notice& manager, heartbeat& beat);
  std::string status_line() const;
  void keep();
  void gateway_failed(const std::string& why, bool over);
  void restart();
  void fail(const std::string& why);
  void runtime_failed(const std::string& why);
  /// Somebody wants the node to drop its state of a group.
  struct repair_asked {
    std::shared_ptr<detail::group_entry> of;
    std::shared_ptr<std::promise<change_result>> done;
  };
  void new_runtime(std::vector<std::uint32_t> give_up = {});
  std::vector<std::uint32_t> given_up(const std::vector<repair_asked>& repairs) const;
  void refuse_repairs(const std::string& why);
  void start_supervisors();
  void end_supervisors();
  void end_actors();
  std::optional<child_status> child_at(const std::string& path) const;
  void admit(const detail::group_entry& group) const;
  std::shared_ptr<detail::group_entry> entry_for(std::string_view group, application what, const contract& how) const;
  void groups_changed();
  void settle_groups();
  void host_created(const catalogue::group_line& line);
  void drop_created(std::uint32_t number);
  std::string join_created(const catalogue::group_line& line, std::shared_ptr<detail::group_entry>& entry);
  bool gives_up();
  bool settled_here(std::string_view group, bool present) const;
  std::optional<std::string> name_founders(catalogue::command& of, const contract& how, const std::vector<std::string>& witnesses);
  std::vector<catalogue::founder_line> voters_now() const;
  bool is_here(const catalogue::group_line& line) const;
  std::vector<std::string> hosts_of(const catalogue::group_line& line) const;
  void tell(group_event::kind what, group_info info) const;
  void tell_subscribers(const detail::group_entry& of);
  void find_nodes();
  std::string quorum_without(std::string_view node);
  void open_admin();
  std::optional<detail::node_figures> look();

  /// A group of the catalogue's table, and what this node makes of it.
  struct created_group {
    group_info info;
    std::shared_ptr<detail::group_entry> entry;  ///< null if it never ran here
    bool runs = false;                           ///< in the runtime that is
  };

  mutable std::mutex groups_mutex_;  // guards `groups_`, `created_` and `handles_` once the node was started
  std::map<std::string, std::shared_ptr<detail::group_entry>, std::less<>> groups_;
  std::map<std::uint32_t, created_group> created_;  ///< by number; the keeper's, who changes it under the mutex
  bool places_awaited_ = false;  ///< keeper's: a group begins when what had its place before is gone
  std::map<std::string, application, std::less<>> types_;
  const std::shared_ptr<detail::group_board> board_ = std::make_shared<detail::group_board>();
  std::shared_ptr<detail::known_nodes> nodes_;
  std::shared_ptr<detail::monitors> watch_;
  std::shared_ptr<detail::spare_blocks> spares_ = std::make_shared<detail::spare_blocks>();
  std::shared_ptr<detail::group_entry> catalogue_;  ///< null if the cluster keeps none
  std::unique_ptr<detail::catalogue_desk> desk_;
  transport::cluster_nodes found_;  ///< what of the cluster does not change
  std::optional<caf::actor_system_config> system_config_;
  std::optional<caf::actor_system> system_;
  caf::actor supervisor_;  ///< a `supervision_host`
  std::shared_ptr<supervisors::impl> supervision_;
  std::shared_ptr<detail::dead_letters> letters_;
  const std::shared_ptr<detail::death_book> deaths_ = std::make_shared<detail::death_book>(log);
  std::map<std::string, front_factory> fronts_;
  mutable std::mutex resilient_mutex_;  // guards `resilient_`
  std::shared_ptr<resilient_home::impl> resilient_;
  std::map<std::string, caf::actor, std::less<>> handles_;
  std::unique_ptr<detail::gateway> gateway_;  ///< null if this node serves no clients
  std::unique_ptr<detail::admin> admin_;

  std::mutex divergence_mutex_;  // guards what follows
  std::function<void(const divergence_report&)> tell_divergence_;

  std::mutex stable_mutex_;  // guards `stable_`, of which the opening takes long
  std::shared_ptr<stable_store> stable_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::unique_ptr<detail::runtime> runtime_;
  std::thread keeper_;
  std::uint64_t runtime_restarts_ = 0;
  bool started_ = false;
  bool restart_wanted_ = false;
  std::vector<repair_asked> repairs_;
  bool groups_changed_ = false;
  bool ending_ = false;
  bool stop_wanted_ = false;
  std::string failure_;
  struct subscriber {
    std::shared_ptr<detail::group_entry> group;
    caf::actor_addr process;
    group_news what{};
  };
  std::vector<subscriber> subscribers_;
};

}  // namespace cohort
