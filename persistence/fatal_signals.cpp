#include "persistence/fatal_signals.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

namespace cohort::persistence {
namespace {

constexpr std::size_t stack_bytes = 64u << 10;
thread_local std::uint32_t* own_place = nullptr;
std::array<std::atomic<std::uint32_t*>, 8> other_places{};
std::atomic<bool> watching{false};

/// Async-signal-safe: stores, and `raise`. The default action is in force again (SA_RESETHAND).
void note(int signal, siginfo_t* info, void*) {
  const bool sent = info->si_code <= 0;
  // Whoever sent it from outside, a watchdog perhaps, does not say by whose fault: that is left open.
  if (!sent || info->si_pid == ::getpid()) {
    const auto number = static_cast<std::uint32_t>(signal);
    if (own_place)
      std::atomic_ref(*own_place).store(number, std::memory_order_relaxed);
    else
      for (auto& place : other_places)
        if (auto* const where = place.load(std::memory_order_relaxed))
          std::atomic_ref(*where).store(number, std::memory_order_relaxed);
  }
  if (sent) ::raise(signal);  // a fault strikes again by itself
}

/// One per thread, unless it has one.
class signal_stack {
public:
  signal_stack() noexcept {
    stack_t now{};
    if (::sigaltstack(nullptr, &now) != 0 || (now.ss_flags & SS_DISABLE) == 0) return;
    memory_.reset(new (std::nothrow) std::byte[stack_bytes]);
    if (!memory_) return;
    stack_t own{};
    own.ss_sp = memory_.get();
    own.ss_size = stack_bytes;
    if (::sigaltstack(&own, nullptr) != 0) memory_.reset();
  }
  ~signal_stack() {
    if (!memory_) return;
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    ::sigaltstack(&none, nullptr);
  }
  signal_stack(const signal_stack&) = delete;
  signal_stack& operator=(const signal_stack&) = delete;

private:
  std::unique_ptr<std::byte[]> memory_;
};

}  // namespace

void watch_fatal_signals() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
      struct sigaction former {};
      if (::sigaction(signal, nullptr, &former) != 0 || (former.sa_flags & SA_SIGINFO) != 0 ||
          former.sa_handler != SIG_DFL)
        continue;
      struct sigaction ours {};
      ours.sa_sigaction = note;
      ours.sa_flags = SA_SIGINFO | SA_ONSTACK | static_cast<int>(SA_RESETHAND);
      ::sigemptyset(&ours.sa_mask);
      ::sigaction(signal, &ours, nullptr);
    }
    watching.store(true, std::memory_order_relaxed);
  });
}

std::uint32_t* note_own_signal_at(std::uint32_t* where) noexcept {
  if (watching.load(std::memory_order_relaxed)) {
    thread_local const signal_stack stack;
    (void)stack;
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  const auto former = std::exchange(own_place, where);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return former;
}

void note_other_signals_at(std::uint32_t* where) noexcept {
  for (auto& place : other_places) {
    std::uint32_t* none = nullptr;
    if (place.compare_exchange_strong(none, where)) return;
  }
}

void forget_place(std::uint32_t* where) noexcept {
  for (auto& place : other_places) {
    auto* expected = where;
    place.compare_exchange_strong(expected, nullptr);
  }
}

}  // namespace cohort::persistence
