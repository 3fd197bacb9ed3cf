// A process is a member of every view it installs (Chockler, Keidar, Vitenberg, 2001, property 3.1).
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string self_inclusion(const history& h) {
  for (const auto& l : h.lives)
    for (const auto& s : l.steps)
      if (s.kind == step_kind::enters && !is_in(s.view->members, l.who))
        return name_of(l.who) + " installs " + name_of(s.view->id) + " without itself";
  return {};
}

}  // namespace cohort::sim::partition
