#pragma once

#include <cohort/stream.hpp>
#include <cohort/types.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace cohort {

/// Timers of a replicated state machine: they expire by agreed time, at the same place of the order at all members, and survive
/// with its checkpoint. Call `advance` with the agreed time of each delivery before anything else; what is due then expires
/// there. Return `next` from `state_machine::next_due` and call `advance` in `time_passed`, too: then timers expire although nothing
/// else is delivered. Without that one expires with the first delivery after it is due.
class log_timers {
public:
  /// Timer `id` is due at `when`; replaces its earlier setting.
  void set(std::uint64_t id, wall_time when) {
    cancel(id);
    due_.emplace(when, id);
    when_.emplace(id, when);
  }
  /// False if it was not set.
  bool cancel(std::uint64_t id) {
    const auto known = when_.find(id);
    if (known == when_.end()) return false;
    due_.erase({known->second, id});
    when_.erase(known);
    return true;
  }
  /// Calls `expired(id, when)` for each timer due at `now`, ordered by time, then by id. It may set and cancel timers; one that it
  /// sets to a time which is over expires in this call, too.
  template <class F>
  void advance(wall_time now, F expired) {
    while (!due_.empty() && due_.begin()->first <= now) {
      const auto [when, id] = *due_.begin();
      cancel(id);
      expired(id, when);
    }
  }
  std::optional<wall_time> next() const { return due_.empty() ? std::nullopt : std::optional(due_.begin()->first); }
  std::size_t size() const { return due_.size(); }

  void checkpoint(sink& out) const {
    out.write_u64(when_.size());
    for (const auto& [id, when] : when_) {
      out.write_u64(id);
      out.write_u64(static_cast<std::uint64_t>(when.count()));
    }
  }
  void restore(source& in) {
    due_.clear();
    when_.clear();
    for (auto count = in.read_u64(); count > 0; --count) {
      const auto id = in.read_u64();
      set(id, wall_time(static_cast<std::int64_t>(in.read_u64())));
    }
  }

private:
  std::set<std::pair<wall_time, std::uint64_t>> due_;
  std::map<std::uint64_t, wall_time> when_;
};

}  // namespace cohort
