#pragma once

#include "actors/port_state.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace cohort::detail {

/// Consecutive own messages of one port with consecutive tags, taken by the core.
struct own_run {
  std::shared_ptr<port_state> port;
  std::uint64_t first_tag = 0;
  std::uint32_t count = 0;
  protocol::instant deadline{};
  bool answered = false;  ///< reported as `unknown`: its caller wants to hear no more
};

/// Own submissions which the core took and neither delivered nor reported as lost, oldest first. A lane is FIFO and the
/// core delivers it in order, so a delivery with `own` answers the oldest messages here, and lost ones are the oldest
/// at their view (rules L1, O10).
class ledger {
public:
  void add(const std::shared_ptr<port_state>& port, std::uint64_t first_tag, std::uint32_t count,
           protocol::instant deadline);

  /// Moves the runs of the oldest `count` messages to `into`. False if there are not so many: a broken invariant.
  bool take(std::uint64_t count, std::vector<own_run>& into);

  /// Answers `unknown` to all whose deadline is not after `now`; they stay in their place. Returns how many.
  std::uint64_t expire(protocol::instant now);
  /// Deadline of the oldest unanswered run, or `never`.
  protocol::instant next_deadline() const;

  std::uint64_t size() const { return messages_; }

private:
  std::deque<own_run> runs_;
  std::uint64_t messages_ = 0;
  std::size_t answered_ = 0;  ///< runs at the front that are answered already (deadlines only grow)
};

/// Completes every message of `runs` that has not been answered with `what`, and empties it.
void answer_all(std::vector<own_run>& runs, outcome what);

}  // namespace cohort::detail
