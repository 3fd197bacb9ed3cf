// Primary views form one sequence: each holds a majority of the one before, or the half with its smallest member; the first one of a durable
// group all founders (rule P9).
#include "framework/simulation/partition/history.hpp"

#include <algorithm>

namespace cohort::sim::partition {

std::string primary_chain(const history& h) {
  std::map<component_id, component_ptr> primaries;
  for (const auto& l : h.lives)
    for (const auto& s : l.steps)
      if (s.kind == step_kind::enters && s.view->primary) primaries.emplace(s.view->id, s.view);
  component_ptr before;
  for (const auto& [id, v] : primaries) {
    std::size_t here = 0, all = 0;
    bool smallest = false;
    if (before) {
      all = before->members.size();
      for (const auto& m : before->members) here += is_in(v->members, m);
      smallest = is_in(v->members, before->members.front());
    } else {
      all = h.founders.size();
      for (const auto& m : v->members) here += std::ranges::find(h.founders, m.member) != h.founders.end();
      smallest = v->members.front().member == h.founders.front();
    }
    if (!before && h.durable && here < all)
      return name_of(id) + " is the first primary one, and has " + std::to_string(here) + " of the " + std::to_string(all) + " founders";
    if (2 * here < all || (2 * here == all && !smallest))
      return name_of(id) + " is primary with " + std::to_string(here) + " of the " + std::to_string(all) + " of " +
             (before ? name_of(before->id) : "the founders");
    before = v;
  }
  return {};
}

}  // namespace cohort::sim::partition
