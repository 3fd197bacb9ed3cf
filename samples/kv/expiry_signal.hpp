#pragma once

#include "samples/kv/keyspace.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <utility>

namespace kv {

/// Carries the time of the next expiry from the store, on its application thread, to the server. It outlives both.
class expiry_signal {
public:
  /// For `store`.
  void set(std::int64_t ms) {
    due_ms_ = ms;
    const std::lock_guard guard(mutex_);
    if (wake_) wake_();
  }
  std::int64_t due_ms() const { return due_ms_; }

  /// `wake` is called from other threads after each change, and not any more once `detach` returned.
  void attach(std::function<void()> wake) {
    const std::lock_guard guard(mutex_);
    wake_ = std::move(wake);
  }
  void detach() { attach({}); }

private:
  std::atomic<std::int64_t> due_ms_{never_due};
  std::mutex mutex_;
  std::function<void()> wake_;
};

}  // namespace kv
