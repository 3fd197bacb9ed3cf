#include "actors/inbox.hpp"
#include "actors/throw_stack.hpp"

#include <caf/scheduler/abstract_coordinator.hpp>

namespace cohort {
namespace {

constexpr std::size_t words_max = 500;

std::string in_words(const caf::mailbox_element& m) {
  auto text = m.content().stringify();
  if (text.size() > words_max) text.replace(words_max, std::string::npos, "...");
  return text;
}

}  // namespace

process::process(caf::actor_config& config, mailbox_options mailbox)
    : event_based_actor(config), inbox_(std::make_shared<detail::inbox>(mailbox)), now_(std::make_unique<detail::inbox_item>()) {
  inbox_->attach(this);
  set_exception_handler([this](std::exception_ptr& thrown) { return died_of(thrown); });
}

process::~process() = default;

void process::join(std::shared_ptr<detail::inbox> box, std::shared_ptr<detail::life_note> note) {
  inbox_ = std::move(box);
  note_ = std::move(note);
  inbox_->attach(this);
}

void process::is_up() {
  if (std::exchange(said_up_, true) || !note_) return;
  std::function<void()> up;
  {
    std::lock_guard guard(note_->mutex);
    up = std::move(note_->up);
  }
  if (up) up();
}

mailbox_figures process::mailbox_now() const { return inbox_->figures(); }

void process::enqueue(caf::mailbox_element_ptr what, caf::execution_unit*) { inbox_->push(std::move(what), this); }

void process::launch(caf::execution_unit*, bool, bool hide) {
  if (!hide) register_at_system();
  caf::intrusive_ptr_add_ref(static_cast<caf::resumable*>(this));
  home_system().scheduler().enqueue(this);
}

/// As CAF's own, with our mailbox: CAF's has no bound, and dies with its actor.
caf::resumable::resume_result process::resume(caf::execution_unit* unit, std::size_t messages_max) {
  detail::throw_stack stack_is_kept;
  if (!activate(unit)) return resumable::done;
  if (!starts_later_) is_up();
  for (std::size_t n = 0; n < messages_max; ++n) {
    // Once `take` has said no, another worker may be running this actor: nothing of it is touched behind that.
    if (!inbox_->take(this, *now_)) return resumable::awaiting_message;
    if (now_->system && now_->what->content().match_elements<detail::hold_over>()) {
      inbox_->release_all(now_->what->content().get_as<detail::hold_over>(0).hold);
      continue;
    }
    switch (reactivate(*now_->what)) {
      case activation_result::terminated: now_->what.reset(); return resumable::done;
      case activation_result::skipped: skipped_.push_back(std::move(*now_)); break;
      case activation_result::success:
        put_back_skipped();
        if (!bhvr_stack_.empty() && bhvr_stack_.back().timeout().valid()) set_receive_timeout();
        break;
      case activation_result::dropped: break;
    }
    now_->what.reset();
  }
  return inbox_->goes_on(this) ? resumable::resume_later : resumable::awaiting_message;
}

/// A message handled may mean another behaviour, for which the skipped ones are.
void process::put_back_skipped() {
  if (!skipped_.empty()) inbox_->put_back(std::exchange(skipped_, {}));
}

caf::error process::died_of(std::exception_ptr& thrown) {
  std::string what = "an exception that is no std::exception";
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& e) {
    what = e.what();
  } catch (...) {
  }
  if (note_) {
    std::lock_guard guard(note_->mutex);
    note_->cause = what;
    note_->frames = detail::throw_stack::newest();
  }
  // The next life will answer the request, or put it aside; the requester need not know of this one.
  if (now_->what && !now_->system && inbox_->is_kept() && !inbox_->is_last_chance(*now_)) {
    auto& mid = now_->what->mid;
    if (mid.is_request() && !mid.is_answered()) {
      held_answer_ = mid;
      mid.mark_as_answered();
    }
  }
  return caf::make_error(caf::sec::runtime_error, what);
}

void process::set_aside(unsigned lives, const std::string& cause, std::function<void()> kept) {
  if (!now_->what) return;
  detail::life_note how;
  how.kept = std::move(kept);
  how.cause = cause;
  how.message = in_words(*now_->what);
  inbox_->set_aside(now_->what->copy_content_to_message(), lives, how);
}

bool process::when_set_aside(std::function<void()> kept) {
  if (!note_ || !now_->what || now_->system || !inbox_->is_kept() || !inbox_->is_last_chance(*now_)) return false;
  std::lock_guard guard(note_->mutex);
  note_->kept = std::move(kept);
  return true;
}

void process::stays_down(const std::string& why) {
  if (note_ && note_->down) note_->down(why);
}

void process::lives_lost(unsigned before) {
  if (now_->what && now_->kills == 0) now_->kills = before;
}

bool process::cleanup(caf::error&& why, caf::execution_unit* host) {
  const bool failed = why && why != caf::exit_reason::user_shutdown && why != caf::exit_reason::normal;
  detail::inbox_item* died_of = nullptr;
  if (now_->what && !now_->system && failed) {
    if (held_answer_) now_->what->mid = *std::exchange(held_answer_, std::nullopt);
    // Who has its answer, or was told of the failure, may ask again; giving it again would do it twice.
    const bool answered = now_->what->mid.is_answered() && !inbox_->is_last_chance(*now_);
    if (!answered) died_of = now_.get();
  }
  if (note_ && failed) {
    std::lock_guard guard(note_->mutex);
    if (note_->cause.empty()) note_->cause = cc::text(why);
    if (died_of) note_->message = in_words(*died_of->what);
  }
  current_mailbox_element(nullptr);  // from here on it may be another life's
  const auto put_aside = inbox_->leave(this, died_of, std::exchange(skipped_, {}), why, note_.get());
  const bool ended = event_based_actor::cleanup(std::move(why), host);
  if (put_aside) put_aside();
  return ended;
}

}  // namespace cohort
