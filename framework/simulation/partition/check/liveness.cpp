// Once the network is whole and all processes live, they are in one view with one state.
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string liveness(const history& h) {
  if (!h.healed) return {};
  const stay* first = nullptr;
  const auto all = stays(h);
  std::size_t alive = 0;
  for (const auto& l : h.lives) alive += !l.ended;
  std::uint64_t state = 0;
  for (const auto& s : all) {
    if (s.of->ended || s.next) continue;
    const auto now = s.of->steps.back().state;
    if (!first) {
      first = &s;
      state = now;
      if (s.view->members.size() != alive)
        return name_of(s.of->who) + " ends in " + name_of(s.view->id) + " of " +
               std::to_string(s.view->members.size()) + " members, " + std::to_string(alive) + " processes live";
    }
    if (s.view->id != first->view->id)
      return name_of(first->of->who) + " ends in " + name_of(first->view->id) + ", " + name_of(s.of->who) + " in " +
             name_of(s.view->id);
    if (h.merge != merge_policy::none && now != state)
      return name_of(first->of->who) + " and " + name_of(s.of->who) + " end with different states";
  }
  return {};
}

}  // namespace cohort::sim::partition
