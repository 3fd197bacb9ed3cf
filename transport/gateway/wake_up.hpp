#pragma once

#include <atomic>

namespace cohort::transport {

/// Tells a thread that waits for file descriptors that something is to be done. Told many times before it looks, it wakes once.
class wake_up {
public:
  wake_up();  ///< Throws `std::runtime_error`.
  ~wake_up();
  wake_up(const wake_up&) = delete;
  wake_up& operator=(const wake_up&) = delete;

  void tell() noexcept;     ///< Any thread.
  void taken() noexcept;    ///< The waiting thread, before it looks.
  int readable() const { return fd_; }

private:
  int fd_;
  std::atomic<bool> told_{false};
};

}  // namespace cohort::transport
