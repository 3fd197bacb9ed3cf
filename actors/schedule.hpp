#pragma once

#include "framework/protocol/types.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace cohort::detail {

/// Which of a node's groups, by their places, a pass of the loop has to look at: those that had an input, those that are due. What a pass
/// costs depends on them alone, however many others there are.
class schedule {
public:
  void resize(std::size_t groups) {
    places_.resize(groups, nowhere);
    touched_.resize(groups, false);
  }

  /// The group has a pass in this turn of the loop.
  void touch(std::uint32_t group) {
    if (touched_[group]) return;
    touched_[group] = true;
    ready_.push_back(group);
  }
  /// The group is touched once `when` has passed; replaces an earlier setting, `never` takes it back. O(log n).
  void set(std::uint32_t group, protocol::instant when);
  /// Touches the groups whose time has come.
  void touch_due(protocol::instant now);
  /// When the next one's comes.
  protocol::instant next() const { return heap_.empty() ? protocol::never : heap_.front().first; }

  /// Calls `pass` for each group that is touched, in the order in which they were. What touches a group from within its
  /// own pass is lost: it is the pass's own doing.
  template <class Pass>
  void run(Pass&& pass) {
    running_.swap(ready_);
    for (auto group : running_) {
      pass(group);
      touched_[group] = false;
    }
    running_.clear();
  }
  bool anything_ready() const { return !ready_.empty(); }

private:
  static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);
  using item = std::pair<protocol::instant, std::uint32_t>;
  void put(std::size_t at, item what);
  void sift_up(std::size_t at);
  void sift_down(std::size_t at);

  std::vector<std::uint32_t> ready_, running_;
  std::vector<bool> touched_;
  std::vector<item> heap_;            ///< earliest first
  std::vector<std::size_t> places_;   ///< in the heap, by group
};

}  // namespace cohort::detail
