#include "transport/socket.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace cohort::transport {

namespace {

void set(int fd, int level, int option, int value) {
  // Options tune; a kernel without one still makes a working link.
  (void)::setsockopt(fd, level, option, &value, sizeof value);
}

std::string listen_failure(const address& where, int error) {
  const auto text = "cannot listen on " + to_string(where) + ": ";
  switch (error) {
    case EADDRINUSE:
      return text + "the port is in use. Is this node running already? Stop the program that holds the port, or give "
                    "this node another one";
    case EADDRNOTAVAIL:
      return text + "no interface of this machine has that address. Use one that has, 127.0.0.1, or 0.0.0.0 for all";
    case EACCES:
    case EPERM: return text + "ports below 1024 need privileges. Use a higher one";
    default: return text + std::strerror(error);
  }
}

}  // namespace

std::string to_string(const endpoint_address& a) {
  char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
  (void)::getnameinfo(reinterpret_cast<const sockaddr*>(&a.storage), a.length, host, sizeof host, port, sizeof port,
                      NI_NUMERICHOST | NI_NUMERICSERV);
  return std::string(host).find(':') == std::string::npos ? std::string(host) + ":" + port
                                                          : "[" + std::string(host) + "]:" + port;
}

bool literal(const address& a, endpoint_address& out) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(a.host.c_str(), std::to_string(a.port).c_str(), &hints, &found) != 0) return false;
  out.length = found->ai_addrlen;
  std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  return true;
}

std::vector<endpoint_address> look_up(const address& a, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(a.host.c_str(), std::to_string(a.port).c_str(), &hints, &found);
  std::vector<endpoint_address> all;
  if (error != 0) {
    why = "host name '" + a.host + "' cannot be looked up: " + ::gai_strerror(error);
    return all;
  }
  for (const auto* i = found; i; i = i->ai_next) {
    endpoint_address one;
    one.length = i->ai_addrlen;
    std::memcpy(&one.storage, i->ai_addr, i->ai_addrlen);
    all.push_back(one);
  }
  ::freeaddrinfo(found);
  return all;
}

void unique_fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

unique_fd listen_on(const address& where, std::string& why) {
  const auto candidates = look_up(where, why);
  if (candidates.empty()) {
    why = "cannot listen on " + to_string(where) + ": " + why;
    return {};
  }
  int error = 0;
  for (const auto& a : candidates) {
    unique_fd fd(::socket(a.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) {
      error = errno;
      continue;
    }
    set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);  // a killed node's old connections must not keep it from its port
    if (a.storage.ss_family == AF_INET6) set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 0);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&a.storage), a.length) == 0 && ::listen(fd.get(), 128) == 0)
      return fd;
    error = errno;
  }
  why = listen_failure(where, error);
  return {};
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage a{};
  socklen_t length = sizeof a;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &length) != 0) return 0;
  return ntohs(a.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(a).sin6_port
                                       : reinterpret_cast<const sockaddr_in&>(a).sin_port);
}

unique_fd connect_to(const endpoint_address& where) {
  unique_fd fd(::socket(where.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return {};
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&where.storage), where.length) != 0 &&
      errno != EINPROGRESS) {
    const int error = errno;
    fd.reset();
    errno = error;
  }
  return fd;
}

int connect_result(int fd) {
  int error = 0;
  socklen_t length = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : errno;
}

void limit_unsent(int fd, std::size_t bytes) { set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, static_cast<int>(bytes)); }

void tune(int fd, std::size_t unsent_bytes, std::chrono::milliseconds user_timeout) {
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  // What the kernel holds unsent is the queue that control frames cannot overtake; what is in flight is the network's.
  // SO_SNDBUF stays with the kernel's own tuning, since a bound on it would also bound the bytes in flight.
  limit_unsent(fd, unsent_bytes);
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(user_timeout.count()));
  set(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
  set(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

}  // namespace cohort::transport
