#include "transport/gateway/wake_up.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <stdexcept>

namespace cohort::transport {

wake_up::wake_up() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (fd_ < 0) throw std::runtime_error("no eventfd: too many open files?");
}

wake_up::~wake_up() { ::close(fd_); }

void wake_up::tell() noexcept {
  if (told_.exchange(true, std::memory_order_acq_rel)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto wrote = ::write(fd_, &one, sizeof one);
}

void wake_up::taken() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = ::read(fd_, &count, sizeof count);
  told_.store(false, std::memory_order_release);
}

}  // namespace cohort::transport
