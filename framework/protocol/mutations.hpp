#pragma once

#include <string_view>

namespace cohort::protocol {

/// One-place mistakes that can be planted in the core to see that the tests catch them (docs/testing.md). X(slug,
/// number in the lists of known bugs, rule it breaks). The shams at the end are harmless: what fails on one is wrong itself.
#define COHORT_MUTATION_LIST(X)                                    \
  X(ack_before_fsync, "M1 F17", "D9")                              \
  X(vote_unsynced, "M2 F5", "D9 E4")                               \
  X(term_unsynced, "M3", "D9 E4")                                  \
  X(old_term_counted, "M4 F3", "C5")                               \
  X(conflict_by_index_only, "M10", "C12")                          \
  X(no_check_quorum, "M14", "E6")                                  \
  X(read_before_own_commit, "M18", "R1")                           \
  X(lease_too_long, "M22 F43", "R2")                               \
  X(view_by_new_quorum, "M28 F9", "C4")                            \
  X(view_by_old_quorum, "F10", "C4")                               \
  X(quorum_of_last_view_only, "F28", "E2")                         \
  X(quorum_of_committed_view_only, "M31", "E2")                    \
  X(final_cut_of_leader_only, "M36 F4", "V7")                      \
  X(incarnation_reused, "M39 F2", "D2 L2")                         \
  X(append_without_payload, "M48 F1", "C1")                        \
  X(frontier_acked_unsynced, "M49", "L8")                          \
  X(trim_without_regard, "M68 F8", "S3")                           \
  X(order_by_slot, "F7", "C10")                                    \
  X(acks_not_frozen, "F14", "V4")                                  \
  X(wedge_never_held, "F13", "V5")                                 \
  X(read_at_commit, "F19", "R1")                                   \
  X(read_unconfirmed, "M17", "R1")                                 \
  X(vote_right_after_boot, "F20", "E5")                            \
  X(no_up_to_date_check, "F21", "E3")                              \
  X(vote_twice, "M2b", "E4")                                       \
  X(late_batches_accepted, "M37 F22", "L6")                        \
  X(active_takes_checkpoint, "F23", "S3 S5")                       \
  X(silent_stays_active, "F27", "V6")                              \
  X(burnt_readmitted, "M38 F29", "V11")                            \
  X(infeasible_view, "F30", "V10")                                 \
  X(final_cut_without_quorum, "F34", "V6")                         \
  X(ack_unverified, "M11 F35", "C3")                               \
  X(no_stickiness, "F40", "E5")                                    \
  X(report_without_wedge, "F41", "V4")                             \
  X(no_pre_vote, "F44", "E3")                                      \
  X(install_drops_later_lanes, "F45", "V13")                       \
  X(sealed_lane_not_capped, "F46", "L8")                           \
  X(pa3_wedge_term_not_raised, "PA3", "V4 V5")                     \
  X(pa4_view_knowledge_volatile, "PA4", "E2 C4")                   \
  X(pa1_voter_by_name, "PA1 M5 F16", "D3")                         \
  X(pa2_founded_again, "PA2", "V19")                               \
  X(pa5_checkpoint_sets_match, "PA5", "C3")                        \
  X(pa6_joins_not_held, "PA6", "V1")                               \
  X(pa7_windows_by_acks_alone, "PA7", "FC1")                       \
  X(cuts_by_time_alone, "FC2", "FC2")                              \
  X(pa8_logged_lanes_dropped, "PA8", "L6")                         \
  X(pa11_old_life_not_silent, "PA11", "V6")                        \
  X(pa12_echo_of_any_term, "PA12", "R1 E6")                        \
  X(pa21_stamps_unbounded, "PA21", "L4")                           \
  X(lane_by_slot_alone, "S1", "L3 I8")                              \
  X(clock_ahead_accepted, "agreed time", "CK8")                    \
  X(truncation_keeps_durable, "M8", "C3")                          \
  X(no_first_noop, "M12", "C8")                                    \
  X(read_after_step_down, "M13", "R1")                             \
  X(read_before_apply, "M19", "R1")                                \
  X(lease_from_receipt, "M20", "R2")                               \
  X(stamp_restarts, "M24", "L4")                                   \
  X(joiner_skips, "M45", "S1 C10")                                 \
  X(cut_behind_view, "F25", "C7")                                  \
  X(report_for_other_view, "F32", "V3")                            \
  X(early_wedge_forgotten, "V3", "V3")                             \
  X(gap_skipped, "M52", "C10")                                     \
  X(delivered_twice, "M53", "C10")                                 \
  X(own_delivered_early, "M59", "C4")                              \
  X(successor_favoured, "M6", "E8 E3")                             \
  X(handover_outlives_term, "M16", "E8")                           \
  X(lease_kept_at_handover, "E8", "E8 R2")                         \
  X(lease_by_old_rules, "X2", "X2 R2")                             \
  X(bound_of_newest_rules, "X1", "X1 L10")                         \
  X(copy_not_awaited, "X3", "X3 D9")                               \
  X(retirement_not_written, "X3b", "X3 D3")                        \
  X(causality_ignored, "F6", "O1")                                 \
  X(safe_causal_alone, "F18", "O2")                                \
  X(tdep_ignored, "F38", "O6 L3")                                  \
  X(total_passed_early, "F48", "O3")                               \
  X(own_plain_not_depended_on, "M51 M58", "L5 O6")                 \
  X(cut_not_closed, "F39", "C6")                                   \
  X(deliveries_not_frozen, "F15", "V4")                            \
  X(inactive_counted_stable, "F24", "D8")                          \
  X(extras_ignored, "F26", "V7")                                   \
  X(extras_dropped, "F49", "V13")                                  \
  X(pulse_outlives_link, "Q1", "Q1")                               \
  X(pulse_to_strangers, "Q2", "Q2")                                \
  X(pulse_gap_counted, "Q3", "Q3")                                 \
  X(pulse_of_any_term, "Q4", "Q4")                                 \
  X(pulse_not_heard, "Q5", "Q5 E5")                                \
  X(pulse_silence_unnoticed, "Q6", "Q6")                           \
  X(quiet_looks_stuck, "Q8", "Q8 FC4")                             \
  X(slow_looks_lost, "Q9", "Q9 L7")                                \
  X(witness_counted_stable, "F11", "W1 D8")                        \
  X(witness_leads, "F12", "W1 E1")                                 \
  X(witness_first, "F47", "W3")                                    \
  X(dead_awaited_with_witness, "W3a", "W3")                        \
  X(open_plain_left_behind, "M51b", "L5 O6")                       \
  X(stable_without_past, "O2", "O2")                               \
  X(safe_at_receipt, "M55", "O2 D8")                               \
  X(later_view_delivered, "M37b", "O9")                            \
  X(unordered_forgotten, "M53b", "O4")                             \
  X(unordered_not_reported, "M36b", "V4 V7")                       \
  X(deps_of_total_left_out, "M58b", "O3")                          \
  X(lost_not_told, "O10", "O10")                                   \
  X(reads_wait_for_lost_entry, "R1", "R1 I20")                     \
  X(stranded_forever, "F17", "S3 I20")                             \
  X(death_by_one_path, "V20", "V20")                               \
  X(reset_taken_alone, "V24", "V24")                               \
  X(vouched_given_up, "V20b", "V20")                               \
  X(given_up_unasked, "V20c", "V20")                               \
  X(links_never_handed_over, "V21", "V21")                         \
  X(links_handed_round, "V21b", "V21")                             \
  X(stall_not_noticed, "V22", "V22")                               \
  X(rules_put_back, "X10", "X10")                                  \
  X(deaf_admitted, "V23", "V23")                                   \
  X(flapping_not_held_back, "V23b", "V23")                         \
  X(lag_not_told, "FC4", "FC4")                                    \
  X(deadline_at_sending_only, "M25", "DL1")                        \
  X(expiry_by_own_clock, "M26", "DL1")                             \
  X(stable_one_too_early, "D8", "D8")                              \
  X(interrupted_goes_on, "L11", "L11")                             \
  X(interrupted_delivered, "L11b", "L11")                          \
  X(learner_kept, "FC4b", "FC4 S3")                                \
  X(promoted_far_behind, "W6", "W6 FC1")                           \
  X(learner_fed_early, "W6b", "W6")                                \
  X(learner_taken_for_stuck, "FC4c", "FC4 W6")                     \
  X(served_answered_too, "W6c", "W6 L7")                           \
  X(pace_not_kept, "FC5", "FC5 W6")                                \
  X(chunks_given_at_once, "S9", "S9")                              \
  X(pulled_twice, "L7", "L7")                                      \
  X(fed_made_to_wait, "S2", "S2")                                  \
  X(released_in_use, "S2b", "S2")                                  \
  X(trimmed_checkpoint_given, "S2c", "S2 S5")                      \
  X(together_by_name, "V15", "V15")                                \
  X(retention_begins_anew, "S4e", "S4")                            \
  X(gap_not_told, "M54", "S4")                                     \
  X(ended_lanes_not_named, "S4b", "S4")                            \
  X(passed_total_not_named, "S4c", "S4")                           \
  X(extras_not_named, "S4d", "S4")                                 \
  X(timers_wait_for_messages, "C12", "C12")                        \
  X(timers_by_own_clock, "C12b", "C12")                            \
  X(odd_state_given, "S10", "S10")                                  \
  X(odd_state_completed, "S10b", "S10")                             \
  X(sham_extra_noop, "sham", "none")                               \
  X(sham_batch_size, "sham", "none")                               \
  X(sham_slower_timers, "sham", "none")                            \
  X(sham_larger_window, "sham", "none")                            \
  X(sham_other_draws, "sham", "none")

enum class mutation : unsigned char {
  none,
#define X(slug, number, rule) slug,
  COHORT_MUTATION_LIST(X)
#undef X
};

#ifdef COHORT_MUTATIONS
/// The mistake that is planted in this thread's cores.
inline thread_local mutation planted = mutation::none;
inline bool mutated(mutation m) { return planted == m; }
#else
/// Production has none: the branch is gone at compile time.
constexpr bool mutated(mutation) { return false; }
#endif

}  // namespace cohort::protocol
