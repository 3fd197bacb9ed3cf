#pragma once

#include "transport/gateway/figures.hpp"
#include "transport/gateway/service.hpp"
#include "transport/gateway/wake_up.hpp"

namespace cohort::transport::gateway {

/// What clients may use of a node. What is over a limit is refused; a client that does not take what it asked for is
/// disconnected. So one of them costs the others no more than its share.
struct limits {
  std::size_t connections_max = 1024;
  std::size_t connections_per_address_max = 128;
  std::size_t message_bytes_max = 20u << 20;      ///< a message of the RPC protocol
  std::size_t requests_per_connection_max = 4096; ///< open at the same time
  std::size_t bytes_per_connection_max = 32u << 20;  ///< of requests that are open, and of answers that were not taken
  double requests_per_second_max = 200'000;       ///< of one address, with a burst of one second; 0: no limit
  std::size_t subscriptions_per_connection_max = 16;
};

/// Told on the server's thread that it failed, and why: an exception of the service, or of the event loop. It lets go of its clients and
/// begins anew after a pause, unless it is `over`: then it failed `failures_max` times, each within a minute of its beginning.
using server_trouble = std::function<void(const std::string& why, bool over)>;
inline constexpr unsigned failures_max = 5;

/// Serves clients by Cap'n Proto RPC, on a thread of its own.
class server {
public:
  /// Listens on "host:port". Throws `std::runtime_error` saying why it cannot. `behind` is called on the server's thread only,
  /// after each `wakes.tell()`, too; both outlive the server.
  server(const std::string& listen, const limits& bounds, service& behind, wake_up& wakes, server_trouble trouble);
  /// Ends the thread and all connections.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  /// Any thread.
  const counters& figures() const;

  struct impl;

private:
  std::unique_ptr<impl> impl_;
};

}  // namespace cohort::transport::gateway
