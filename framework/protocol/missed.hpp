#pragma once

#include "framework/protocol/types.hpp"

#include <cohort/order.hpp>

#include <memory>
#include <vector>

namespace cohort::protocol {

/// The two lanes that a member can own in a view (rule L1): what waits for nobody's past, and what does.
enum class lane_kind : std::uint8_t {
  plain = 0,   ///< unordered, fifo, safe_fifo
  causal = 1,  ///< causal, safe_causal, total
};

/// What a lane is known by, whatever the view (rule L1).
struct lane_name {
  member_id owner = no_member;
  incarnation inc = 0;
  lane_kind kind = lane_kind::causal;
  auto operator<=>(const lane_name&) const = default;
};

/// A lane that is over: where it ended, and what lies beyond that and was delivered all the same (V7).
struct ended_lane {
  lane_name lane;
  view_number view = 0;           ///< the last one it belonged to
  sequence upto = 0;
  std::vector<sequence> extras;   ///< ascending
  bool operator==(const ended_lane&) const = default;
};

/// The lanes that ended, the newest last: from these a member that is given a checkpoint knows what it was not delivered,
/// although it never saw the views in between. A function of the log, carried in checkpoints.
struct lane_history {
  view_number complete_from = 0;  ///< lanes that ended in earlier views may be left out
  std::vector<ended_lane> lanes;
  bool operator==(const lane_history&) const = default;
};
using lane_history_ptr = std::shared_ptr<const lane_history>;
/// More are forgotten, the oldest first.
inline constexpr std::size_t ended_lanes_max = 512;

/// Batches `from` to `to` of a lane, all of which a member was not delivered.
struct missed_run {
  lane_name lane;
  view_number view = 0;           ///< the last one in which the lane is known: that in which it ended, or the checkpoint's
  sequence from = 0, to = 0;
  bool operator==(const missed_run&) const = default;
};

/// What a checkpoint replaced and a member was not delivered (rule S4): exactly what the group delivered up to the checkpoint,
/// less what this member had had.
struct missed_messages {
  log_index after = 0;            ///< it had applied the log up to here
  view_number view = 0;           ///< in which it was
  std::uint64_t delivered = 0;    ///< messages of the total order it had had
  bool complete = true;           ///< false: lanes that ended in views before the history's begin are not named
  std::vector<missed_run> runs;
  bool operator==(const missed_messages&) const = default;
};
using missed_ptr = std::shared_ptr<const missed_messages>;

/// What of a lane was delivered to a member.
struct had_of_lane {
  sequence upto = 0;                ///< everything up to here ...
  std::vector<sequence> not_these;  ///< ... but these, ascending
  std::vector<sequence> beyond;     ///< and these above
};

/// Appends what lies in (0, upto] and `extras`, and is not in `had`.
void add_missed(std::vector<missed_run>& runs, const lane_name& lane, view_number view, const had_of_lane& had, sequence upto,
                const std::vector<sequence>& extras);

/// The history behind a view in which these lanes ended.
lane_history_ptr with_ended(const lane_history_ptr& before, std::vector<ended_lane> ended);

}  // namespace cohort::protocol
