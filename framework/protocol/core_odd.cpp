// Members whose states differ from the majority's (rule S10).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

void core::impl::states_differ(std::vector<member_id> members) {
  std::ranges::sort(members);
  if (members != odd_members) odd_found_at = applied;
  odd_members = std::move(members);
}

/// Somebody else has a state to give to who lacks one.
bool core::impl::withholds_state() const {
  if (!is_odd(self()) || mutated(mutation::odd_state_given)) return false;
  return std::ranges::any_of(in_force->roster, [&](const roster_entry& r) {
    return r.voter && r.active && !r.witness && r.id.member != self() && !is_odd(r.id.member);
  });
}

/// Checkpoints are given by who leads. Ordering rests while another is asked to, so who could not take over is not asked again at once.
void core::impl::yield_as_odd() {
  if (!withholds_state() || handover.on || now < odd_yields_at) return;
  odd_yields_at = now + options.fail_after;
  hand_over(no_member);
}

/// What an odd leader had given of a checkpoint of its own must not be completed from another one's of the same place in the log. And who
/// applies the messages again on which states parted may part again.
bool core::impl::too_old_to_give(const mark& at) const {
  return !odd_members.empty() && at.index < std::max(first_own_entry, odd_found_at) && !mutated(mutation::odd_state_completed);
}

}  // namespace cohort::protocol
