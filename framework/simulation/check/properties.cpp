#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

checkers make_checkers() {
  checkers all;
  for (const auto make :
       {check_election_safety, check_log_matching, check_leader_completeness, check_agreement, check_cuts, check_payload_held,
        check_lane_uniqueness, check_incarnations, check_total_order, check_sending_view,
        check_view_agreement, check_stable_views, check_reads, check_trim, check_wedge, check_outcomes, check_agreed_time, check_deadlines, check_bounded_memory, check_state_digests,
        check_persist_before_send, check_durability, check_adaptation})
    all.push_back(make());
  auto known = std::make_unique<book>();
  auto& b = *known;
  all.push_back(std::move(known));
  for (const auto make : {check_integrity, check_no_duplicates, check_fifo, check_causal_order, check_safe_delivery,
                          check_view_synchrony, check_self_inclusion, check_monotonic_views, check_primary_chain, check_accuracy,
                          check_change_events, check_liveness, check_atomicity, check_reliability, check_gaps, check_transitional_sets, check_termination, check_losses})
    all.push_back(make(b));
  return all;
}

}  // namespace cohort::sim
