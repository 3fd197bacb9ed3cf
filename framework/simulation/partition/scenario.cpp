// What a seed makes of a run.
#include "framework/simulation/partition/world.hpp"

namespace cohort::sim::partition {

using namespace protocol;
using std::chrono::milliseconds;

scenario draw(std::uint64_t seed) {
  random chance(seed);
  scenario s;
  s.members = static_cast<unsigned>(chance.between(2, 6));
  const auto kind = chance.below(4);
  if (kind == 0) s.options.orders = order_set{order::total};
  if (kind == 1) s.options.orders = order_set{order::causal, order::safe_causal};
  if (kind == 1) s.options.default_order = order::causal;
  if (kind >= 2) s.options.orders = order_set::all();
  const merge_policy policies[] = {merge_policy::none, merge_policy::application, merge_policy::application,
                                   merge_policy::largest_component, merge_policy::primary_descended};
  s.options.merge = policies[chance.below(5)];
  s.options.fail_after = milliseconds(chance.between(250, 900));
  s.options.heartbeat = milliseconds(50);
  s.options.batches_in_flight = 1 + chance.below(3);
  s.options.batch_bytes = chance.chance(300) ? 100 : 64 * 1024;
  if (chance.chance(500)) s.loss = static_cast<unsigned>(chance.below(60));
  if (chance.chance(300)) s.duplication = 50;
  s.reorders = chance.chance(200);
  s.delay_most = chance.chance(500) ? 800 : 12'000;
  s.pause_between = chance.between(5'000, 60'000);
  // Windows so small that they are full at times, and parts that make many a message a large one.
  s.options.part_bytes = static_cast<std::size_t>(chance.between(100, 800));
  s.options.lane_window = chance.chance(300) ? 8'000 : 64 * 1024;
  if (chance.chance(500)) s.large = 100;
  if (chance.chance(500)) s.deadlines = 300;
  if (chance.chance(300)) s.skew_most = 80'000;
  if (chance.chance(500)) {
    s.options.durable = true;
    if (chance.chance(500)) s.flush_most = 120'000;
    s.options.checkpoint_bytes = chance.chance(500) ? 2'000 : 20'000;
    if (chance.chance(500)) s.aimed = static_cast<unsigned>(chance.between(5, 40));
  }
  s.offer_delay = chance.chance(300) ? 400'000 : 5'000;
  s.faults_until = milliseconds(chance.between(5000, 12000));
  s.quiet_after = std::chrono::seconds(12);
  s.changes = chance.chance(400);
  return s;
}

}  // namespace cohort::sim::partition
