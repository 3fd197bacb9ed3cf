// A process that does not crash delivers what it sent, once faults have ended, or learns that it has expired.
#include "framework/simulation/partition/history.hpp"

#include <set>

namespace cohort::sim::partition {

std::string self_delivery(const history& h) {
  if (!h.healed) return {};
  for (const auto& l : h.lives) {
    if (l.ended) continue;
    std::set<std::uint64_t> open;
    for (const auto& s : l.steps) {
      if (s.kind == step_kind::submits && s.at > l.resumed) open.insert(s.message);
      if (s.kind == step_kind::delivers || s.kind == step_kind::expires) open.erase(s.message);
    }
    if (!open.empty()) return name_of(l.who) + " never delivers its own " + message_name(h, *open.begin());
  }
  return {};
}

}  // namespace cohort::sim::partition
