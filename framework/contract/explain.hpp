#pragma once

#include "framework/contract/rules.hpp"

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

/// What the group outlives, and what it does not; each with its rule.
std::vector<std::string> survived(const situation& s);
std::vector<std::string> not_survived(const situation& s);

}  // namespace cohort::contracts
