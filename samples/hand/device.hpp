// The device of the samples of one hand. It listens at $DEVICE (host:port). It is sent "TOKEN POSITION LINE", answers with a number, and
// refuses tokens that are older than one it has seen with "old".
#pragma once

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

class device {
public:
  device() = default;
  ~device() {
    if (line_ >= 0) ::close(line_);
  }
  device(const device&) = delete;
  device& operator=(const device&) = delete;

  /// Its answer. Waits for it; throws if there is none within 2 s.
  std::string say(std::uint64_t token, std::uint64_t position, const std::string& what) {
    if (line_ < 0) reach();
    const auto order = std::to_string(token) + ' ' + std::to_string(position) + ' ' + what + '\n';
    char said[64];
    if (::send(line_, order.data(), order.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("the device is gone");
    const auto size = ::recv(line_, said, sizeof said, 0);
    if (size <= 1) throw std::runtime_error("the device does not answer");
    return {said, static_cast<std::size_t>(size - 1)};
  }

private:
  void reach() {
    const std::string where = std::getenv("DEVICE") ? std::getenv("DEVICE") : "127.0.0.1:7900";
    const auto colon = where.rfind(':');
    addrinfo want{}, *found = nullptr;
    want.ai_socktype = SOCK_STREAM;
    if (::getaddrinfo(where.substr(0, colon).c_str(), where.substr(colon + 1).c_str(), &want, &found) != 0)
      throw std::runtime_error("no device is at " + where);
    line_ = ::socket(found->ai_family, SOCK_STREAM, 0);
    const timeval patience{2, 0};
    ::setsockopt(line_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    const bool reached = ::connect(line_, found->ai_addr, found->ai_addrlen) == 0;
    ::freeaddrinfo(found);
    if (!reached) throw std::runtime_error("the device at " + where + " does not listen");
  }

  int line_ = -1;
};
