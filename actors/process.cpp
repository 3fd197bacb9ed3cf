#include "actors/process.hpp"

#include <chrono>

namespace cohort::detail {
namespace {

std::string what_of(std::exception_ptr thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

class process_actor final : public caf::event_based_actor {
public:
  process_actor(caf::actor_config& config, std::shared_ptr<const group_entry> group, replica_services services,
                process_calls calls)
      : event_based_actor(config), group_(std::move(group)), services_(std::move(services)), calls_(std::move(calls)) {}

  const char* name() const override { return "cohort.process"; }

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const work_ptr& w) {
        guarded([&] { replica_->run(*w); });
        if (replica_) calls_.finished(w);
      },
      [this](const questions_ptr& q) {
        guarded([&] { replica_->ask(*q); });
      },
      [this](process_stop) { quit(); },
    };
  }

private:
  /// The application is constructed at its first message, on its own thread. After it has thrown once it is never
  /// called again: its state is unknown.
  template <class Call>
  void guarded(Call call) {
    if (failed_) return;
    try {
      if (!replica_) replica_.emplace(group_, services_);
      call();
    } catch (...) {
      failed_ = true;
      auto why = what_of(std::current_exception());
      replica_.reset();
      quit(caf::exit_reason::unhandled_exception);
      calls_.failed(why);
    }
  }

  std::shared_ptr<const group_entry> group_;
  replica_services services_;
  process_calls calls_;
  std::optional<replica> replica_;
  bool failed_ = false;
};

class supervisor_actor final : public caf::event_based_actor {
public:
  supervisor_actor(caf::actor_config& config, restart_limits limits, std::uint64_t seed, supervisor_calls calls)
      : event_based_actor(config), limits_(limits), seed_(seed), calls_(std::move(calls)) {}

  const char* name() const override { return "cohort.supervisor"; }

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const child_added& c) {
        auto& known = children_.try_emplace(c.child, child{restart_policy(limits_, seed_++), {}, false}).first->second;
        known.start = c.start;
        known.start();
      },
      [this](const child_removed& c) { children_.erase(c.child); },
      [this](const child_failed& c) { failed(c); },
      [this](const child_restart& c) {
        auto known = children_.find(c.child);
        if (known == children_.end()) return;
        known->second.waiting = false;
        known->second.start();
      },
      [this](process_stop) { quit(); },
    };
  }

private:
  struct child {
    restart_policy policy;
    std::function<void()> start;
    bool waiting = false;  ///< for its back-off: further reports are of the same failure
  };

  void failed(const child_failed& c) {
    auto known = children_.find(c.child);
    if (known == children_.end() || known->second.waiting) return;
    auto& policy = known->second.policy;
    auto delay = policy.failed(std::chrono::steady_clock::now().time_since_epoch());
    if (!delay) {
      auto seconds = std::chrono::duration_cast<std::chrono::seconds>(limits_.window).count();
      calls_.gave_up(c.child + " failed " + std::to_string(policy.failures_in_window()) + " times within " +
                     std::to_string(seconds) + " s, so it is not started again; last failure: " + c.why);
      children_.erase(known);
      return;
    }
    auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*delay).count();
    calls_.log(c.child + " failed (" + std::to_string(policy.failures_in_window()) + " of at most " +
               std::to_string(limits_.failures_max) + " times), starts again in " + std::to_string(ms) +
               " ms: " + c.why);
    known->second.waiting = true;
    cc::delayed_send(this, caf::actor(this), *delay, child_restart{c.child});
  }

  restart_limits limits_;
  std::uint64_t seed_;
  supervisor_calls calls_;
  std::map<std::string, child> children_;
};

}  // namespace

caf::actor spawn_process(caf::actor_system& system, std::shared_ptr<const group_entry> group,
                         replica_services services, process_calls calls) {
  return system.spawn<process_actor>(std::move(group), std::move(services), std::move(calls));
}

caf::actor spawn_supervisor(caf::actor_system& system, restart_limits limits, std::uint64_t seed,
                            supervisor_calls calls) {
  return system.spawn<supervisor_actor>(limits, seed, std::move(calls));
}

}  // namespace cohort::detail
