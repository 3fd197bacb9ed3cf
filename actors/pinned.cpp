#include "actors/pinned.hpp"

#if !COHORT_CAF_LEGACY
#error "Pinned actors are written for CAF 0.17.6; CAF 1.x wants abstract_actor::pinned_scheduler here."
#endif

namespace cohort::detail {

pinned_unit::pinned_unit(caf::actor_system& system, transport::loop& where)
    : caf::execution_unit(&system), loop_(where) {}

pinned_unit::~pinned_unit() {
  for (auto* r : ready_) caf::intrusive_ptr_release(r);
}

void pinned_unit::post(caf::resumable* what) {
  bool wake = false;
  {
    std::lock_guard guard(mutex_);
    wake = ready_.empty() && !ended_;
    ready_.push_back(what);
  }
  if (wake) loop_.schedule(*this);
}

bool pinned_unit::run(std::size_t budget) {
  {
    std::lock_guard guard(mutex_);
    now_.swap(ready_);
  }
  std::size_t used = 0;
  std::size_t at = 0;
  for (; at < now_.size() && used < budget; ++at, used += messages_per_turn) {
    auto* actor = now_[at];
    if (actor->resume(this, messages_per_turn) == caf::resumable::resume_later) {
      std::lock_guard guard(mutex_);
      ready_.push_back(actor);
    } else {
      caf::intrusive_ptr_release(actor);
    }
  }
  std::lock_guard guard(mutex_);
  ready_.insert(ready_.begin(), now_.begin() + static_cast<std::ptrdiff_t>(at), now_.end());
  now_.clear();
  return !ready_.empty();
}

void pinned_unit::finish() {
  {
    std::lock_guard guard(mutex_);
    ended_ = true;
  }
  while (run(static_cast<std::size_t>(-1)))
    ;
}

void pinned_actor::enqueue(caf::mailbox_element_ptr message, caf::execution_unit*) {
  auto mid = message->mid;
  auto sender = message->sender;
  switch (mailbox().push_back(std::move(message))) {
    case caf::intrusive::inbox_result::unblocked_reader:
      caf::intrusive_ptr_add_ref(static_cast<caf::resumable*>(this));
      unit_->post(this);
      break;
    case caf::intrusive::inbox_result::queue_closed:
      if (mid.is_request()) {  // a request to the dead is answered, not forgotten
        caf::detail::sync_request_bouncer bounce{caf::exit_reason::unknown};
        bounce(sender, mid);
      }
      break;
    default: break;
  }
}

void pinned_actor::launch(caf::execution_unit*, bool, bool hide) {
  if (!hide) register_at_system();
  caf::intrusive_ptr_add_ref(static_cast<caf::resumable*>(this));
  unit_->post(this);
}

}  // namespace cohort::detail
