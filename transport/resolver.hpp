#pragma once

// Inside transport/ only: host names and SRV records without blocking the loop.

#include "transport/address.hpp"
#include "transport/loop.hpp"
#include "transport/socket.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace cohort::transport {

/// A part of what a look-up found; parts come as they are known, so that a name server that does not answer for one
/// host holds no other one back.
struct resolved {
  std::vector<endpoint_address> found;
  std::string why;    ///< not empty: what could not be found
  bool last = false;  ///< nothing follows
};

/// Looks places up on a thread of its own (c-ares: all look-ups at once). Names are asked of /etc/hosts and of the name
/// servers; other sources of the system's resolver are not. A look-up ends within 3 seconds for each step of it: SRV
/// records, then their hosts. Loop's thread only.
class resolver {
public:
  using answer = std::function<void(resolved&&)>;

  /// `servers`: empty means those of the system, /etc/resolv.conf; it is read anew when none of them answers.
  resolver(loop& where, std::vector<address> servers);
  /// Ends look-ups that are under way; no answer comes any more.
  ~resolver();
  resolver(const resolver&) = delete;
  resolver& operator=(const resolver&) = delete;

  /// Calls `done` on the loop, in later passes; for a literal address before it returns.
  void resolve(const place& what, answer done);

private:
  class worker;
  loop& loop_;
  std::vector<address> servers_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // asked on the loop, by answers on their way
  std::unique_ptr<worker> worker_;
};

}  // namespace cohort::transport
