// What goes to the disk, and when it may be told (rules D9, S1): promises before they are given, views before anything
// of them is delivered, merged states before anybody relies on them.
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {
namespace {

constexpr auto checkpoint_pause = std::chrono::seconds(1);

}  // namespace

journal_position core::impl::persist(persist_op&& op) {
  op.position = ++last_position;
  results.persists.push_back(std::move(op));
  return last_position;
}

void core::impl::write_memory(component_ptr in) {
  if (!options.durable) return;
  const memory m{self.inc, founder, promised, std::move(in), last_primary, attempted};
  auto bytes = std::make_shared<const std::vector<std::byte>>(encode(m));
  since_checkpoint += bytes->size();
  persist({0, persist_component{std::move(bytes)}});
}

void core::impl::persisted(journal_position up_to) {
  persisted_to = std::max(persisted_to, up_to);
  progress_due = true;
}

/// A pause in deliveries: until all that the application has seen can be read back by this member and served to others,
/// its state may not be what a restart begins with.
bool core::impl::checkpoint_waits() {
  if (!options.durable || pending_checkpoint.number != 0 || wedged() || !open_for_messages) return false;
  return (checkpoint_wanted || since_checkpoint >= options.checkpoint_bytes) && now >= checkpoint_not_before;
}

void core::impl::checkpoint_if_due() {
  if (!checkpoint_waits()) return;
  for (std::size_t s = 0; s < lanes.size(); ++s)
    if (lanes[s]->durable(persisted_to) < std::max(passed[s], unordered_passed[s])) return;
  take_checkpoint(false);
}

void core::impl::take_checkpoint(bool of_merge) {
  trim();
  place p;
  p.is = {self.inc, founder, promised, view, last_primary, attempted};
  p.descends_from = descends_from;
  p.blank = blank;
  p.history = history;
  p.digest = digest;
  p.delivered = delivered;
  p.clock = clock;
  p.totals_delivered = totals_delivered;
  p.passed = passed;
  p.unordered = unordered_passed;
  p.stable = stable;
  journal_position floor = last_position + 1;
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    p.totals.push_back(totals[s].empty() ? std::max(passed[s], totals_passed[s]) : totals[s].front() - 1);
    p.trimmed.push_back(lanes[s]->trimmed());
    floor = std::min(floor, lanes[s]->first_position(last_position + 1));
  }
  if (mistaken(mistake::journal_cut_early)) floor = last_position + 1;
  mark at;
  at.index = ++checkpoints;
  at.time = wall;
  at.in_force = as_view(*view);
  // Whatever unfinished large messages there are belongs to the state: it is written exactly here.
  at.cut.assign(lanes.size(), ~sequence{0});
  at.delivered = delivered;
  at.component = std::make_shared<const std::vector<std::byte>>(encode(p));
  pending_checkpoint = {at.index, floor, of_merge};
  since_checkpoint = 0;
  checkpoint_wanted = false;
  results.deliveries.push_back(deliver_checkpoint{std::move(at)});
}

void core::impl::checkpoint_stored(log_index number) {
  if (pending_checkpoint.number != number) return;
  const auto done = std::exchange(pending_checkpoint, {});
  stored_checkpoint = number;
  // The one before may lie below the floor. It is no reason for another checkpoint.
  const auto written = since_checkpoint;
  write_memory(view);
  since_checkpoint = written;
  persist({0, persist_trim{done.floor}});
  if (!done.of_merge) return;
  members[rank].merged = true;
  progress_due = true;
  see_barrier();
}

/// The disk may be full. A merged state has to be written before this member goes on.
void core::impl::checkpoint_failed(log_index number) {
  if (pending_checkpoint.number != number) return;
  const bool of_merge = std::exchange(pending_checkpoint, {}).of_merge;
  checkpoint_not_before = now + checkpoint_pause;
  if (of_merge)
    merge_unwritten = true;
  else
    checkpoint_wanted = true;
}

}  // namespace cohort::protocol::partition
