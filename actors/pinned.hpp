#pragma once

// Inside actors/ only: includes CAF.
#include "actors/caf_compat.hpp"

#include "transport/loop.hpp"

#include <memory>
#include <mutex>
#include <vector>

namespace cohort::detail {

/// Lets CAF actors live on a loop's thread: a runnable of the loop, and the execution unit of the actors pinned to it.
/// What such an actor sends on to an ordinary actor must be enqueued without execution unit (`cc::hand_over`), or CAF
/// resumes that actor right here.
class pinned_unit final : public caf::execution_unit, public transport::runnable {
public:
  pinned_unit(caf::actor_system& system, transport::loop& where);
  ~pinned_unit() override;

  /// Any thread. Takes over one reference to `what`.
  void post(caf::resumable* what);
  void exec_later(caf::resumable* what) override { post(what); }
  bool run(std::size_t budget) override;

  /// The loop has ended: resumes what is still scheduled until nothing is, so that actors which were told to quit do.
  /// On the thread that ran the loop, or after it was joined.
  void finish();

private:
  static constexpr std::size_t messages_per_turn = 50;  // of one actor, before the next one

  transport::loop& loop_;
  std::mutex mutex_;
  std::vector<caf::resumable*> ready_;
  bool ended_ = false;
  std::vector<caf::resumable*> now_;
};

/// An event-based actor that runs on the unit's loop and nowhere else.
class pinned_actor : public caf::event_based_actor {
public:
  pinned_actor(caf::actor_config& config, std::shared_ptr<pinned_unit> unit)
      : event_based_actor(config), unit_(std::move(unit)) {}
  void enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) override;
  void launch(caf::execution_unit*, bool lazy, bool hide) override;

private:
  const std::shared_ptr<pinned_unit> unit_;
};

}  // namespace cohort::detail
