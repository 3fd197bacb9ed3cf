// The views of a process have growing counters (property 3.2).
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string monotonic_views(const history& h) {
  for (const auto& l : h.lives) {
    view_number last = 0;
    for (const auto& s : l.steps) {
      if (s.kind != step_kind::enters) continue;
      if (s.view->id.counter <= last)
        return name_of(l.who) + " installs " + name_of(s.view->id) + " behind one with counter " + std::to_string(last);
      last = s.view->id.counter;
    }
  }
  return {};
}

}  // namespace cohort::sim::partition
