#pragma once

// Inside transport/ only: host names without blocking the loop.

#include "transport/loop.hpp"
#include "transport/socket.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace cohort::transport {

/// Looks host names up on a thread of its own: a name server that does not answer must not hold heartbeats back.
/// Literal addresses need no thread. Loop's thread only.
class resolver {
public:
  using answer = std::function<void(std::vector<endpoint_address>, std::string why)>;

  explicit resolver(loop& where);
  /// Answers still to come are dropped; a look-up that is under way ends on its own.
  ~resolver();

  /// Calls `done` on the loop, in a later pass; for a literal address before it returns.
  void resolve(const address& what, answer done);

private:
  struct shared;
  std::shared_ptr<shared> shared_;
};

}  // namespace cohort::transport
