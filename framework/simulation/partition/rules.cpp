// Operators of the simulated partitionable group: they ask for other rules now and then.
#include "framework/simulation/partition/node.hpp"

#include <stdexcept>

namespace cohort::sim::partition {

using std::chrono::milliseconds;

void world::change_rules() {
  at(now_ + milliseconds(chance_.between(200, 2500)), [this] {
    if (now_ >= scenario_.faults_until) return;
    const auto n = static_cast<unsigned>(chance_.below(scenario_.members));
    auto& here = *nodes_[n];
    if (here.core) {
      here.core->tick(now_, wall(n));
      auto wanted = here.core->rules();
      switch (chance_.below(6)) {
        case 0:
          wanted.lane_window = chance_.chance(500) ? 8'000 : largest_window;
          break;
        case 1:
          wanted.fail_after = milliseconds(chance_.between(250, 900));
          break;
        case 2:
          wanted.heartbeat = milliseconds(chance_.between(30, 60));
          break;
        case 3:
          wanted.message_bytes_max = static_cast<std::uint64_t>(chance_.between(10'000, 1'000'000));
          break;
        case 4:
          for (std::size_t o = 0; o < order_count; ++o)
            if (wanted.orders.has(static_cast<order>(o)) && chance_.chance(500))
              wanted.default_order = static_cast<order>(o);
          break;
        default:
          wanted.suspect_at += 1;
          break;
      }
      const bool refused = here.core->refuses(change_kind::options, wanted) != nullptr;
      if (refused != (wanted.suspect_at != here.core->rules().suspect_at))
        throw std::logic_error("a change of rules is judged wrongly");
      if (refused) return change_rules();
      auto asked = std::make_shared<const view_options>(wanted);
      here.asked[here.core->request(wanted)] = asked;
      add(n, step_kind::asks).rules = std::move(asked);
      plan_pass(n, now_);
    }
    change_rules();
  });
}

void world::told_of_change(unsigned n, const protocol::event& e) {
  if (e.kind != event_kind::change_done && e.kind != event_kind::change_refused) return;
  auto asked = nodes_[n]->asked.extract(e.number);
  if (asked.empty()) throw std::logic_error("a change is answered that nobody asked for");
  if (e.kind == event_kind::change_done) add(n, step_kind::changed).rules = std::move(asked.mapped());
}

}  // namespace cohort::sim::partition
