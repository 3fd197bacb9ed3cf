#include "actors/inbox.hpp"

#include <caf/scheduler/abstract_coordinator.hpp>

#include <algorithm>

namespace cohort {
namespace {

const caf::atom_value mailbox_category = caf::atom("mailbox");

}  // namespace

bool is_mailbox_full(const caf::error& e) { return e && e.category() == mailbox_category; }

namespace detail {
namespace {

template <class T>
bool is_a(const caf::mailbox_element& m) {
  return m.content().match_elements<T>();
}

bool is_of_system(const caf::mailbox_element& m) {
  if (m.mid.is_response() || m.mid.is_urgent_message()) return true;
  return m.content().size() == 1 &&
         (is_a<caf::exit_msg>(m) || is_a<caf::down_msg>(m) || is_a<caf::timeout_msg>(m) || is_a<caf::error>(m));
}

/// Tells a requester that nobody will answer.
void refuse(inbox_item& item, const caf::error& why) {
  if (!item.what || !item.what->sender || !item.what->mid.is_request() || item.what->mid.is_answered()) return;
  item.what->sender->enqueue(nullptr, item.what->mid.response_id(), caf::make_message(why ? why : caf::error(caf::exit_reason::normal)),
                             nullptr);
}

process* process_of(const caf::strong_actor_ptr& sender) {
  return sender ? dynamic_cast<process*>(caf::actor_cast<caf::abstract_actor*>(sender)) : nullptr;
}

}  // namespace

void inbox::keep(std::string owner_name, poison_sink poison) {
  std::lock_guard guard(mutex_);
  owner_name_ = std::move(owner_name);
  poison_ = std::move(poison);
  kept_ = true;
}

bool inbox::is_kept() const {
  std::lock_guard guard(mutex_);
  return kept_;
}

caf::error inbox::full() const {
  return caf::error(1, mailbox_category,
                    caf::make_message("the mailbox of " + (owner_name_.empty() ? "the receiver" : owner_name_) + " is full (" +
                                      std::to_string(options_.messages_max) + " messages)"));
}

void inbox::push(caf::mailbox_element_ptr what, process* to) {
  inbox_item item{std::move(what), 0, false}, victim;
  item.system = is_of_system(*item.what);
  caf::strong_actor_ptr to_hold;
  std::unique_lock guard(mutex_);
  // The old life's address: what reaches it, its own timers among it, is not for the new one.
  if (closed_ || (to && to != owner_) || ((item.system || vacant_) && !owner_)) {
    guard.unlock();
    return refuse(item, caf::sec::request_receiver_down);
  }
  if (!item.system && application_.size() >= options_.messages_max) {
    auto* sender = options_.overflow == overflow::block ? process_of(item.what->sender) : nullptr;
    const auto why = full();
    switch (options_.overflow) {
      case overflow::block:
        if (sender && sender->box().get() != this) {
          to_hold = item.what->sender;
          break;
        }
        if (sender) break;  // a process that sends to itself would wait for itself
        [[fallthrough]];
      case overflow::fail:
        ++figures_.refused;
        guard.unlock();
        if (item.what->sender && !item.what->mid.is_request())
          cc::hand_over(caf::actor_cast<caf::actor>(item.what->sender), why);
        return refuse(item, why);
      case overflow::drop_newest:
        ++figures_.refused;
        guard.unlock();
        return refuse(item, why);
      case overflow::drop_oldest:
        ++figures_.dropped;
        victim = std::move(application_.front());
        application_.pop_front();
        break;
    }
  }
  if (item.system) {
    system_.push_back(std::move(item));
  } else {
    application_.push_back(std::move(item));
    figures_.waiting_most = std::max(figures_.waiting_most, application_.size());
  }
  wake(guard);
  if (guard.owns_lock()) guard.unlock();
  if (victim.what) refuse(victim, caf::error(1, mailbox_category, caf::make_message(std::string("newer messages took its place"))));
  if (to_hold) hold_back(to_hold, *process_of(to_hold)->box());
}

/// Without the lock: two mailboxes may hold each other's owners at the same time.
void inbox::hold_back(const caf::strong_actor_ptr& sender, inbox& box) {
  std::uint64_t number = 0;
  if (!box.hold(this, number)) return;
  std::unique_lock guard(mutex_);
  if (closed_ || application_.size() <= options_.messages_max / 2) {  // drained since
    guard.unlock();
    return box.release(this);
  }
  waiting_.push_back(box.weak_from_this());
  ++figures_.held_back;
  guard.unlock();
  auto& clock = sender->home_system->clock();
  clock.schedule_message(clock.now() + options_.hold_limit, sender,
                         caf::make_mailbox_element(nullptr, caf::make_message_id(caf::message_priority::high), {},
                                                   hold_over{number}));
}

/// Schedules the owner if there is something for it; gives up the lock then.
void inbox::wake(std::unique_lock<std::mutex>& guard) {
  if (!owner_ || scheduled_ || (system_.empty() && (application_.empty() || !held_by_.empty()))) return;
  scheduled_ = true;
  auto* owner = owner_;
  caf::intrusive_ptr_add_ref(static_cast<caf::resumable*>(owner));  // it cannot be gone: it leaves under this lock
  guard.unlock();
  owner->home_system().scheduler().enqueue(owner);
}

void inbox::attach(process* owner) {
  std::lock_guard guard(mutex_);
  owner_ = owner;
  vacant_ = false;
  scheduled_ = true;  // `launch` does it
}

bool inbox::take(process* owner, inbox_item& item) {
  std::vector<std::weak_ptr<inbox>> released;
  {
    std::lock_guard guard(mutex_);
    if (owner_ != owner) return false;
    auto& lane = system_.empty() && held_by_.empty() ? application_ : system_;
    if (lane.empty()) {
      scheduled_ = false;
      return false;
    }
    item = std::move(lane.front());
    lane.pop_front();
    if (!waiting_.empty() && application_.size() <= options_.messages_max / 2) released.swap(waiting_);
  }
  for (auto& weak : released)
    if (auto sender = weak.lock()) sender->release(this);
  return true;
}

bool inbox::goes_on(process* owner) {
  std::lock_guard guard(mutex_);
  if (owner_ != owner) return false;
  scheduled_ = !system_.empty() || (!application_.empty() && held_by_.empty());
  return scheduled_;
}

void inbox::put_back(std::vector<inbox_item> skipped) {
  std::lock_guard guard(mutex_);
  for (auto at = skipped.rbegin(); at != skipped.rend(); ++at) {
    auto& lane = at->system ? system_ : application_;
    lane.push_front(std::move(*at));
  }
}

std::function<void()> inbox::leave(process* owner, inbox_item* handled, std::vector<inbox_item> skipped, const caf::error& why,
                                   const life_note* note) {
  std::deque<inbox_item> lost;
  std::optional<inbox_item> poison;
  poison_sink sink;
  {
    std::lock_guard guard(mutex_);
    if (owner_ != owner) return {};
    owner_ = nullptr;
    scheduled_ = false;
    lost.swap(system_);
    if (kept_ && handled) {
      ++handled->kills;
      if (handled->kills >= options_.poison_after) {
        poison = std::move(*handled);
        sink = poison_;
      } else {
        application_.push_front(std::move(*handled));
      }
    }
    for (auto at = skipped.rbegin(); at != skipped.rend(); ++at) (at->system ? lost : application_).push_front(std::move(*at));
    if (!kept_ || closed_) {
      closed_ = true;
      for (auto& item : application_) lost.push_back(std::move(item));
      application_.clear();
    }
  }
  for (auto& item : lost) refuse(item, why);
  if (!poison || !sink || !note) return {};
  auto aside = std::make_shared<inbox_item>(std::move(*poison));  // a function wants to be copied
  return [aside, sink, note] { sink(std::move(*aside), *note); };
}

void inbox::set_aside(caf::message what, unsigned lives, const life_note& how) {
  poison_sink sink;
  {
    std::lock_guard guard(mutex_);
    sink = poison_;
  }
  if (sink) sink({caf::make_mailbox_element(nullptr, caf::make_message_id(), {}, std::move(what)), lives, false}, how);
}

void inbox::vacate(const caf::error& why) {
  std::deque<inbox_item> lost;
  std::vector<std::weak_ptr<inbox>> released;
  {
    std::lock_guard guard(mutex_);
    vacant_ = true;
    lost.swap(application_);
    released.swap(waiting_);
  }
  for (auto& item : lost) refuse(item, why);
  for (auto& weak : released)
    if (auto sender = weak.lock()) sender->release(this);
}

void inbox::close(const caf::error& why) {
  {
    std::lock_guard guard(mutex_);
    closed_ = true;
  }
  vacate(why);
}

bool inbox::hold(const inbox* by, std::uint64_t& number) {
  std::lock_guard guard(mutex_);
  if (held_by_.empty()) ++holds_;
  number = holds_;
  return held_by_.insert(by).second;
}

void inbox::release(const inbox* by) {
  std::unique_lock guard(mutex_);
  held_by_.erase(by);
  wake(guard);
}

void inbox::release_all(std::uint64_t hold) {
  std::lock_guard guard(mutex_);
  if (hold == holds_) held_by_.clear();
}

mailbox_figures inbox::figures() const {
  std::lock_guard guard(mutex_);
  auto now = figures_;
  now.waiting = application_.size();
  return now;
}

}  // namespace detail
}  // namespace cohort
