#pragma once

#include <cohort/node.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace cohort::detail {

struct host_port {
  std::string host;
  std::uint16_t port = 0;
};

/// "host:port", "[v6]:port"; throws `node_error` naming `what`.
host_port parse_address(std::string_view text, const std::string& what);

/// Checks a configuration and fills what it leaves open (listen address, epoch, workers). Members come out sorted by
/// name, so a member's place is its `member_id`. Throws `node_error`.
node_config checked(node_config config);

/// Throws `node_error` if a group of so many members cannot be hosted here under this contract: what contradicts what,
/// why, and the nearest legal contract; or what of it is not built. Returns what is doubtful, a sentence each.
std::vector<std::string> admit(const contract& how, std::string_view group, std::size_t members);

}  // namespace cohort::detail
