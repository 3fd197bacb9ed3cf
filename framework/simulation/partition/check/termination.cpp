// A total message with a deadline ends in one way: delivered, or expired and delivered nowhere, in no component (DL1).
// What is delivered was sealed in time, is late where the clock says so (DL2), and nothing expires before its time.
#include "framework/simulation/partition/history.hpp"

#include <set>

namespace cohort::sim::partition {

std::string termination(const history& h) {
  std::map<std::uint64_t, process> delivered;
  for (const auto& l : h.lives)
    for (const auto& s : l.steps)
      if (s.kind == step_kind::delivers) delivered.emplace(s.message, l.who);
  for (const auto& l : h.lives) {
    std::set<std::uint64_t> ended;
    for (const auto& s : l.steps) {
      if (s.kind != step_kind::delivers && s.kind != step_kind::expires) continue;
      const auto m = h.messages.find(s.message);
      if (m == h.messages.end()) continue;
      const auto what = name_of(l.who) + ": " + message_name(h, s.message);
      if (!ended.insert(s.message).second) return what + " ends twice";
      const auto deadline = m->second.deadline;
      if (s.kind == step_kind::delivers) {
        const bool over = deadline != wall_time{} && s.wall > deadline;
        if (s.late != over) return what + (over ? " is late and not told so" : " is told as late and is not");
        if (deadline != wall_time{} && m->second.how == order::total && s.time > deadline)
          return what + " is delivered although it was sealed after its deadline";
        continue;
      }
      if (deadline == wall_time{}) return what + " expires without a deadline";
      if (s.wall <= deadline) return what + " expires before its deadline";
      if (const auto by = delivered.find(s.message); m->second.how == order::total && by != delivered.end())
        return what + " has expired, and " + name_of(by->second) + " delivers it";
    }
  }
  return {};
}

}  // namespace cohort::sim::partition
