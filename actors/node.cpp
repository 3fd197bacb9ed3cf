#include "actors/node_impl.hpp"

#include "actors/group_actor.hpp"
#include "actors/node_config.hpp"
#include "actors/port_state.hpp"

#include <cohort/contract_check.hpp>

#include <malloc.h>

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

}  // namespace

node::impl::impl(node_config wanted)
    : config(detail::checked(std::move(wanted))), log([this]() -> detail::logger {
        try {
          return detail::logger(config.name, config.log_level, config.log_file);
        } catch (const std::runtime_error& e) {
          throw node_error(e.what());
        }
      }()) {
  block_signals();
  keep_freed_memory();
}

node::impl::~impl() { stop(true); }

void node::impl::host(std::string_view group, machine_factory machine, listener_factory listener,
                      const contract& how) {
  if (started_) throw node_error("group " + std::string(group) + ": groups are named before the node starts");
  if (group.empty() || group.size() > 255) throw node_error("a group's name has 1 to 255 bytes");
  if (groups_.size() == 64) throw node_error("a node hosts at most 64 groups");
  for (const auto& doubt : detail::admit(how, group, config.members.size()))
    log.write(detail::log_level::warn, "group " + std::string(group) + ": " + doubt);
  auto entry = std::make_shared<detail::group_entry>();
  entry->name = group;
  entry->how = how;
  entry->make_machine = std::move(machine);
  entry->make_listener = std::move(listener);
  if (!groups_.try_emplace(entry->name, entry).second)
    throw node_error("group " + entry->name + " is named twice");
}

contract node::impl::configured(std::string_view group) const {
  const auto known = config.groups.find(group);
  return known == config.groups.end() ? contract{} : known->second;
}

void node::impl::start() {
  if (started_) return;
  if (groups_.empty()) throw node_error("the node hosts no group; call replicate before start");
  std::uint32_t index = 0;
  for (auto& [name, entry] : groups_) {
    entry->index = index++;
    log.write(detail::log_level::info, "group " + name + ": " + describe(bounds_of(entry->how)));
  }
  system_config_.emplace();
  cc::configure(*system_config_, config.workers);
  system_.emplace(*system_config_);
  started_ = true;
  // Before the runtime: a replica may throw as soon as it is there. What `new_runtime` throws goes to the caller.
  supervisor_ = detail::spawn_supervisor(
    *system_, limits, std::random_device{}(),
    {.log = [this](const std::string& line) { log.write(detail::log_level::error, line); },
     .gave_up = [this](const std::string& why) { fail(why); }});
  cc::hand_over(supervisor_, detail::child_added{"node " + config.name, [this, first = true]() mutable {
                                                   if (!std::exchange(first, false)) restart();
                                                 }});
  try {
    new_runtime();
  } catch (...) {
    stop(false);
    started_ = false;
    throw;
  }
  keeper_ = std::thread([this] { keep(); });
}

void node::impl::new_runtime() {
  std::vector<std::shared_ptr<detail::group_entry>> entries;
  for (auto& [name, entry] : groups_) entries.push_back(entry);
  auto made = std::make_unique<detail::runtime>(
    config, std::move(entries), *system_, log,
    detail::runtime_calls{.failed = [this](const std::string& why) { runtime_failed(why); }});
  std::lock_guard guard(mutex_);
  runtime_ = std::move(made);
  std::erase_if(subscribers_, [this](auto& s) {
    auto process = caf::actor_cast<caf::actor>(s.process);
    if (process) cc::hand_over(runtime_->membership(s.group), detail::view_subscribe{process});
    return !process;
  });
}

void node::impl::runtime_failed(const std::string& why) {
  if (supervisor_) cc::hand_over(supervisor_, detail::child_failed{"node " + config.name, why});
}

void node::impl::restart() {
  {
    std::lock_guard guard(mutex_);
    restart_wanted_ = true;
  }
  changed_.notify_all();
}

/// The keeper thread: ends and begins runtimes, which waits for threads and disks and so belongs to no actor.
void node::impl::keep() {
  for (;;) {
    std::unique_ptr<detail::runtime> old;
    {
      std::unique_lock guard(mutex_);
      changed_.wait(guard, [this] { return ending_ || restart_wanted_; });
      if (ending_) return;
      restart_wanted_ = false;
      old = std::move(runtime_);
    }
    old.reset();
    try {
      new_runtime();
      log.write(detail::log_level::info, "started again");
    } catch (const std::exception& e) {
      runtime_failed(e.what());
    }
  }
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
  if (runtime_) {
    if (gently && failure_text().empty()) runtime_->drain();
    runtime_.reset();
  }
  end_actors();
  started_ = false;
  ending_ = false;
  restart_wanted_ = false;  // of a failure that came when nobody looked any more
}

/// CAF's destructor waits for every actor without end; an application that keeps handles would hang the exit.
void node::impl::end_actors() {
  if (!system_) return;
  for (auto& [name, handle] : handles_) caf::anon_send_exit(handle, caf::exit_reason::user_shutdown);
  handles_.clear();
  if (supervisor_) cc::hand_over(supervisor_, detail::process_stop{});
  supervisor_ = nullptr;
  {
    std::lock_guard guard(processes_mutex_);
    for (auto& [name, process] : supervised_) caf::anon_send_exit(process, caf::exit_reason::user_shutdown);
    supervised_.clear();
  }
  auto deadline = std::chrono::steady_clock::now() + actors_patience;
  while (system_->registry().running() > 0 && std::chrono::steady_clock::now() < deadline)
    std::this_thread::sleep_for(1ms);
  if (auto left = system_->registry().running(); left > 0) {
    log.write(detail::log_level::warn, std::to_string(left) + " actors did not end in time and are left behind");
    system_->await_actors_before_shutdown(false);
  }
  system_.reset();
  system_config_.reset();
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
  for (;;) {
    {
      std::lock_guard guard(mutex_);
      if (stop_wanted_) break;
    }
    // Signals are taken by waiting for them; the short wait also looks for `request_stop` and failures.
    if (signalled(50ms)) {
      log.write(detail::log_level::info, "asked to stop: drains");
      break;
    }
  }
  stop(true);
  log.write(detail::log_level::info, "stopped");
  return failure_text().empty() ? 0 : 1;
}

void node::impl::request_stop() {
  std::lock_guard guard(mutex_);
  stop_wanted_ = true;
}

std::shared_ptr<detail::group_entry> node::impl::entry(std::string_view group) const {
  auto known = groups_.find(group);
  if (known == groups_.end()) throw node_error("this node hosts no group " + std::string(group));
  return known->second;
}

group_port node::impl::open_port(std::string_view group, port_wake wake) {
  auto owner = entry(group);
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

caf::actor node::impl::group_handle(std::string_view group) {
  if (!system_) throw node_error("group handles are given out by a node that was started");
  auto owner = entry(group);
  auto& handle = handles_[owner->name];
  if (!handle) handle = detail::spawn_group_handle(*system_, [this, owner](port_wake wake) {
    return open_port(owner->name, std::move(wake));
  });
  return handle;
}

void node::impl::subscribe(std::string_view group, const caf::actor& process) {
  auto index = entry(group)->index;
  std::lock_guard guard(mutex_);
  if (!runtime_) throw node_error("views are told by a node that was started");
  // Kept, so that a restarted runtime tells them, too.
  subscribers_.push_back({index, caf::actor_cast<caf::actor_addr>(process)});
  cc::hand_over(runtime_->membership(index), detail::view_subscribe{process});
}

void node::impl::hand_over(std::string_view group) {
  auto index = entry(group)->index;
  std::lock_guard guard(mutex_);
  if (!runtime_) throw node_error("leadership is handed over by a node that was started");
  cc::hand_over(runtime_->ordering(index), detail::lead_no_more{});
}

void node::impl::supervise(const std::string& name, std::function<caf::actor(caf::actor_system&)> spawn) {
  if (!supervisor_) throw node_error("processes are supervised by a node that was started");
  // The supervisor keeps the closure, so that holds no handle of the supervisor.
  auto supervisor = caf::actor_cast<caf::actor_addr>(supervisor_);
  cc::hand_over(supervisor_, detail::child_added{name, [this, name, spawn, supervisor] {
    auto process = spawn(*system_);
    {
      std::lock_guard guard(processes_mutex_);
      supervised_[name] = process;
    }
    // Asked to stop is no failure; everything else but a normal end is.
    caf::actor_cast<caf::abstract_actor*>(process)->attach_functor([name, supervisor](const caf::error& why) {
      if (!why || why == caf::exit_reason::user_shutdown) return;
      if (auto alive = caf::actor_cast<caf::actor>(supervisor))
        cc::hand_over(alive, detail::child_failed{name, cc::text(why)});
    });
  }});
}

// ---- the public face ------------------------------------------------------------------------------------------------

node::node(node_config config) : impl_(std::make_unique<impl>(std::move(config))) {}
node::~node() = default;

void node::replicate(std::string_view group, machine_factory make) {
  replicate(group, std::move(make), impl_->configured(group));
}
void node::replicate(std::string_view group, machine_factory make, contract how) {
  if (!make) throw node_error("group " + std::string(group) + ": no state machine is given");
  if (how.replication == replication::none) how.replication = replication::active;
  impl_->host(group, std::move(make), {}, how);
}
void node::listen(std::string_view group, listener_factory make) { listen(group, std::move(make), impl_->configured(group)); }
void node::listen(std::string_view group, listener_factory make, contract how) {
  if (!make) throw node_error("group " + std::string(group) + ": no listener is given");
  if (how.replication != replication::none)
    throw node_error("group " + std::string(group) + ": its contract says replication = \"" + to_string(how.replication) +
                     "\", and a listener replicates nothing; leave it out, or give a state machine to replicate");
  impl_->host(group, {}, std::move(make), how);
}
void node::expect_orders(std::string_view group, const contract& how) const {
  const auto& hosted = impl_->entry(group)->how;
  if (hosted.orders != how.orders || hosted.default_order != how.default_order)
    throw node_error("group " + std::string(group) + ": the port is for other orders than the group is hosted with; they differ in " +
                     difference(how, contract(how).with(&contract::orders, hosted.orders).with(&contract::default_order, hosted.default_order)));
}
void node::start() { impl_->start(); }
void node::stop() { impl_->stop(true); }
int node::run() { return impl_->run(); }
void node::hand_over(std::string_view group) { impl_->hand_over(group); }
void node::request_stop() { impl_->request_stop(); }
group_port node::port(std::string_view group, port_wake wake) { return impl_->open_port(group, std::move(wake)); }
std::string node::failure() const { return impl_->failure_text(); }
const node_config& node::config() const { return impl_->config; }

group_status node::status(std::string_view group) const {
  return group_port(std::make_shared<detail::port_state>(impl_->entry(group), port_wake{})).status();
}

}  // namespace cohort
