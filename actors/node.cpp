#include "actors/node_impl.hpp"

#include "actors/call_desk.hpp"
#include "actors/group_actor.hpp"
#include "actors/group_rules.hpp"
#include "actors/group_settings.hpp"
#include "actors/joining.hpp"
#include "actors/name_list.hpp"
#include "actors/node_config.hpp"
#include "actors/port_state.hpp"
#include "actors/resilient_process.hpp"
#include "actors/service_notice.hpp"
#include "actors/watch_hub.hpp"

#include "persistence/fatal_signals.hpp"

#include <cohort/contract_check.hpp>
#include <cohort/session.hpp>

#include <malloc.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <random>

namespace cohort {
namespace {

using namespace std::chrono_literals;

constexpr auto actors_patience = 5s;

sigset_t ending_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

void block_signals() {
  auto set = ending_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

/// Batches and frames of 64 KiB and more come and go all the time. By default glibc gives such blocks back to the kernel
/// and gets them again page by page: half of the time of a loaded node went into page faults.
void keep_freed_memory() {
  ::mallopt(M_MMAP_THRESHOLD, 16 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

/// True if SIGTERM or SIGINT arrived within `wait`.
bool signalled(std::chrono::nanoseconds wait) {
  auto set = ending_signals();
  timespec t{};
  t.tv_nsec = wait.count();
  return sigtimedwait(&set, nullptr, &t) > 0;
}

/// Where this node serves clients; null if it serves none.
const member_config* own_gateway(const node_config& config) {
  const auto own = std::ranges::find(config.gateways, config.name, &member_config::name);
  return own == config.gateways.end() ? nullptr : &*own;
}

/// Ends the process if the stop takes too long.
class stop_guard {
public:
  stop_guard(std::chrono::milliseconds limit, detail::logger& log)
      : thread_([this, limit, &log] {
          std::unique_lock guard(mutex_);
          if (ended_.wait_for(guard, limit, [this] { return stopped_; })) return;
          log.write(detail::log_level::error, "not stopped within " + std::to_string(limit.count()) +
                                                " ms: the process ends as it is; what was acknowledged is kept");
          std::quick_exit(1);
        }) {}
  ~stop_guard() {
    {
      std::lock_guard guard(mutex_);
      stopped_ = true;
    }
    ended_.notify_all();
    thread_.join();
  }

private:
  std::mutex mutex_;
  std::condition_variable ended_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace

node::impl::impl(node_config wanted)
    : config(detail::checked(std::move(wanted))), log([this]() -> detail::logger {
        try {
          return detail::logger(config.name, config.log_level, config.log_file);
        } catch (const std::runtime_error& e) {
          throw node_error(e.what());
        }
      }()),
      nodes_(std::make_shared<detail::known_nodes>(config.members)),
      watch_(std::make_shared<detail::monitors>(detail::monitors::facts{
        .is_node = [this](const std::string& name) { return nodes_->number_of(name).has_value(); },
        .is_group = [this](const std::string& name) {
          std::lock_guard guard(groups_mutex_);
          return groups_.contains(name);
        },
        .child = [this](const std::string& path) { return child_at(path); }})) {
  block_signals();
  keep_freed_memory();
}

node::impl::~impl() { stop(true); }

void node::impl::host(std::string_view group, application what, const contract& how) {
  if (started_) throw node_error("group " + std::string(group) + ": groups are named before the node starts");
  if (group.empty() || group.size() > 255) throw node_error("a group's name has 1 to 255 bytes");
  if (groups_.size() == group_places) throw node_error("a node hosts at most " + std::to_string(group_places) + " groups");
  if (group == detail::catalogue_group) throw node_error("group " + std::string(group) + ": that name is taken by the cluster's catalogue");
  auto entry = entry_for(group, std::move(what), how);
  if (!detail::is_joining(config)) admit(*entry);
  if (!groups_.try_emplace(entry->name, entry).second)
    throw node_error("group " + entry->name + " is named twice");
}

std::shared_ptr<detail::group_entry> node::impl::entry_for(std::string_view group, application what, const contract& how) const {
  auto entry = std::make_shared<detail::group_entry>();
  entry->name = group;
  entry->how = how;
  if (what.service_of) what.service = what.service_of(entry->name);
  entry->by_lease = how.reads == reads::lease;
  entry->watch = watch_;
  entry->deaths = deaths_;
  entry->spares = spares_;
  if (how.sessions && !what.machine)
    throw node_error("group " + std::string(group) + ": sessions = true needs a state machine, and this group has none");
  if (how.calls && what.service)
    throw node_error("group " + std::string(group) +
                     ": calls = true, and in a primary/backup group only the primary executes: a call would bring one answer, which "
                     "submitting (group_port::submit, an actor's request) brings as well and through any member; the backups' state is "
                     "read by queries. Leave calls out, or use a state machine that every member applies (node::replicate)");
  if (how.calls)
    entry->desk = std::make_shared<detail::call_desk>([nodes = nodes_](member_id m) { return nodes->name_of(m); },
                                                      std::uint64_t{std::random_device{}()} << 32);
  if (how.sessions)
    entry->make_machine = [inside = std::move(what.machine), all = how.calls] { return with_sessions(inside(), all); };
  else
    entry->make_machine = std::move(what.machine);
  entry->make_service = std::move(what.service);
  entry->backups = what.backups;
  if (own_gateway(config) && !entry->make_service) {
    entry->hub = std::make_shared<detail::watch_hub>(nodes_, how.sessions);
    entry->make_listener = [hub = entry->hub, inside = std::move(what.listener)] {
      return detail::watched(hub, inside ? inside() : nullptr);
    };
  } else {
    entry->make_listener = std::move(what.listener);
  }
  return entry;
}

/// For the number of founders: the groups are theirs, whoever comes later.
void node::impl::admit(const detail::group_entry& group) const {
  for (const auto& doubt : detail::admit(group.how, group.name, config.members.size()))
    log.write(detail::log_level::warn, "group " + group.name + ": " + doubt);
  if (group.how.witnesses > config.witnesses.size())
    throw node_error("group " + group.name + ": its contract has witnesses = " + std::to_string(group.how.witnesses) +
                     ", and the configuration names " + std::to_string(config.witnesses.size()) +
                     "; name the members that are witnesses, the same at all nodes (witnesses = [\"NAME\"])");
}

std::shared_ptr<resilient_home::impl> node::impl::resilient(const std::function<std::shared_ptr<resilient_home::impl>()>& make) {
  std::lock_guard guard(resilient_mutex_);
  if (!resilient_) resilient_ = make();
  return resilient_;
}

contract node::impl::configured(std::string_view group) const {
  const auto known = config.groups.find(group);
  return known == config.groups.end() ? contract{} : known->second;
}

void node::impl::start() {
  if (started_) return;
  if (groups_.empty()) throw node_error("the node hosts no group; call replicate before start");
  if (config.catalogue) {
    find_nodes();
    catalogue_ = detail::catalogue_entry(found_, nodes_, [board = board_](const catalogue::group_table& now) { board->update(now); });
    board_->on_change([this] { groups_changed(); });
    catalogue_->index = static_cast<std::uint32_t>(groups_.size());
  }
  std::uint32_t index = 0;
  for (auto& [name, entry] : groups_) {
    entry->index = index++;
    log.write(detail::log_level::info, "group " + name + ": " + describe(bounds_of(entry->how)));
  }
  system_config_.emplace();
  cc::configure(*system_config_, config.workers);
#if COHORT_CAF_LEGACY
  system_config_->add_message_type<resilient_message>("cohort::resilient_message");  // dead letters outlive the process
#endif
  system_.emplace(*system_config_);
  started_ = true;
  letters_ = std::make_shared<detail::dead_letters>(*system_);
  start_supervisors();  // before the runtime: a replica may throw as soon as it is there
  for (const auto& [name, make] : fronts_)  // likewise
    handles_[name] = make(*system_, entry(name), [this, group = name](port_wake wake) { return open_port(group, std::move(wake)); });
  try {
    persistence::watch_fatal_signals();
    deaths_->open(config.data, true);  // before anything is executed
    new_runtime();
    deaths_->open(config.data, false);  // the directory is made
    if (catalogue_) {
      nodes_->keep_in(config.data / "nodes", found_);
      if (const auto trouble = board_->keep_in(config.data / "groups"); !trouble.empty())
        log.write(detail::log_level::warn, "the catalogue is waited for instead: " + trouble);
      desk_ = std::make_unique<detail::catalogue_desk>([this] { return open(catalogue_, {}); });
    }
    if (const auto* own = own_gateway(config)) {
      gateway_ = std::make_unique<detail::gateway>(config, own->address, groups_,
                                                   [this](const std::string& group, port_wake wake) { return open_port(group, std::move(wake)); },
                                                   [this](const std::string& why, bool over) { gateway_failed(why, over); });
      log.write(detail::log_level::info, "serves clients at " + own->address);
    }
  } catch (...) {
    stop(false);
    started_ = false;
    throw;
  }
  letters_->keep_in(config.data / "dead_letters");
  if (auto trouble = letters_->trouble(); !trouble.empty()) log.write(detail::log_level::warn, trouble);
  try {
    open_admin();
  } catch (...) {
    stop(false);
    started_ = false;
    throw;
  }
  keeper_ = std::thread([this] { keep(); });
}

void node::impl::put_letter(const std::string& name, caf::message what, unsigned lives, const std::string& why) {
  detail::life_note how;
  how.cause = why;
  how.message = caf::to_string(what);
  letters_->put(name, {caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, std::move(what)), lives, false}, how,
                [](std::uint64_t) {});
}

void node::impl::drop_letter(std::uint64_t number) { letters_->drop(number); }

/// Any thread.
void node::impl::groups_changed() {
  {
    std::lock_guard guard(mutex_);
    groups_changed_ = true;
  }
  changed_.notify_all();
}

void node::impl::open_admin() {
  admin_ = std::make_unique<detail::admin>(
    config,
    detail::admin_calls{
      .look = [this] { return look(); },
      .supervision =
        [this] {
          const supervisors all(supervision_);
          detail::supervision_figures f{all.counters(), all.children(), all.dead_letters().size(), 0, {}, deaths_->figures()};
          {
            std::lock_guard guard(resilient_mutex_);
            if (resilient_) f.resilient = resilient_->all_status();
          }
          std::lock_guard guard(mutex_);
          f.runtime_restarts = runtime_restarts_;
          return f;
        },
      .supervisors_now = [this] { return std::make_shared<supervisors>(supervision_); },
      .redo =
        [this](const std::string& process) {
          std::lock_guard guard(resilient_mutex_);
          return resilient_ ? resilient_->redo(process) : "no resilient process " + process + " stays down here";
        },
      .nodes = [this] { return nodes(); },
      .change_nodes = [this](catalogue::command what) { return change_nodes(std::move(what)); },
      .rules = [this](const std::string& group) { return rules(group); },
      .change_rules = [this](const std::string& group, const contract& to, bool weaker) { return change_rules(group, to, weaker); },
      .change_member = [this](const std::string& group, protocol::change_kind kind, const std::string& member) { return change(group, kind, member); },
      .hand_over = [this](const std::string& group) { hand_over(group); },
      .repair = [this](const std::string& group) { return repair(group); },
      .groups = [this] { return created_groups(); },
      .create_group = [this](const std::string& group, const std::string& type, const contract& how,
                             const group_placement& where) { return create_group(group, type, how, where); },
      .extend_group = [this](const std::string& group, const std::string& node) { return extend_group(group, node); },
      .delete_group = [this](const std::string& group) { return delete_group(group); }},
    [this](const std::string& why) { log.write(detail::log_level::warn, why); });
  if (!config.metrics.empty()) log.write(detail::log_level::info, "metrics at http://" + config.metrics + "/metrics");
}

/// Nothing while the runtime starts again, or does not get to it.
std::optional<detail::node_figures> node::impl::look() {
  std::future<detail::node_figures> asked;
  {
    std::lock_guard guard(mutex_);
    if (!runtime_) return {};
    asked = runtime_->look();
  }
  if (asked.wait_for(1s) != std::future_status::ready) return {};
  try {
    auto figures = asked.get();
    if (gateway_) figures.gateway = &gateway_->figures();  // admin, which asks, ends before it
    for (const auto& g : created_groups())
      if (!g.why_not.empty()) figures.not_hosted.emplace_back(g.name, g.why_not);
    return figures;
  } catch (const std::future_error&) {  // it ended with the question in its queue
    return {};
  }
}

/// The root gives up as soon as one of its two does; the application's processes stop before the replicas they may use.
void node::impl::start_supervisors() {
  auto replicas = std::make_shared<detail::tree_spec>();
  replicas->name = "replicas";
  replicas->how.limits = limits;
  replicas->children.push_back({"node " + config.name, {}, {}, nullptr, [this, first = true]() mutable {
                                  if (!std::exchange(first, false)) restart();
                                }});
  auto processes = std::make_shared<detail::tree_spec>();
  processes->name = "processes";
  processes->how.limits = limits;
  auto root = std::make_shared<detail::tree_spec>();
  root->how.limits.failures_max = 0;
  root->children.push_back({"replicas", {}, {}, replicas, {}, true});
  root->children.push_back({"processes", {}, {}, processes, {}, true});
  auto board = std::make_shared<detail::supervision_board>();
  supervisor_ = system_->spawn<detail::supervision_host, caf::detached>(
    root, std::random_device{}(), board, letters_,
    detail::supervision_calls{.log = [this](detail::log_level level, const std::string& line) { log.write(level, line); },
                              .gave_up = [this](const std::string& why) { fail(why); },
                              .ended = [this](const std::string& path, const std::string& cause) {
                                watch_->child_ended(path, cause.empty() ? down_reason::ended : down_reason::failed, cause);
                              }});
  supervision_ = std::make_shared<supervisors::impl>();
  supervision_->host = caf::actor_cast<caf::actor_addr>(supervisor_);
  supervision_->board = std::move(board);
  supervision_->letters = letters_;
  supervision_->deaths = deaths_;
  supervision_->replicated = [this](const std::string& name) {
    std::lock_guard guard(resilient_mutex_);
    return resilient_ && resilient_->replicated.contains(name) ? resilient_->find(name) : caf::actor();
  };
  supervision_->resilient_at = [this](const std::string& path) {
    std::lock_guard guard(resilient_mutex_);
    return resilient_ ? resilient_->name_at(path) : std::string();
  };
}

/// Waits until the last child has stopped; each has its own limits.
void node::impl::end_supervisors() {
  if (!supervisor_) return;
  auto ended = std::make_shared<std::promise<void>>();
  auto future = ended->get_future();
  // Also if it has given up and ended before: then the call is dropped, and the promise with it.
  cc::hand_over(supervisor_, detail::host_call{[ended](detail::supervision_host& h) { h.stop([ended] { ended->set_value(); }); }});
  ended.reset();
  future.wait();
}

void node::impl::runtime_failed(const std::string& why) {
  if (supervisor_)
    cc::hand_over(supervisor_, detail::host_call{[name = "node " + config.name, why](detail::supervision_host& h) {
                    h.outside_failed(name, why);
                  }});
}

void node::impl::gateway_failed(const std::string& why, bool over) {
  if (over) return fail("its gateway failed again and again: " + why);
  log.write(detail::log_level::error, "the gateway failed, and lets go of its clients; it begins anew: " + why);
}

void node::impl::on_divergence(std::function<void(const divergence_report&)> tell) {
  std::lock_guard guard(divergence_mutex_);
  tell_divergence_ = std::move(tell);
}

void node::impl::fail(const std::string& why) {
  log.write(detail::log_level::error, "the node stops: " + why);
  {
    std::lock_guard guard(mutex_);
    if (failure_.empty()) failure_ = why;
    stop_wanted_ = true;
  }
  changed_.notify_all();
}

void node::impl::stop(bool gently) {
  if (!started_) return;
  {
    std::lock_guard guard(mutex_);
    ending_ = true;
    stop_wanted_ = true;
  }
  changed_.notify_all();
  if (keeper_.joinable()) keeper_.join();
  refuse_repairs("the node stops");
  if (desk_) desk_->stop();  // an operator's command may wait for it
  admin_.reset();
  desk_.reset();
  gateway_.reset();  // clients go to other members, under the same numbers
  end_supervisors();
  if (runtime_) {
    if (gently && failure_text().empty()) runtime_->drain(config.stop_limit / 2);
    runtime_.reset();
  }
  end_actors();
  for (const auto& [number, g] : created_)
    if (g.entry) groups_.erase(g.entry->name);
  created_.clear();
  places_awaited_ = false;
  started_ = false;
  ending_ = false;
  restart_wanted_ = false;  // of a failure that came when nobody looked any more
}

/// CAF's destructor waits for every actor without end; an application that keeps handles would hang the exit.
void node::impl::end_actors() {
  if (!system_) return;
  for (auto& [name, handle] : handles_) caf::anon_send_exit(handle, caf::exit_reason::user_shutdown);
  handles_.clear();
  supervisor_ = nullptr;  // now that no runtime reports to it any more
  supervision_ = nullptr;
  letters_ = nullptr;
  auto deadline = std::chrono::steady_clock::now() + actors_patience;
  while (system_->registry().running() > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  if (auto left = system_->registry().running(); left > 0) {
    log.write(detail::log_level::warn, std::to_string(left) + " actors did not end in time and are left behind");
    system_->await_actors_before_shutdown(false);
  }
  system_.reset();
  system_config_.reset();
  std::lock_guard guard(stable_mutex_);
  stable_ = nullptr;
}

int node::impl::run() {
  if (!started_) {
    try {
      start();
    } catch (const node_error& e) {
      log.write(detail::log_level::error, e.what());
      std::lock_guard guard(mutex_);
      failure_ = e.what();
      return 1;
    }
  }
  detail::service_notice manager;
  manager.tell("READY=1\n" + status_line());
  heartbeat beat;
  for (;;) {
    {
      std::lock_guard guard(mutex_);
      if (stop_wanted_) break;
    }
    if (manager.wanted()) keep_informed(manager, beat);
    // Signals are taken by waiting for them; the short wait also looks for `request_stop` and failures.
    if (signalled(50ms)) {
      log.write(detail::log_level::info, "asked to stop: drains");
      break;
    }
  }
  manager.tell("STOPPING=1\nSTATUS=stops\nEXTEND_TIMEOUT_USEC=" +
               std::to_string(std::chrono::microseconds(config.stop_limit).count()));
  {
    stop_guard limit(config.stop_limit, log);
    stop(true);
  }
  log.write(detail::log_level::info, "stopped");
  return failure_text().empty() ? 0 : 1;
}

/// The watchdog is fed for a pass of the protocol thread through all its cores that was made since it was fed last, and for
/// nothing else: a thread that only counts time would feed it for a node that hangs.
void node::impl::keep_informed(detail::service_notice& manager, heartbeat& beat) {
  const auto now = std::chrono::steady_clock::now();
  if (manager.watchdog() > 0us && now >= beat.next_feed) {
    std::lock_guard guard(mutex_);
    if (!runtime_ || runtime_->turns() != beat.turns) {  // between two runtimes the keeper is at work, which has its own end
      manager.tell("WATCHDOG=1");
      beat.turns = runtime_ ? runtime_->turns() : 0;
      beat.next_feed = now + manager.watchdog() / 4;
    }
    if (runtime_) runtime_->nudge();
  }
  if (now >= beat.next_status) {
    beat.next_status = now + 5s;
    if (auto line = status_line(); line != std::exchange(beat.status, line)) manager.tell(line);
  }
}

/// For people, on one line.
std::string node::impl::status_line() const {
  std::string line = "STATUS=";
  std::unique_lock guard(groups_mutex_);
  const auto groups = groups_;
  guard.unlock();
  for (auto& [name, entry] : groups) {
    const auto s = group_port(std::make_shared<detail::port_state>(entry, port_wake{})).status();
    const auto active = std::count_if(s.members.begin(), s.members.end(), [](auto& m) { return m.active; });
    line += (line.size() > 7 ? "; " : "") + name + ": " + s.role + ", view " + std::to_string(s.view) + ", " +
            std::to_string(active) + " of " + std::to_string(s.members.empty() ? config.members.size() : s.members.size()) + " members active";
  }
  return line;
}

void node::impl::request_stop() {
  std::lock_guard guard(mutex_);
  stop_wanted_ = true;
}

std::shared_ptr<detail::group_entry> node::impl::entry(std::string_view group) const {
  std::lock_guard guard(groups_mutex_);
  auto known = groups_.find(group);
  if (known != groups_.end()) return known->second;
  const auto table = board_->now();
  const auto* line = table.find(group);
  if (!line || is_here(*line)) throw node_error("this node hosts no group " + std::string(group));
  throw node_error("this node hosts no group " + std::string(group) + ", which is on " + detail::joined(hosts_of(*line)));
}

group_port node::impl::open_port(std::string_view group, port_wake wake) { return open(entry(group), std::move(wake)); }

group_port node::impl::open(const std::shared_ptr<detail::group_entry>& owner, port_wake wake) {
  auto state = std::make_shared<detail::port_state>(owner, std::move(wake));
  owner->add_port(state);
  return group_port(std::move(state));
}

std::string node::impl::failure_text() const {
  std::lock_guard guard(mutex_);
  return failure_;
}

std::thread::id node::impl::protocol_thread() const {
  std::lock_guard guard(mutex_);
  return runtime_ ? runtime_->protocol_thread() : std::thread::id();
}

std::uint64_t node::impl::passes() const {
  std::lock_guard guard(mutex_);
  return runtime_ ? runtime_->passes() : 0;
}

caf::actor node::impl::group_handle(std::string_view group) {
  if (!system_) throw node_error("group handles are given out by a node that was started");
  auto owner = entry(group);
  std::lock_guard guard(groups_mutex_);
  auto& handle = handles_[owner->name];
  if (!handle) handle = detail::spawn_group_handle(*system_, owner, [owner](port_wake wake) { return open(owner, std::move(wake)); });
  return handle;
}

void node::impl::subscribe(std::string_view group, const caf::actor& process, group_news what) {
  auto owner = entry(group);
  std::lock_guard guard(mutex_);
  if (!runtime_) throw node_error("views are told by a node that was started");
  // Kept, so that a restarted runtime tells them, too.
  subscribers_.push_back({owner, caf::actor_cast<caf::actor_addr>(process), what});
  if (const auto link = owner->running()) link->tell_views(process, what);
}

void node::impl::hand_over(std::string_view group) {
  const auto link = entry(group)->running();
  if (!link) throw node_error("leadership is handed over by a node that was started");
  link->hand_over();
}

namespace {

std::future<change_result> settled(change_result what) {
  std::promise<change_result> now;
  now.set_value(std::move(what));
  return now.get_future();
}

const change_result not_running{false, "the node does not run"};

/// Answers also if everybody who could has ended.
class change_answer {
public:
  std::future<change_result> future() { return promise_.get_future(); }
  void set(change_result what) {
    if (!std::exchange(told_, true)) promise_.set_value(std::move(what));
  }
  ~change_answer() { set({false, "the node stopped before the change was asked for"}); }

private:
  std::promise<change_result> promise_;
  bool told_ = false;
};

}  // namespace

std::future<change_result> node::impl::change(std::string_view group, protocol::change_kind kind, std::string_view member,
                                              const protocol::view_options& options,
                                              const std::optional<protocol::view_options>& based_on) {
  const auto link = entry(group)->running();
  if (!link) return settled(not_running);
  if (kind == protocol::change_kind::remove || kind == protocol::change_kind::restore)
    if (!nodes_->number_of(member))
      return settled({false, "no member is named " + std::string(member)});
  auto answer = std::make_shared<change_answer>();
  auto future = answer->future();
  link->change({kind, std::string(member), options, [answer](change_result r) { answer->set(std::move(r)); }, based_on});
  return future;
}

std::future<change_result> node::impl::change_rules(std::string_view group, const contract& to, bool weaker_accepted) {
  const auto owner = entry(group);
  const auto link = owner->running();
  const auto now = link ? link->rules() : std::nullopt;
  if (!now) return settled(not_running);
  const auto from = detail::under_rules(owner->how, now->options);
  auto wanted = to;
  if (wanted.replication == replication::none) wanted.replication = from.replication;
  if (const auto fixed = fixed_because(from, wanted); !fixed.empty())
    return settled({false, "fixed while the group runs: " + fixed});
  std::string refusals;
  const auto refuse = [&](const std::string& why) { refusals += (refusals.empty() ? "" : "\n") + why; };
  for (const auto& f : check_change(from, wanted, {.members = now->voters, .inactive = now->inactive}, {}, weaker_accepted)) {
    if (f.severity == severity::reject) refuse(detail::sentence(f, wanted));
    else log.write(detail::log_level::warn, "group " + owner->name + ": " + detail::sentence(f, wanted));
  }
  for (const auto& m : not_built(wanted)) refuse(m.field + ": " + m.what);
  if (!refusals.empty()) return settled({false, refusals});
  return change(group, protocol::change_kind::options, {}, detail::rules_of(wanted), now->options);
}

contract node::impl::rules(std::string_view group) const {
  const auto owner = entry(group);
  const auto link = owner->running();
  const auto now = link ? link->rules() : std::nullopt;
  return now ? detail::under_rules(owner->how, now->options) : owner->how;
}

std::shared_ptr<supervisors::impl> node::impl::supervision() const {
  if (!supervision_) throw node_error("processes are supervised by a node that was started");
  return supervision_;
}

detail::monitors& node::impl::watch() const {
  if (!system_) throw node_error("what is monitored belongs to a node that was started");
  return *watch_;
}

std::optional<child_status> node::impl::child_at(const std::string& path) const {
  if (!supervision_) return {};
  std::lock_guard guard(supervision_->board->mutex);
  const auto row = supervision_->board->children.find(path);
  return row == supervision_->board->children.end() ? std::nullopt : std::optional(row->second.status);
}

caf::actor_system& node::impl::system() {
  if (!system_) throw node_error("a node has an actor system while it runs");
  return *system_;
}

}  // namespace cohort
