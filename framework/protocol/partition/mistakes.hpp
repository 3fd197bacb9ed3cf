#pragma once

namespace cohort::protocol::partition {

/// One-place mistakes that can be planted in the core of partitionable groups to see that its simulation catches them:
/// X(slug, rule it breaks). The last one is harmless: what fails on it is wrong itself.
#define COHORT_PARTITION_MISTAKES(X)   \
  X(safe_at_receipt, "P2")             \
  X(safe_without_past, "O2")           \
  X(total_without_clocks, "C10")       \
  X(causality_ignored, "O1")           \
  X(tdep_ignored, "O6")                \
  X(delivers_while_wedged, "V4")       \
  X(want_of_coordinator_only, "V7")    \
  X(install_unprepared, "P6")          \
  X(flush_not_fetched, "P4")           \
  X(all_stable_at_transition, "P5")    \
  X(late_batches_taken, "O9")          \
  X(wrong_transitional_set, "P5")      \
  X(no_barrier, "P7")                  \
  X(unmerged_told_apart_by_view, "P7") \
  X(own_side_first, "P7")              \
  X(parts_go_on, "L11")                \
  X(parts_without_window, "L10")       \
  X(expiry_by_own_clock, "DL1")        \
  X(expired_delivered, "DL1")          \
  X(acknowledged_unwritten, "D9")      \
  X(promises_unwritten, "D9")          \
  X(promise_forgotten, "P6")           \
  X(view_unwritten, "P6")              \
  X(merge_told_unwritten, "P7")        \
  X(seals_after_restart, "L2")         \
  X(journal_cut_early, "S2")           \
  X(coordinator_rules, "X8")           \
  X(change_told_early, "X1")           \
  X(smallest_wins, "P7")               \
  X(tie_by_order, "P7")                \
  X(blank_side_wins, "P7")             \
  X(descent_ignored, "P7")             \
  X(descent_before_merge, "P7")        \
  X(descent_not_inherited, "P7")       \
  X(primary_forgets_attempts, "P9")    \
  X(first_of_some, "P9")               \
  X(sham_slower_heartbeat, "none")

enum class mistake : unsigned char {
  none,
#define X(slug, rule) slug,
  COHORT_PARTITION_MISTAKES(X)
#undef X
};

#ifdef COHORT_MUTATIONS
/// The mistake that is planted in this thread's cores.
inline thread_local mistake planted_mistake = mistake::none;
inline bool mistaken(mistake m) { return planted_mistake == m; }
#else
/// Production has none: the branch is gone at compile time.
constexpr bool mistaken(mistake) { return false; }
#endif

}  // namespace cohort::protocol::partition
