// What a process delivered as safe before it crashed it delivers again when it goes on from its disk: in the same view,
// a total message at the same position (rules D9, P2). Without this, what was acknowledged to a sender would be gone.
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string durability(const history& h) {
  if (!h.durable) return {};
  for (const auto& l : h.lives) {
    if (l.ended) continue;
    struct delivery {
      component_id view;
      std::uint64_t position = 0;
    };
    const auto deliveries = [](const std::vector<step>& steps, component_id in) {
      std::map<std::uint64_t, delivery> all;
      for (const auto& s : steps) {
        if (s.kind == step_kind::enters) in = s.view->id;
        if (s.kind == step_kind::delivers) all[s.message] = {in, s.position};
      }
      return all;
    };
    const auto now = deliveries(l.steps, {});
    for (const auto& tail : l.lost) {
      // The first view of a tail is the one in which the checkpoint before it was taken: it is looked up there.
      for (const auto& [message, before] : deliveries(tail, {})) {
        const auto m = h.messages.find(message);
        if (m == h.messages.end() || !is_safe(m->second.how)) continue;
        const auto again = now.find(message);
        const auto what = name_of(l.who) + " delivered " + message_name(h, message) + " before it crashed";
        if (again == now.end()) return what + ", and never again";
        if (before.view.counter != 0 && again->second.view != before.view)
          return what + " in " + name_of(before.view) + ", and now in " + name_of(again->second.view);
        if (again->second.position != before.position)
          return what + " at position " + std::to_string(before.position) + ", and now at " +
                 std::to_string(again->second.position);
      }
    }
  }
  return {};
}

}  // namespace cohort::sim::partition
