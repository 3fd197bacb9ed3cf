// Causal, safe causal and total messages come behind all that their sender had delivered in the view, and behind what
// it had sent in weaker orders (rules O6, O7).
#include "framework/simulation/partition/history.hpp"

#include <set>

namespace cohort::sim::partition {

std::string causal_order(const history& h) {
  if (!h.dependencies) return {};
  std::map<std::uint64_t, component_id> where;
  const auto all = stays(h);
  for (const auto& s : all)
    for (const auto* deliveries : {&s.regular, &s.transitional})
      for (const auto* d : *deliveries) where.emplace(d->message, s.view->id);
  // By message: the newest of each stream in its past. Streams have an order of their own (fifo_order, total_order).
  std::map<std::uint64_t, std::vector<std::uint64_t>> past;
  for (const auto& l : h.lives) {
    std::map<std::pair<process, order>, std::uint64_t> seen;
    for (const auto* s : timeline(l)) {
      const auto m = h.messages.find(s->message);
      if (m == h.messages.end() || (s->kind != step_kind::submits && s->kind != step_kind::delivers)) continue;
      const auto how = m->second.how;
      if (s->kind == step_kind::submits && how >= order::causal)
        for (const auto& [stream, newest] : seen) past[s->message].push_back(newest);
      const bool counts = s->kind == step_kind::delivers || how != order::total;
      if (how != order::unordered && counts) seen[{m->second.sender, how}] = s->message;
    }
  }
  for (const auto& s : all) {
    std::set<std::uint64_t> before;
    for (const auto* deliveries : {&s.regular, &s.transitional})
      for (const auto* d : *deliveries) {
        if (const auto of = past.find(d->message); of != past.end())
          for (const auto p : of->second)
            if (const auto at = where.find(p); at != where.end() && at->second == s.view->id && !before.contains(p))
              return name_of(s.of->who) + " delivers " + message_name(h, d->message) + " before " + message_name(h, p) +
                     ", which is in its past";
        before.insert(d->message);
      }
  }
  return {};
}

}  // namespace cohort::sim::partition
