#include "framework/contract/fields.hpp"

#include <cohort/contract_check.hpp>

#include <algorithm>

namespace cohort {

time_bounds bounds_of(const contract& c) {
  using std::chrono::milliseconds;
  time_bounds b{};
  if (c.model == failure_model::fail_stop) {
    // FS4, FS12: the exclusion waits for the end of every lease that may have been renewed last.
    const auto lease = c.lease.count() > 0 ? c.lease : 4 * c.heartbeat;
    const auto drift = milliseconds(lease.count() * c.clock_rate_ppm / 1'000'000 + 1);
    b.leader_detected = b.member_detected = c.fail_after + c.heartbeat;
    b.failover = b.member_excluded = b.member_detected + 2 * (lease + drift) + c.election_min;
    return b;
  }
  // A follower stands E_min to 2 E_min after it last heard the leader (E7). The leader judges a member by the age of
  // the newest heartbeat that it echoed (PA7), and looks once a heartbeat.
  b.leader_detected = 2 * c.election_min;
  b.failover = b.leader_detected;
  b.member_detected = c.fail_after + c.heartbeat;
  b.member_excluded =
      b.member_detected + c.election_min;  // T_wedge: how long the leader waits for a silent one's report (V6)
  return b;
}

std::string describe(const time_bounds& b) {
  using contracts::time_text;
  return "a silent leader is noticed within " + time_text(b.leader_detected) + " and replaced within " +
         time_text(b.failover) + " + 3 round trips + 2 flushes, a silent member is noticed within " +
         time_text(b.member_detected) + " and excluded within " + time_text(b.member_excluded) +
         " + 2 round trips + 1 flush";
}

}  // namespace cohort
