// The transitional set names exactly those who come along from the same view (property 4.1).
#include "framework/simulation/partition/history.hpp"

#include <algorithm>

namespace cohort::sim::partition {

std::string transitional_sets(const history& h) {
  const auto all = stays(h);
  std::map<std::pair<component_id, process>, component_id> came_from;  // (new view, process) -> old view
  for (const auto& s : all)
    if (s.next) came_from[{s.next->id, s.of->who}] = s.view->id;
  for (const auto& s : all) {
    if (!s.next) continue;
    const auto who = s.of->who;
    if (!is_in(s.together, who))
      return name_of(who) + " leaves " + name_of(s.view->id) + " with a transitional set without itself";
    for (const auto& m : s.next->members) {
      const auto from = came_from.find({s.next->id, m});
      if (from == came_from.end()) continue;
      if (is_in(s.together, m) != (from->second == s.view->id))
        return name_of(who) + " goes from " + name_of(s.view->id) + " to " + name_of(s.next->id) + " with " +
               name_of(m) + (is_in(s.together, m) ? " in" : " not in") +
               " its transitional set, and that one comes from " + name_of(from->second);
    }
    for (const auto& m : s.together)
      if (!is_in(s.next->members, m))
        return "the transitional set of " + name_of(who) + " has a process the next view has not";
  }
  return {};
}

}  // namespace cohort::sim::partition
