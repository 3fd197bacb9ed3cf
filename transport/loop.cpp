#include "transport/loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <span>
#include <utility>

namespace cohort::transport {

namespace {

// Our own bugs stop the node, also in release builds.
void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "cohort: loop: %s (errno %d: %s)\n", what, errno, std::strerror(errno));
  std::abort();
}

constexpr std::uint64_t pack(int fd, std::uint32_t generation) {
  return static_cast<std::uint64_t>(generation) << 32 | static_cast<std::uint32_t>(fd);
}

// Rounded up: waking a moment too early would cost a pass that finds nothing due.
int wait_milliseconds(std::chrono::nanoseconds wait) {
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
  return static_cast<int>(std::min<std::int64_t>(ms, std::numeric_limits<int>::max()));
}

// Waits with the precision of the clock where the kernel has it (Linux 5.11) and the container's filter lets it through,
// otherwise with that of milliseconds.
int wait_for_events(int epoll, std::span<epoll_event> events, std::chrono::nanoseconds wait) {
  static std::atomic<bool> precise{true};
  const auto room = static_cast<int>(events.size());
  if (wait == std::chrono::nanoseconds::max()) return epoll_wait(epoll, events.data(), room, -1);
  if (wait <= std::chrono::nanoseconds(0)) return epoll_wait(epoll, events.data(), room, 0);
  if (precise) {
    timespec t{};
    t.tv_sec = static_cast<time_t>(wait.count() / 1'000'000'000);
    t.tv_nsec = static_cast<long>(wait.count() % 1'000'000'000);
    const int count = epoll_pwait2(epoll, events.data(), room, &t, nullptr);
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    precise = false;
  }
  return epoll_wait(epoll, events.data(), room, wait_milliseconds(wait));
}

}  // namespace

timer::timer(loop& owner, std::function<void()> expired) : loop_(owner), expired_(std::move(expired)) {}

timer::~timer() { cancel(); }

void timer::cancel() {
  if (armed()) loop_.unset(*this);
}

void timer::set(instant when) {
  cancel();
  if (when == no_deadline) return;
  when_ = when;
  loop_.heap_.push_back(this);
  place_ = loop_.heap_.size() - 1;
  loop_.sift_up(place_);
}

void timer::set_after(std::chrono::nanoseconds delay) { set(loop::clock() + delay); }

loop::loop(loop_options options) : options_(options) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  require(epoll_ >= 0, "epoll_create1 failed");
  event_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  require(event_ >= 0, "eventfd failed");
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.u64 = pack(event_, 0);
  require(epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &e) == 0, "cannot watch the eventfd");
  now_ = clock();
}

loop::~loop() {
  for (auto* t : heap_) t->place_ = timer::idle;
  ::close(event_);
  ::close(epoll_);
}

instant loop::clock() { return std::chrono::steady_clock::now().time_since_epoch(); }

bool loop::in_loop() const {
  std::lock_guard guard(mutex_);
  return thread_ == std::this_thread::get_id();
}

void loop::run() {
  {
    std::lock_guard guard(mutex_);
    thread_ = std::this_thread::get_id();
  }
  for (;;) {
    {
      std::lock_guard guard(mutex_);
      if (std::exchange(stopping_, false)) break;
    }
    pass(std::chrono::nanoseconds::max());
  }
  std::lock_guard guard(mutex_);
  thread_ = {};
}

void loop::run_once(std::chrono::nanoseconds wait) {
  {
    std::lock_guard guard(mutex_);
    thread_ = std::this_thread::get_id();
  }
  pass(wait);
  // Who waits on `fd` before the next pass must see what this pass left for it.
  std::lock_guard guard(mutex_);
  if (armed_) wake();
}

void loop::stop() {
  bool call = false;
  {
    std::lock_guard guard(mutex_);
    stopping_ = true;
    call = arm();
  }
  if (call) wake();
}

// True if the caller must wake the loop. Within a pass the loop looks for itself before it waits again.
bool loop::arm() {
  const bool was = std::exchange(armed_, true);
  return !was && !(in_pass_ && thread_ == std::this_thread::get_id());
}

void loop::wake() {
  const std::uint64_t one = 1;
  while (::write(event_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void loop::post(std::function<void()> what) {
  bool call = false;
  {
    std::lock_guard guard(mutex_);
    posted_.push_back(std::move(what));
    call = arm();
  }
  if (call) wake();
}

void loop::schedule(runnable& what) {
  bool call = false;
  {
    std::lock_guard guard(mutex_);
    if (std::exchange(what.scheduled_, true)) return;
    ready_.push_back(&what);
    call = arm();
  }
  if (call) wake();
}

void loop::forget(runnable& what) {
  std::lock_guard guard(mutex_);
  what.scheduled_ = false;
  std::erase(ready_, &what);
  std::replace(ready_now_.begin(), ready_now_.end(), &what, static_cast<runnable*>(nullptr));
}

void loop::add(int fd, std::uint32_t events, fd_handler& handler) {
  const auto at = static_cast<std::size_t>(fd);
  if (at >= watches_.size()) watches_.resize(at + 1);
  auto& w = watches_[at];
  require(!w.handler, "descriptor is watched already");
  w.handler = &handler;
  epoll_event e{};
  e.events = events;
  e.data.u64 = pack(fd, ++w.generation);
  require(epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &e) == 0, "cannot watch a descriptor");
}

void loop::modify(int fd, std::uint32_t events) {
  auto& w = watches_.at(static_cast<std::size_t>(fd));
  epoll_event e{};
  e.events = events;
  e.data.u64 = pack(fd, w.generation);
  require(w.handler && epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &e) == 0, "cannot change a watch");
}

void loop::remove(int fd) {
  auto& w = watches_.at(static_cast<std::size_t>(fd));
  require(w.handler && epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr) == 0, "cannot remove a watch");
  w.handler = nullptr;
  ++w.generation;
}

std::uint64_t loop::add_pass_hook(int order, std::function<void()> call) {
  require(!running_hooks_, "a pass hook cannot add pass hooks");
  const auto number = next_hook_++;
  const auto after = std::upper_bound(hooks_.begin(), hooks_.end(), order,
                                      [](int o, const hook& h) { return o < h.order; });
  hooks_.insert(after, hook{order, number, std::move(call)});
  return number;
}

void loop::remove_pass_hook(std::uint64_t number) {
  for (auto& h : hooks_)
    if (h.number == number) {
      // The vector must not move under a running hook; the function itself may be the one that is running.
      h.number = 0;
      hooks_changed_ = true;
    }
  if (!running_hooks_ && std::exchange(hooks_changed_, false))
    std::erase_if(hooks_, [](const hook& h) { return h.number == 0; });
}

void loop::pass(std::chrono::nanoseconds wait) {
  bool pending = false;
  {
    std::lock_guard guard(mutex_);
    in_pass_ = true;
    pending = armed_;
  }
  if (pending) wait = std::chrono::nanoseconds(0);
  if (!heap_.empty()) wait = std::min(wait, std::max(heap_.front()->when_ - clock(), std::chrono::nanoseconds(0)));

  epoll_event events[512];
  const auto room = std::clamp<std::size_t>(options_.events_per_pass, 1, std::size(events));
  const int count = wait_for_events(epoll_, {events, room}, wait);
  require(count >= 0 || errno == EINTR, "epoll_wait failed");
  now_ = clock();
  ++stats_.passes;

  for (int i = 0; i < count; ++i) {
    const auto fd = static_cast<std::uint32_t>(events[i].data.u64);
    if (static_cast<int>(fd) == event_) {
      std::uint64_t counter = 0;
      while (::read(event_, &counter, sizeof counter) < 0 && errno == EINTR) {
      }
      pending = true;
      ++stats_.wakeups;
      continue;
    }
    const auto w = watches_[fd];
    if (w.handler && w.generation == static_cast<std::uint32_t>(events[i].data.u64 >> 32))
      w.handler->on_ready(events[i].events);
  }
  if (pending) run_posted();
  run_due_timers();
  run_runnables();
  run_hooks();
  std::lock_guard guard(mutex_);
  in_pass_ = false;
}

void loop::run_posted() {
  {
    // Disarmed before the queues are looked at: whoever posts from now on wakes the next pass.
    std::lock_guard guard(mutex_);
    armed_ = false;
    posted_now_.swap(posted_);
    ready_now_.insert(ready_now_.end(), ready_.begin(), ready_.end());
    ready_.clear();
  }
  for (auto& call : posted_now_) call();
  posted_now_.clear();
}

void loop::run_due_timers() {
  // Timers set by these for "now" wait for the next pass, so a timer cannot keep the loop from its sockets.
  const auto due = now_;
  for (std::size_t left = heap_.size(); left > 0 && !heap_.empty() && heap_.front()->when_ <= due; --left) {
    auto& t = *heap_.front();
    unset(t);
    t.expired_();
  }
}

void loop::run_runnables() {
  // By index: `forget` may empty places while this runs. What is scheduled meanwhile waits in `ready_`.
  for (std::size_t i = 0; i < ready_now_.size(); ++i) {
    auto* r = ready_now_[i];
    if (!r) continue;
    {
      std::lock_guard guard(mutex_);
      r->scheduled_ = false;
    }
    const bool again = r->run(options_.budget);
    if (again && ready_now_[i] == r) schedule(*r);
  }
  ready_now_.clear();
}

void loop::run_hooks() {
  running_hooks_ = true;
  for (auto& h : hooks_)
    if (h.number != 0) h.call();
  running_hooks_ = false;
  if (std::exchange(hooks_changed_, false)) std::erase_if(hooks_, [](const hook& h) { return h.number == 0; });
}

void loop::place(std::size_t at, timer* t) {
  heap_[at] = t;
  t->place_ = at;
}

void loop::sift_up(std::size_t at) {
  auto* t = heap_[at];
  while (at > 0) {
    const auto parent = (at - 1) / 2;
    if (heap_[parent]->when_ <= t->when_) break;
    place(at, heap_[parent]);
    at = parent;
  }
  place(at, t);
}

void loop::sift_down(std::size_t at) {
  auto* t = heap_[at];
  for (;;) {
    auto child = 2 * at + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->when_ < heap_[child]->when_) ++child;
    if (t->when_ <= heap_[child]->when_) break;
    place(at, heap_[child]);
    at = child;
  }
  place(at, t);
}

void loop::unset(timer& t) {
  const auto at = t.place_;
  auto* last = heap_.back();
  heap_.pop_back();
  t.place_ = timer::idle;
  t.when_ = no_deadline;
  if (last == &t) return;
  place(at, last);
  sift_up(at);
  sift_down(last->place_);
}

}  // namespace cohort::transport
