#pragma once

#include <cohort/fence.hpp>
#include <cohort/stream.hpp>
#include <cohort/types.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// Locks with leases, as a part of a replicated state machine: a function of what is delivered, so equal at all members, and kept
/// by its checkpoint. Grants come in the order of the requests; each has a token greater than every one before, of any lock.
///
/// Call `advance` with the agreed time of each delivery before anything else. Leases end by agreed time, whatever their holder's
/// clock says: it may learn of that late, so what the lock protects asks for the token (`fence`). Return `next` from
/// `state_machine::next_due` and call `advance` in `time_passed`, too: else a lease ends with the first message after it is over.
class lock_table {
public:
  struct grant {
    fencing_token token = 0;
    wall_time until{};       ///< agreed time at which the lease ends
    std::uint64_t asked = 0; ///< position of the request that is granted
  };

  /// Ends leases that are over at `now`, and gives the locks to who waits: the grants made, in a fixed order. Answer them with
  /// `reply::settle`. Valid until the next call.
  const std::vector<grant>& advance(wall_time now);

  /// The request delivered at `position` asks for `name`. Granted at once, or none: it waits in line (if `waits`), or was refused.
  std::optional<grant> acquire(std::string_view name, wall_time lease, std::uint64_t position, bool waits = true);
  /// Extends the lease of who holds `name` under `token`, from now on. False if it does not hold it any more.
  bool renew(std::string_view name, fencing_token token, wall_time lease);
  /// Gives `name` back. False if it was not held under `token`. Who is next has its grant in the answer of the next `advance`.
  bool release(std::string_view name, fencing_token token);
  /// The token under which `name` is held; 0 if it is not.
  fencing_token holder(std::string_view name) const;
  /// When somebody who waits can be granted a lock at the latest.
  std::optional<wall_time> next() const;
  fencing_token last_token() const { return last_token_; }

  void checkpoint(sink& out) const;
  void restore(source& in);

private:
  struct request {
    std::uint64_t position = 0;
    wall_time lease{};
  };
  struct lock {
    fencing_token token = 0;  ///< 0: free
    wall_time until{};
    std::deque<request> line;
  };
  grant give(lock& l, const request& to);

  std::map<std::string, lock, std::less<>> locks_;  ///< those that are held or waited for
  wall_time now_{};
  fencing_token last_token_ = 0;
  std::vector<grant> granted_;
};

}  // namespace cohort
