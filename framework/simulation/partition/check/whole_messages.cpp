// A message is delivered as it was submitted, however many parts it travelled in (rule L11).
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string whole_messages(const history& h) {
  for (const auto& l : h.lives)
    for (const auto& s : l.steps)
      if (s.kind == step_kind::delivers && !s.intact)
        return name_of(l.who) + " delivers " + message_name(h, s.message) + " of " +
               std::to_string(h.messages.contains(s.message) ? h.messages.at(s.message).size : 0) +
               " bytes with other bytes than it was sent with";
  return {};
}

}  // namespace cohort::sim::partition
