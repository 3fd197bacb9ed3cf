// Members of one side enter a view with equal states, and all leave its merge with one (rule P7).
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string merged_states(const history& h) {
  if (h.merge == merge_policy::none) return {};
  std::map<std::pair<component_id, std::size_t>, std::pair<process, std::uint64_t>> of_side;
  std::map<component_id, std::pair<process, std::uint64_t>> of_view;
  for (const auto& l : h.lives)
    for (const auto& s : l.steps) {
      if (s.kind == step_kind::enters) {
        for (std::size_t i = 0; i < s.view->sides.size(); ++i) {
          if (!is_in(s.view->sides[i].members, l.who)) continue;
          const auto& first = of_side.emplace(std::pair(s.view->id, i), std::pair(l.who, s.state)).first->second;
          if (first.second != s.state)
            return name_of(first.first) + " and " + name_of(l.who) + " enter " + name_of(s.view->id) +
                   " on one side with different states";
        }
      } else if (s.kind == step_kind::merges) {
        const auto& first = of_view.emplace(s.id, std::pair(l.who, s.state)).first->second;
        if (first.second != s.state)
          return name_of(first.first) + " and " + name_of(l.who) + " have different states behind the merge of " +
                 name_of(s.id);
      }
    }
  return {};
}

}  // namespace cohort::sim::partition
