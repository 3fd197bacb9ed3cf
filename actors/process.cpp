#include "actors/process.hpp"

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

constexpr auto tick_every = std::chrono::milliseconds(50);

class process_actor final : public caf::event_based_actor {
public:
  process_actor(caf::actor_config& config, std::shared_ptr<group_entry> group, replica_services services,
                process_calls calls)
      : event_based_actor(config), group_(std::move(group)), services_(std::move(services)), calls_(std::move(calls)) {}

  const char* name() const override { return "cohort.process"; }

protected:
  caf::behavior make_behavior() override {
    // The replica's port is owned by this actor: its wake must not keep the actor alive.
    services_.updates_ready = [address = caf::actor_cast<caf::actor_addr>(caf::actor(this))] {
      if (auto me = caf::actor_cast<caf::actor>(address)) cc::hand_over(me, updates_ready{});
    };
    return {
      [this](const work_ptr& w) {
        guarded([&] { replica_->run(*w); });
        if (replica_) calls_.finished(w);
      },
      [this](const questions_ptr& q) {
        guarded([&] { replica_->ask(*q); });
      },
      [this](updates_ready) { guarded([&] { replica_->updates_done(); }); },
      [this](replica_tick) {
        ticking_ = false;
        guarded([&] { replica_->tick(); });
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
      if (replica_->waits() && !std::exchange(ticking_, true)) cc::delayed_send(this, caf::actor(this), tick_every, replica_tick{});
    } catch (...) {
      failed_ = true;
      auto why = what_of(std::current_exception());
      replica_.reset();
      quit(caf::exit_reason::unhandled_exception);
      calls_.failed(why);
    }
  }

  std::shared_ptr<group_entry> group_;
  replica_services services_;
  process_calls calls_;
  std::optional<replica> replica_;
  bool failed_ = false;
  bool ticking_ = false;  ///< a `replica_tick` is under way
};

}  // namespace

caf::actor spawn_process(caf::actor_system& system, std::shared_ptr<group_entry> group,
                         replica_services services, process_calls calls) {
  return system.spawn<process_actor>(std::move(group), std::move(services), std::move(calls));
}

}  // namespace cohort::detail
