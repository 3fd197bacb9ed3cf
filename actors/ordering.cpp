#include "actors/ordering.hpp"

namespace cohort::detail {
namespace {

class ordering_actor final : public pinned_actor {
public:
  ordering_actor(caf::actor_config& config, std::shared_ptr<pinned_unit> unit, std::shared_ptr<group_driver> driver,
                 std::function<void(const std::string&)> trouble)
      : pinned_actor(config, std::move(unit)), driver_(std::move(driver)), trouble_(std::move(trouble)) {}

  const char* name() const override { return "cohort.ordering"; }

protected:
  caf::behavior make_behavior() override {
    return {
      [this](const port_flushed& m) { driver_->take(m.port); },
      [this](credit_back) { driver_->touch(); },  // the pass at the end of this turn feeds what waits
      [this](const state_restored& m) { driver_->restored(m.index); },
      [this](const checkpoint_done& m) {
        if (m.error.empty()) return driver_->checkpoint_stored(m.index, m.chunks);
        trouble_("the checkpoint at log index " + std::to_string(m.index) + " could not be stored: " + m.error);
        driver_->checkpoint_failed(m.index);
      },
      [this](const chunk_done& m) { driver_->chunk_loaded(m.to, m.index, m.number, m.data); },
      [this](const offer_done& m) { driver_->offer_ready(m.view, m.state); },
      [this](const answers_made& m) { driver_->answer(m.to, m.what); },
      [this](const digest_taken& m) { driver_->tell_digest(m.what); },
      [this](const replica_differs& m) { driver_->withdraw(m.why); },
      [this](const states_judged& m) { driver_->states_judged(m.odd, m.why_odd); },
      [this](time_wanted m) { driver_->want_time(m.due); },
      [this](calls_changed) { driver_->touch(); },
      [this](accept_no_more m) {
        driver_->stop_accepting(outcome::stopped, m.refuse_waiting);
        driver_->touch();
      },
      [this](const change_wanted& m) { driver_->change(m.who, m.what); },
      [this](lead_no_more) { driver_->hand_over(); },
      [this](actor_stop) {
        driver_->abandon();
        quit();
      },
    };
  }

private:
  std::shared_ptr<group_driver> driver_;
  std::function<void(const std::string&)> trouble_;
};

}  // namespace

caf::actor spawn_ordering(caf::actor_system& system, std::shared_ptr<pinned_unit> unit,
                          std::shared_ptr<group_driver> driver, std::function<void(const std::string&)> trouble) {
  return system.spawn<ordering_actor>(std::move(unit), std::move(driver), std::move(trouble));
}

}  // namespace cohort::detail
