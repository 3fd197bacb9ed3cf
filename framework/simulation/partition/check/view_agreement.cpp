// One name, one view (P1).
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string view_agreement(const history& h) {
  std::map<component_id, component_ptr> known;
  for (const auto& l : h.lives)
    for (const auto& s : l.steps) {
      if (s.kind != step_kind::enters) continue;
      const auto& first = known.emplace(s.view->id, s.view).first->second;
      if (!(*first == *s.view))
        return name_of(l.who) + " installs another " + name_of(s.view->id) + " than somebody else";
    }
  return {};
}

}  // namespace cohort::sim::partition
