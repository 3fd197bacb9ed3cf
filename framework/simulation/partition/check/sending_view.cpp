// A message is delivered in one view, of which its sender is a member (rule O9).
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string sending_view(const history& h) {
  std::map<std::uint64_t, component_id> where;
  for (const auto& s : stays(h))
    for (const auto* deliveries : {&s.regular, &s.transitional})
      for (const auto* d : *deliveries) {
        const auto& first = where.emplace(d->message, s.view->id).first->second;
        if (first != s.view->id)
          return message_name(h, d->message) + " is delivered in " + name_of(first) + " and, by " + name_of(s.of->who) +
                 ", in " + name_of(s.view->id);
        if (const auto m = h.messages.find(d->message);
            m != h.messages.end() && !is_in(s.view->members, m->second.sender))
          return message_name(h, d->message) + " is delivered in " + name_of(s.view->id) +
                 ", which its sender is not in";
      }
  return {};
}

}  // namespace cohort::sim::partition
