#pragma once

#include <cohort/node.hpp>

#include <string>
#include <string_view>

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

/// Throws `node_error` if the parts of `how` contradict each other; says which, why, and what would do.
void check(const contract& how, std::string_view group);

}  // namespace cohort::detail
