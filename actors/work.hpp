#pragma once

#include "actors/ledger.hpp"

#include "framework/protocol/outputs.hpp"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace cohort::detail {

/// Linearizable questions which share one read of the core.
struct read_group {
  std::uint64_t id = 0;
  std::vector<std::shared_ptr<question_set>> sets;
};

/// What one pass of the protocol thread delivers to the replica: one mailbox message, however many messages it holds.
/// Dropped before it is finished (the replica died, the node stopped): its own messages are answered `unknown`, since
/// they are committed but not applied here; its questions answer themselves.
struct work {
  work() = default;
  work(const work&) = delete;
  work& operator=(const work&) = delete;
  ~work() { answer_all(runs, outcome::unknown); }

  std::vector<protocol::delivery_op> ops;
  std::vector<own_run> runs;      ///< own messages among `ops`, in their order
  std::vector<read_group> reads;  ///< for the `deliver_read`s among `ops`, in their order
  std::vector<std::pair<member_id, protocol::call_answers>> answers;  ///< of other members to calls of ours
  std::vector<std::pair<member_id, protocol::calls_over>> given_up;   ///< calls of others that we need not answer any more
  std::vector<std::pair<member_id, protocol::state_digest>> digests;  ///< of other members' states
  std::optional<bool> primary;    ///< contact with a quorum was found before `ops`, or lost behind them
  std::size_t bytes = 0;          ///< payload in `ops`; credit that goes back when it is finished

  void clear() {
    ops.clear();
    runs.clear();
    reads.clear();
    answers.clear();
    given_up.clear();
    digests.clear();
    primary.reset();
    bytes = 0;
  }
};

using work_ptr = std::shared_ptr<work>;

}  // namespace cohort::detail
