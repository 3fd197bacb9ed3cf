#pragma once

#include "framework/contract/rules.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cohort::contracts {

/// What sending a message in some order costs, and what is promised of it.
struct order_cost {
  std::string delays;    ///< from the submission to the delivery
  std::string messages;  ///< frames for one batch; all messages of a pass share them (N3)
  std::string flushes;
  std::string promised;  ///< the rows of the table of guarantees
  std::string not_promised;
};
order_cost cost_of(order o, const situation& s);

/// Bytes that a member holds at most, beside the application's state and its ports.
struct memory_bounds {
  std::uint64_t lanes = 0;       ///< in flight
  std::uint64_t unfinished = 0;  ///< large messages of which parts have come
  std::uint64_t kept = 0;        ///< applied, and not trimmed yet
  std::uint64_t fed = 0;         ///< ... while a learner is given its state and catches up
  std::uint64_t disk = 0;        ///< waits for it
  std::uint64_t applied = 0;     ///< to be
  std::uint64_t away = 0;        ///< for members that are away
};
memory_bounds memory_of(const situation& s);

/// What the group outlives, and what it does not; each with its rule.
std::vector<std::string> survived(const situation& s);
std::vector<std::string> not_survived(const situation& s);

}  // namespace cohort::contracts
