// Extended virtual synchrony (Moser, Amir, Melliar-Smith, Agarwal, 1994): a safe message delivered before the
// transition is delivered by every member of the view that does not crash in it, one delivered after it by every one of
// the transitional set.
#include "framework/simulation/partition/history.hpp"

#include <set>

namespace cohort::sim::partition {

std::string safe_delivery(const history& h) {
  const auto all = stays(h);
  std::map<std::pair<component_id, process>, std::set<std::uint64_t>> delivered;
  std::map<std::pair<component_id, process>, const stay*> was_there;
  for (const auto& s : all) {
    auto& here = delivered[{s.view->id, s.of->who}];
    for (const auto* deliveries : {&s.regular, &s.transitional})
      for (const auto* d : *deliveries) here.insert(d->message);
    was_there[{s.view->id, s.of->who}] = &s;
  }
  const auto misses = [&](const stay& s, const step& d, const std::vector<process>& by) -> std::string {
    const auto m = h.messages.find(d.message);
    if (m == h.messages.end() || !is_safe(m->second.how)) return {};
    for (const auto& other : by) {
      const auto at = was_there.find({s.view->id, other});
      // One that never installed the view cannot have acknowledged anything in it.
      if (at == was_there.end()) {
        if (&by == &s.view->members)
          return message_name(h, d.message) + " is safe in " + name_of(s.view->id) + ", which " + name_of(other) +
                 " never installed";
        continue;
      }
      if (at->second->ended_by_crash() || (!at->second->next && !h.healed)) continue;
      if (!delivered[{s.view->id, other}].contains(d.message))
        return name_of(s.of->who) + " delivers " + message_name(h, d.message) + " in " + name_of(s.view->id) + ", " +
               name_of(other) + " never does";
    }
    return {};
  };
  for (const auto& s : all) {
    for (const auto* d : s.regular)
      if (auto why = misses(s, *d, s.view->members); !why.empty()) return why;
    for (const auto* d : s.transitional)
      if (auto why = misses(s, *d, s.together); !why.empty()) return why;
  }
  return {};
}

}  // namespace cohort::sim::partition
