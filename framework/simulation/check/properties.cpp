#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

checkers make_checkers() {
  checkers all;
  for (const auto make :
       {check_election_safety, check_log_matching, check_leader_completeness, check_agreement, check_cuts, check_payload_held,
        check_lane_uniqueness, check_incarnations, check_total_order, check_sending_view, check_view_synchrony,
        check_view_agreement, check_stable_views, check_reads, check_trim, check_wedge, check_outcomes, check_agreed_time, check_state_digests,
        check_persist_before_send})
    all.push_back(make());
  return all;
}

}  // namespace cohort::sim
