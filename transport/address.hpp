#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace cohort::transport {

/// Where a node listens: a literal IPv4 or IPv6 address or a host name, and a TCP port.
struct address {
  std::string host;
  std::uint16_t port = 0;
  bool operator==(const address&) const = default;
};

/// Reads `host:port` or `[ipv6]:port`. Empty text in return means success, otherwise it says what is wrong and what is
/// expected. Port 0 is accepted (listening: any free port).
std::string parse_address(std::string_view text, address& out);

/// `host:port`, an IPv6 literal in brackets.
std::string to_string(const address& a);

}  // namespace cohort::transport
