#pragma once

#include <cohort/stream.hpp>

#include <cstdint>

namespace cohort {

/// Names one period in which somebody holds a right: a lock's grant, a primary's office. Later periods have greater tokens, so
/// whatever is guarded can tell a holder from one that was replaced and does not know it yet, because it was paused or cut off
/// (Gray, Cheriton, "Leases", 1989, without its bound on clocks). 0 names none.
using fencing_token = std::uint64_t;

/// Guards a state, a file, a device: refuses whoever comes with an older token than somebody before. Part of what it guards: it
/// lives in the same state machine, or is stored with the same data, so that no restart lets it forget. No thread of its own.
class fence {
public:
  /// True if the holder of `token` may act, from which point on older ones may not.
  bool admit(fencing_token token) {
    if (token == 0 || token < newest_) return false;
    newest_ = token;
    return true;
  }
  fencing_token newest() const { return newest_; }

  void checkpoint(sink& out) const { out.write_u64(newest_); }
  void restore(source& in) { newest_ = in.read_u64(); }

private:
  fencing_token newest_ = 0;
};

}  // namespace cohort
