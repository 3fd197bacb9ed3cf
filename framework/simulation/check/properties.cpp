#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

checkers make_checkers() {
  checkers all;
  for (const auto make :
       {check_election_safety, check_log_matching, check_leader_completeness, check_agreement, check_cuts, check_payload_held,
        check_lane_uniqueness, check_incarnations, check_total_order, check_sending_view,
        check_view_agreement, check_reads, check_trim, check_wedge, check_outcomes, check_agreed_time, check_state_digests,
        check_persist_before_send})
    all.push_back(make());
  auto known = std::make_unique<book>();
  auto& b = *known;
  all.push_back(std::move(known));
  all.push_back(check_integrity(b));
  all.push_back(check_no_duplicates(b));
  all.push_back(check_fifo(b));
  all.push_back(check_causal_order(b));
  all.push_back(check_safe_delivery(b));
  all.push_back(check_view_synchrony(b));
  return all;
}

}  // namespace cohort::sim
