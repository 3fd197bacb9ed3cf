#pragma once

#include "samples/kv/gateway.hpp"

#include <string>
#include <utility>
#include <vector>

namespace kv {

/// Limits of the Redis side. What a client can make the node hold is bounded by them, whatever it sends or does not
/// read.
struct server_options {
  std::string listen = "127.0.0.1:6379";  ///< host:port; port 0 = any free one
  gateway_options gateway;
  std::size_t clients_max = 10'000;               ///< more are told so and closed
  std::size_t commands_in_flight_max = 1024;      ///< per connection: its later commands stay in the socket
  std::size_t output_soft_bytes = 1u << 20;       ///< per connection: above, nothing more is read from it
  std::size_t output_hard_bytes = 256u << 20;     ///< per connection: above, it is closed
  std::size_t total_bytes_max = 1u << 30;         ///< of all connections: above, the largest one is closed
  std::vector<std::pair<std::string, std::string>> parameters;  ///< what CONFIG GET knows besides the server's own
};

}  // namespace kv
