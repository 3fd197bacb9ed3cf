// A group in memory: where its log may begin, and the checkpoints that are made for somebody and given up afterwards (S2).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

/// What is applied.
mark core::impl::mark_here() const {
  return {applied, log.term_at(applied), applied_time, applied_cut, in_force, delivered, true, ended, nullptr};
}

/// Nobody comes back from memory, so a log there needs no state to begin with. Who lacks one is given one that is made then. The more
/// payload is kept the rarer places become, so that there are never many.
void core::impl::note_place() {
  if (kept != keeping::memory || incoming.running) return;
  if (entries_since_mark < options.checkpoint_entries && (bytes_since_mark < checkpoint_bytes() || bytes_since_mark < lanes.bytes() / 8)) return;
  bytes_since_mark = entries_since_mark = 0;
  places.push_back(mark_here());
  if (!total_only()) out.deliveries.emplace_back(deliver_place{places.back()});  // T is delivered by cuts alone
}

bool core::impl::may_begin_later() const {
  if (kept == keeping::memory) return places.size() >= 2;
  return checkpoints.size() >= 2 && checkpoints.front().at.index > log.base().index;
}

/// Where the log may begin as far as those are concerned who have applied up to `least`: the older of two checkpoints on a disk, a place
/// behind which there is another one in memory.
const mark* core::impl::trim_place(log_index least) const {
  if (mutated(mutation::trim_without_regard)) least = applied;
  if (kept != keeping::memory) return checkpoints.front().at.index <= least ? &checkpoints.front().at : nullptr;
  least = std::min(least, least_needed());
  const mark* found = nullptr;
  for (auto p = places.begin(); p + 1 != places.end() && p->index <= least; ++p) found = &*p;
  return found;
}

/// By those who are no members yet: who fetches a checkpoint goes on from there, and who has it pulls what comes next. Not for ever: who
/// lacks more than FC4 lets a learner lack begins again.
log_index core::impl::least_needed() const {
  log_index least = applied;
  if (mutated(mutation::fed_made_to_wait) || lanes.bytes() > 8 * checkpoint_distance()) return least;
  if (checkpoint_pending) least = std::min(least, pending_mark.index);
  if (!checkpoints.empty() && now < checkpoint_in_use_until()) least = std::min(least, checkpoints.front().at.index);
  for (const auto& p : peers)
    if (waits_for_admission(p) && !p.no_state) least = std::min(least, p.applied);
  return least;
}

/// Whoever is given it could not go on from there.
bool core::impl::is_below_log(const mark& at) const {
  return at.index < log.base().index && !mutated(mutation::trimmed_checkpoint_given);
}

/// Members fetch the newest checkpoint. In memory it is also kept a while for whom it was made or offered to.
instant core::impl::checkpoint_in_use_until() const {
  const bool in_memory = kept == keeping::memory;
  instant last = in_memory && !checkpoints.empty() ? checkpoints.back().since : instant{};
  for (const auto& p : peers) last = std::max({last, p.chunk_asked, in_memory ? p.offer_sent : instant{}});
  return last == instant{} ? instant{} : last + options.join_hold;
}

void core::impl::release_checkpoints() {
  if (kept != keeping::memory || checkpoints.empty()) return;
  const bool in_use = restoring || now < checkpoint_in_use_until();
  if (in_use && !mutated(mutation::released_in_use)) return;
  persist(persist_release{checkpoints.back().at.index});
  checkpoints.clear();
}

void core::impl::restored(log_index index) {
  if (restoring == index) restoring.reset();
}

}  // namespace cohort::protocol
