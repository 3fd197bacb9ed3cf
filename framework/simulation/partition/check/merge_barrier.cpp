// No message of a view with several sides is delivered before every member of it has merged (rule P7).
#include "framework/simulation/partition/history.hpp"

#include <algorithm>

namespace cohort::sim::partition {

std::string merge_barrier(const history& h) {
  if (h.merge == merge_policy::none) return {};
  std::map<std::pair<component_id, process>, std::uint64_t> merged_at;
  for (const auto& l : h.lives)
    for (const auto& s : l.steps)
      if (s.kind == step_kind::merges) merged_at[{s.id, l.who}] = s.at;
  for (const auto& s : stays(h)) {
    if (s.view->sides.size() < 2) continue;
    for (const auto* deliveries : {&s.regular, &s.transitional})
      for (const auto* d : *deliveries)
        for (const auto& m : s.view->members) {
          const auto at = merged_at.find({s.view->id, m});
          if (at == merged_at.end() || at->second > d->at)
            return name_of(s.of->who) + " delivers " + message_name(h, d->message) + " in " + name_of(s.view->id) +
                   " before " + name_of(m) + " has merged";
        }
  }
  return {};
}

}  // namespace cohort::sim::partition
