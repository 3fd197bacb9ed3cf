#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cohort::transport {

/// Monotonic time, since the epoch of std::chrono::steady_clock. The same type as protocol::instant.
using instant = std::chrono::nanoseconds;

/// No deadline.
inline constexpr instant no_deadline = instant::max();

/// What is told when a descriptor is ready. The loop does not own it; it must live until `loop::remove`.
class fd_handler {
public:
  /// `events` are epoll bits (EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR). Level-triggered: what is not read now
  /// is reported again. May remove any descriptor, its own too; no report follows for a removed one.
  virtual void on_ready(std::uint32_t events) = 0;

protected:
  ~fd_handler() = default;
};

/// Work that runs on the loop's thread in bounded turns: pinned actors, a gateway's inbox. The loop does not own it.
class runnable {
public:
  /// Does at most `budget` units of work (messages, mostly). True: there is more, run again in the next pass, after the
  /// sockets had their turn. False: nothing is left until the next `loop::schedule`.
  virtual bool run(std::size_t budget) = 0;

protected:
  ~runnable() = default;

private:
  friend class loop;
  bool scheduled_ = false;  // guarded by the loop's mutex
};

class loop;

/// A one-shot timer. Arms, re-arms and cancels in O(log n); cancels itself when destroyed. Loop's thread only.
/// The function may set the timer again, but not destroy it.
class timer {
public:
  timer(loop& owner, std::function<void()> expired);
  ~timer();
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;

  /// Fires once as soon as `loop::now()` has reached `when`; replaces an earlier setting. `no_deadline` cancels.
  void set(instant when);
  void set_after(std::chrono::nanoseconds delay);
  void cancel();
  bool armed() const { return place_ != idle; }
  instant when() const { return when_; }

private:
  friend class loop;
  static constexpr std::size_t idle = static_cast<std::size_t>(-1);
  loop& loop_;
  std::function<void()> expired_;
  instant when_ = no_deadline;
  std::size_t place_ = idle;  // in the loop's heap
};

struct loop_options {
  std::size_t budget = 300;          ///< units of work per runnable and pass
  std::size_t events_per_pass = 128; ///< ready descriptors taken per pass
};

/// What the loop did so far; read on its own thread.
struct loop_stats {
  std::uint64_t passes = 0;
  std::uint64_t wakeups = 0;  ///< passes begun by `post` or `schedule` from outside
};

/// One thread's event loop: sockets, timers, posted functions, runnables.
///
/// A pass: wait until something is ready or due; ready descriptors; posted functions; due timers; runnables, each
/// within its budget; then the pass hooks in ascending order. So everything that arrived in one round is seen by the
/// cores before they drain, and leaves in one write per link. An idle loop blocks until its next timer and costs no CPU.
///
/// `post`, `schedule`, `stop` and `in_loop` may be called from any thread, all else on the loop's thread (or before it
/// runs, or after it ended). Exceptions of handlers are not caught.
class loop {
public:
  explicit loop(loop_options options = {});
  ~loop();
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;

  /// Runs passes until `stop`. The calling thread becomes the loop's thread.
  void run();
  /// One pass; waits at most `wait` for something to happen. For tests and for loops inside other loops (see `fd`).
  void run_once(std::chrono::nanoseconds wait = std::chrono::nanoseconds(0));
  /// Makes `run` return after the current pass; a stop before `run` makes it return at once. Posted functions which have
  /// not run yet run in a later `run`, or are destroyed with the loop.
  void stop();

  /// Watches a descriptor. One handler per descriptor.
  void add(int fd, std::uint32_t events, fd_handler& handler);
  void modify(int fd, std::uint32_t events);
  /// Stops watching; call before closing the descriptor.
  void remove(int fd);

  /// Runs `what` on the loop's thread in its next pass, in the order of posting. Never blocks but for a short lock; wakes
  /// the loop with one eventfd write, and only if it was not already woken (so a loaded loop makes no wake-up calls).
  void post(std::function<void()> what);
  /// Lets `what` run in the next pass; does nothing if it is scheduled already.
  void schedule(runnable& what);
  /// `what` will not run any more. Loop's thread only: afterwards it may be destroyed.
  void forget(runnable& what);

  /// Calls `hook` at the end of every pass, in ascending `order` (cores drain at `order_drain`, links write at
  /// `order_write`). Returns a number for `remove_pass_hook`.
  std::uint64_t add_pass_hook(int order, std::function<void()> hook);
  void remove_pass_hook(std::uint64_t number);
  static constexpr int order_drain = 0;
  static constexpr int order_write = 100;

  /// Time at the start of the current pass's work; within a pass it stands still.
  instant now() const { return now_; }
  /// Time right now.
  static instant clock();

  bool in_loop() const;
  const loop_stats& stats() const { return stats_; }
  /// The epoll descriptor: readable when a pass would find a ready descriptor or posted work.
  int fd() const { return epoll_; }

private:
  friend class timer;
  struct watch {
    fd_handler* handler = nullptr;
    std::uint32_t generation = 0;  // tells a stale event from one of a reused descriptor number
  };
  struct hook {
    int order = 0;
    std::uint64_t number = 0;
    std::function<void()> call;
  };

  void pass(std::chrono::nanoseconds wait);
  void wake();
  bool arm();
  void run_posted();
  void run_due_timers();
  void run_runnables();
  void run_hooks();
  void place(std::size_t at, timer* t);
  void sift_up(std::size_t at);
  void sift_down(std::size_t at);
  void unset(timer& t);

  loop_options options_;
  int epoll_ = -1;
  int event_ = -1;
  instant now_{};
  loop_stats stats_;
  std::vector<watch> watches_;  // by descriptor
  std::vector<timer*> heap_;    // by when_, earliest first
  std::vector<hook> hooks_;
  std::uint64_t next_hook_ = 1;
  bool hooks_changed_ = false;
  bool running_hooks_ = false;

  mutable std::mutex mutex_;  // guards what follows
  std::vector<std::function<void()>> posted_;
  std::vector<runnable*> ready_;
  bool armed_ = false;    // something waits below; the loop knows, or the eventfd tells it
  bool in_pass_ = false;
  bool stopping_ = false;
  std::thread::id thread_;

  std::vector<std::function<void()>> posted_now_;
  std::vector<runnable*> ready_now_;
};

}  // namespace cohort::transport
