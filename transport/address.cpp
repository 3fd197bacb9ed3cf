#include "transport/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace cohort::transport {

namespace {

constexpr std::size_t name_servers_max = 8;

bool is_literal(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  return ::inet_pton(AF_INET, host.c_str(), &v4) == 1 || ::inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

bool is_service_name(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
  };
  return !name.empty() && name.size() <= 253 && std::ranges::all_of(name, good) && name.front() != '.' &&
         name.find("..") == std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

std::string parse_address(std::string_view text, address& out) {
  const auto quoted = "'" + std::string(text) + "'";
  const auto expected = ": expected host:port, such as 127.0.0.1:7001 or [::1]:7001";
  std::string_view host, port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos || close + 1 >= text.size() || text[close + 1] != ':')
      return quoted + " is no address" + expected;
    host = text.substr(1, close - 1);
    port = text.substr(close + 2);
  } else {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return quoted + " has no port" + expected;
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.find(':') != std::string_view::npos)
      return quoted + " is ambiguous, an IPv6 address needs brackets" + expected;
  }
  if (host.empty()) return quoted + " has no host" + expected;
  if (host.find_first_of("[]") != std::string_view::npos) return quoted + " has a bracket within its host" + expected;
  if (host.size() > 255) return quoted + " has a host name of more than 255 characters";
  unsigned value = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), value);
  if (error != std::errc{} || end != port.data() + port.size() || value > 65535)
    return quoted + " has no port between 0 and 65535" + expected;
  out.host = std::string(host);
  out.port = static_cast<std::uint16_t>(value);
  return {};
}

std::string to_string(const address& a) {
  const auto port = ":" + std::to_string(a.port);
  return a.host.find(':') == std::string::npos ? a.host + port : "[" + a.host + "]" + port;
}

std::string parse_place(std::string_view text, place& out) {
  constexpr std::string_view service = "srv:";
  if (text.starts_with(service)) {
    const auto name = text.substr(service.size());
    if (!is_service_name(name))
      return "'" + std::string(text) + "' names no SRV records: expected srv:NAME, such as srv:_cohort._tcp.example.org";
    out = {};
    out.service = name;
    return {};
  }
  address at;
  if (auto problem = parse_address(text, at); !problem.empty()) return problem;
  if (at.port == 0) return "port 0 is no port that others could find";
  out = std::move(at);
  return {};
}

std::string to_string(const place& p) { return p.service.empty() ? to_string(p.where) : "srv:" + p.service; }

std::string parse_name_servers(std::string_view text, std::vector<address>& out) {
  out.clear();
  text = trimmed(text);
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string one(trimmed(text.substr(0, comma)));
    text = comma == std::string_view::npos ? std::string_view() : trimmed(text.substr(comma + 1));
    address server{one, 53};
    if (!is_literal(one)) {
      const bool good = parse_address(one, server).empty() && is_literal(server.host);
      if (!good) return "'" + one + "' is no name server: expected an address, such as 127.0.0.1 or 127.0.0.1:8600";
      if (server.port == 0) server.port = 53;
    }
    out.push_back(std::move(server));
    if (out.size() > name_servers_max) return "more than " + std::to_string(name_servers_max) + " name servers are given";
  }
  return {};
}

}  // namespace cohort::transport
