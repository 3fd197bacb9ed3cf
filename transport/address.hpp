#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// Where a node may be found: at an address, or where SRV records say. A hint: who answers there is decided by HELLO.
struct place {
  address where;
  std::string service;  ///< not empty: SRV records of this name (RFC 2782) tell hosts and ports, instead of `where`
  std::string label;    ///< not empty: only records whose target begins with this label, as n1.example.org with n1

  place() = default;
  place(address at) : where(std::move(at)) {}  // NOLINT: an address is a place
  bool operator==(const place&) const = default;
};

/// Reads `host:port`, `[ipv6]:port` or `srv:NAME`; port 0 is refused. Returns as `parse_address` does.
std::string parse_place(std::string_view text, place& out);

/// As `parse_place` reads it.
std::string to_string(const place& p);

/// Reads a list of name servers, `127.0.0.1` or `10.0.0.2:8600, [::1]:53`: literal addresses, port 53 if none is given,
/// separated by commas. Returns as `parse_address` does. Empty text gives an empty list.
std::string parse_name_servers(std::string_view text, std::vector<address>& out);

}  // namespace cohort::transport
