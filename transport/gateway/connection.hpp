#pragma once

// Inside transport/gateway/ only: includes KJ.
#include "transport/gateway/server.hpp"
#include "transport/gateway/wake_up.hpp"

#include <kj/async-io.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace cohort::transport::gateway {

/// What clients of one address used of their rate.
struct address_share {
  std::size_t connections = 0;
  double tokens = 0;
  kj::TimePoint filled = kj::origin<kj::TimePoint>();
};

struct stream_state {
  std::unique_ptr<subscription> from;
  kj::Own<kj::PromiseFulfiller<void>> ready;  ///< a client waits
};

/// The server's thread's own: what its connections share.
struct shared_state {
  shared_state(const limits& l, service& s, counters& c, kj::AsyncIoContext& io)
      : bounds(l), behind(s), counts(c), timer(io.provider->getTimer()) {}
  const limits bounds;
  service& behind;
  counters& counts;
  kj::Timer& timer;
  std::map<std::string, address_share> addresses;
  bool flush_wanted = false;
  kj::TaskSet* tasks = nullptr;
  std::vector<std::weak_ptr<stream_state>> waiting;  ///< for events
  std::size_t connections = 0;

  /// Once in this turn of the loop, behind all requests of it.
  void flush_soon();
  bool take_tokens(const std::string& address, std::size_t requests);
};

/// What one connection uses. Kept by its open requests, too, which may outlast it.
struct connection_use {
  std::string address;
  std::uint64_t owner = 0;
  std::size_t requests = 0;
  std::size_t bytes = 0;          ///< of open requests
  std::uint64_t answered = 0;     ///< bytes given to the RPC system
  std::uint64_t written = 0;      ///< bytes taken by the socket
  std::size_t writes = 0;         ///< given to the socket, and not taken whole
  void taken(std::size_t size) {
    --writes;
    written += size;
  }
  std::size_t subscriptions = 0;
  kj::Own<kj::PromiseFulfiller<void>> hang_up;
};

/// Serves one client until it goes, or is sent away.
kj::Promise<void> serve(std::shared_ptr<shared_state> shared, kj::Own<kj::AsyncIoStream> stream, std::string address);

}  // namespace cohort::transport::gateway
