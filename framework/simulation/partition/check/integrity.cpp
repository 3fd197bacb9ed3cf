// What is delivered was sent before, and no process delivers it twice.
#include "framework/simulation/partition/history.hpp"

#include <set>

namespace cohort::sim::partition {

std::string integrity(const history& h) {
  std::map<std::uint64_t, std::uint64_t> sent_at;
  for (const auto& l : h.lives)
    for (const auto* s : timeline(l))
      if (s->kind == step_kind::submits) sent_at.emplace(s->message, s->at);
  for (const auto& l : h.lives) {
    std::set<std::uint64_t> seen;
    for (const auto& s : l.steps) {
      if (s.kind != step_kind::delivers) continue;
      const auto at = sent_at.find(s.message);
      if (at == sent_at.end() || at->second > s.at)
        return name_of(l.who) + " delivers " + message_name(h, s.message) + ", which nobody sent";
      if (!seen.insert(s.message).second) return name_of(l.who) + " delivers " + message_name(h, s.message) + " twice";
    }
  }
  return {};
}

}  // namespace cohort::sim::partition
