// Processes that go from one view to the next together deliver the same messages in the first, before and after the
// transition (rule P5, V15).
#include "framework/simulation/partition/history.hpp"

#include <set>

namespace cohort::sim::partition {
namespace {

std::set<std::uint64_t> messages_of(const history& h, const std::vector<const step*>& deliveries) {
  std::set<std::uint64_t> all;
  for (const auto* d : deliveries) {
    // Each receiver decides by its own clock whether an unordered message came in time (DL2, DL3).
    const auto m = h.messages.find(d->message);
    const bool own_choice =
        m != h.messages.end() && m->second.how == order::unordered && m->second.deadline != wall_time{};
    if (!own_choice) all.insert(d->message);
  }
  return all;
}

}  // namespace

std::string virtual_synchrony(const history& h) {
  struct first_of_all {
    process who;
    std::set<std::uint64_t> regular, transitional;
  };
  std::map<std::pair<component_id, component_id>, first_of_all> known;
  for (const auto& s : stays(h)) {
    if (!s.next) continue;
    first_of_all here{s.of->who, messages_of(h, s.regular), messages_of(h, s.transitional)};
    const auto& first = known.emplace(std::pair(s.view->id, s.next->id), here).first->second;
    if (first.regular != here.regular || first.transitional != here.transitional)
      return name_of(first.who) + " and " + name_of(here.who) + " go from " + name_of(s.view->id) + " to " +
             name_of(s.next->id) + " and delivered different messages " +
             (first.regular != here.regular ? "before" : "after") + " the transition";
  }
  return {};
}

}  // namespace cohort::sim::partition
