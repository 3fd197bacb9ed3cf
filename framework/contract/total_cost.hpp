#pragma once

#include "framework/contract/quorums.hpp"

namespace cohort::contracts {

/// What a message in total order costs in the network (C4). Directed tests hold it against the core.
struct total_cost {
  unsigned from_leader = 0;  ///< message delays from the submission at the leader to the delivery there
  unsigned from_other = 0;   ///< ... at another member
  unsigned acks = 0;         ///< frames that acknowledge its entry
  unsigned told = 0;         ///< frames by which the leader says that it is committed
};

constexpr total_cost total_cost_of(const contract& c, const quorums& q) {
  constexpr unsigned small_group = 7;
  const unsigned n = q.members;
  if (n <= 1) return {};
  const unsigned others = n - 1;
  // Members that wait for stability hear all acknowledgements anyway.
  const bool all_hear_all = c.orders.has(order::safe_fifo) || c.orders.has(order::safe_causal);
  if (!all_hear_all && n > small_group) return {2, 4, others, others};
  // The leader and oneself decide: its acknowledgement comes with the entry.
  const bool two_decide = q.quorum <= 2 && c.min_copies <= 2;
  if (!all_hear_all && two_decide && c.durability == durability::in_memory) return {2, 2, 2 * others, 0};
  return {2, two_decide ? 2u : 3u, n * others, 0};
}

}  // namespace cohort::contracts
