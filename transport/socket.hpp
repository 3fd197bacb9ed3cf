#pragma once

// Inside transport/ only: descriptors and their options.

#include "transport/address.hpp"

#include <sys/socket.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace cohort::transport {

/// A resolved address.
struct endpoint_address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

/// `10.0.0.1:7001`, for messages.
std::string to_string(const endpoint_address& a);

/// Without a look-up: literal addresses only. False for names.
bool literal(const address& a, endpoint_address& out);
/// With a look-up, which may block for seconds. Empty with the reason in `why`.
std::vector<endpoint_address> look_up(const address& a, std::string& why);

/// Owns a descriptor.
class unique_fd {
public:
  unique_fd() = default;
  explicit unique_fd(int fd) : fd_(fd) {}
  unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  unique_fd& operator=(unique_fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~unique_fd() { reset(); }
  void reset();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

private:
  int fd_ = -1;
};

/// Listens on the first address that can be bound. On failure an invalid descriptor; `why` says what, where, and what
/// to do.
unique_fd listen_on(const address& where, std::string& why);
/// The port a socket is bound to.
std::uint16_t bound_port(int fd);

/// Begins to connect. Invalid with errno if that failed at once.
unique_fd connect_to(const endpoint_address& where);
/// What became of a connect: 0 or an errno value.
int connect_result(int fd);

/// Options of a link's socket (docs/transport.md, sending).
void tune(int fd, std::size_t unsent_bytes, std::chrono::milliseconds user_timeout);
/// What the kernel may hold of it unsent.
void limit_unsent(int fd, std::size_t bytes);

}  // namespace cohort::transport
