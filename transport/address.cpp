#include "transport/address.hpp"

#include <charconv>

namespace cohort::transport {

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

}  // namespace cohort::transport
