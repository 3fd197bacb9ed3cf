// How an exploration begins.
#include "framework/simulation/explore/pass.hpp"

#include <stdexcept>

namespace cohort::sim::explore {

using namespace protocol;
using namespace std::chrono_literals;

std::vector<std::unique_ptr<member>> settled_group(const scope& s, std::vector<letter>& flight) {
  std::vector<std::unique_ptr<member>> group;
  const auto options = options_of(s);
  const auto on = [&](unsigned n, auto&& act) {
    auto& m = *group[n];
    const pass p{s, m, flight};
    p.tick();
    act(m);
    p.finish();
    while (!m.unsynced.empty()) {
      const auto persisted = m.sync();
      p.tick();
      m.core->persisted(persisted);
      p.finish(persisted);
    }
  };
  for (unsigned n = 0; n < s.members; ++n) {
    auto& m = *group.emplace_back(std::make_unique<member>());
    m.node = n, m.process = 100 + n;
    m.core.emplace(options, start_of(s, m));
  }
  for (unsigned a = 0; a < s.members; ++a)
    on(a, [&](member& m) {
      for (unsigned b = 0; b < s.members; ++b)
        if (a != b) m.core->link_up({member_id(b), 100 + b}, true);
    });
  instant now{};
  const auto go_on = [&](instant end, auto&& done) {
    for (; now < end && !done(); now += 10ms)
      for (unsigned n = 0; n < s.members && !done(); ++n) {
        for (auto& m : group) m->now = now;
        on(n, [](member&) {});
        while (!flight.empty() && !done()) {
          const auto l = flight.front();
          flight.erase(flight.begin());
          on(l.to, [&](member& m) { m.core->receive(l.sender, message(*l.body)); });
        }
      }
  };
  go_on(instant{3s}, [] { return false; });
  if (s.newcomer) {
    auto& fresh = *group[*s.newcomer];
    for (auto& m : group)
      if (m->node != fresh.node)
        on(m->node, [&](member& other) { other.core->link_down(member_id(fresh.node), true); });
    fresh.process += 100;
    ++fresh.life;
    auto start = start_of(s, fresh);
    start.blank = false;
    start.ever_founded = true;
    fresh.core.emplace(options, start);
    flight.clear();
    for (auto& m : group) {
      if (m->node == fresh.node) continue;
      on(m->node, [&](member& other) { other.core->link_up(fresh.id(), false); });
      on(fresh.node, [&](member& f) { f.core->link_up(m->id(), false); });
    }
    const auto admitted = [&] {
      const auto* r = find(*group[0]->inside().in_force, fresh.id());
      return r && r->active;
    };
    go_on(instant{6s}, admitted);
    if (!admitted()) throw std::runtime_error("the newcomer was not admitted");
  }
  for (auto& m : group) {
    const auto& in = m->inside();
    if (s.newcomer) {
      m->told.events.clear();
      pass{s, *m, flight}.born();
      continue;
    }
    if (!in.has_state || in.leader != member_id(0) || in.my_slot == no_slot || in.applied != in.log.last())
      throw std::runtime_error("the group did not settle: member " + std::to_string(m->node));
    m->told.events.clear();
    pass{s, *m, flight}.born();
  }
  return group;
}

}  // namespace cohort::sim::explore
