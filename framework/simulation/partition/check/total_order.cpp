// Total order in each component: before the transition all members of a view deliver prefixes of one sequence, and no
// two processes deliver two messages in different orders.
#include "framework/simulation/partition/history.hpp"

#include <algorithm>

namespace cohort::sim::partition {

std::string total_order(const history& h) {
  std::map<std::pair<component_id, std::uint64_t>, std::uint64_t> at_position;
  std::map<component_id, std::vector<std::vector<std::uint64_t>>> sequences;
  for (const auto& s : stays(h)) {
    std::vector<std::uint64_t> mine;
    std::uint64_t position = 0;
    for (const auto* deliveries : {&s.regular, &s.transitional})
      for (const auto* d : *deliveries) {
        const auto m = h.messages.find(d->message);
        if (m == h.messages.end() || m->second.how != order::total) continue;
        mine.push_back(d->message);
        if (d->position != ++position)
          return name_of(s.of->who) + " delivers " + message_name(h, d->message) + " at position " +
                 std::to_string(d->position) + " instead of " + std::to_string(position);
        if (deliveries == &s.transitional) continue;
        const auto first = at_position.emplace(std::pair(s.view->id, position), d->message).first->second;
        if (first != d->message)
          return name_of(s.of->who) + " delivers " + message_name(h, d->message) + " at position " +
                 std::to_string(position) + " of " + name_of(s.view->id) + ", others " + message_name(h, first);
      }
    auto& known = sequences[s.view->id];
    if (std::ranges::find(known, mine) == known.end()) known.push_back(std::move(mine));
  }
  for (const auto& [view, all] : sequences)
    for (std::size_t i = 0; i < all.size(); ++i)
      for (std::size_t j = i + 1; j < all.size(); ++j) {
        std::map<std::uint64_t, std::size_t> place;
        for (std::size_t k = 0; k < all[i].size(); ++k) place[all[i][k]] = k + 1;
        std::size_t last = 0;
        for (const auto m : all[j])
          if (const auto p = place.find(m); p != place.end()) {
            if (p->second < last) return message_name(h, m) + " is delivered in two orders in " + name_of(view);
            last = p->second;
          }
      }
  return {};
}

}  // namespace cohort::sim::partition
