// Where promises live, and how a running group moves them: memory to disks, disks to memory (rule X3).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

/// The view in force says so, or one behind it that may win.
bool core::impl::disk_wanted() const {
  if (in_force->options.durable) return true;
  return std::ranges::any_of(log.views(), [&](const auto& v) { return v.index > applied && v.what->options.durable; });
}

/// All that this member promised is on its disk, or waits for it: a restart goes on under its identity.
bool core::impl::secured() const { return kept == keeping::disk && persisted_to >= secured_at; }

/// X3: the first VIEW behind which entries may only be acknowledged by who keeps them on disk, its own acknowledgement
/// included; the entries before it were promised in memory.
log_index core::impl::unsecured_bound() const {
  if (secured() || mutated(mutation::copy_not_awaited)) return log.last();
  if (in_force->options.durable) return view_index > log.base().index ? view_index - 1 : log.base().index;
  for (const auto& v : log.views())
    if (v.index > applied && v.what->options.durable) return v.index - 1;
  return log.last();
}

/// Once in every step: an entry has come, gone or been installed that says otherwise than before.
void core::impl::settle_keeping() {
  if (!has_state) return;
  const bool wanted = disk_wanted();
  switch (kept) {
    case keeping::memory:
      if (wanted) begin_copy();
      break;
    case keeping::copying:
      if (!wanted)
        keep_in_memory();  // the VIEW lost; what is on the disk was never said to count
      else if (std::ranges::any_of(checkpoints,
                                   [&](const auto& c) { return c.on_disk && c.at.index >= log.base().index; }))
        finish_copy();
      else if (!checkpoint_pending)
        checkpoint_wanted = true;
      break;
    case keeping::disk:
      if (wanted == (promises.valid_from != 0)) break;
      if (wanted) {  // again, before it was given up: nothing is missing
        promises.valid_from = copy_from;
        save_state();
        secured_at = state_position;
        break;
      }
      promises.valid_from = 0;
      if (!mutated(mutation::retirement_not_written)) save_state();
      retired_at = state_position;
      break;
  }
  // Until the disk says that it counts no more, a restart would go on from it: so it is kept up to date until then.
  if (kept == keeping::disk && promises.valid_from == 0 && persisted_to >= retired_at) keep_in_memory();
}

/// Everything this member holds goes to the journal, payload before the entries that cover it (D9), and a checkpoint is
/// asked for. Nothing of it counts before `finish_copy` says so.
void core::impl::begin_copy() {
  incoming = {};  // begins anew, on the disk
  start_journal(false);
  for (const auto& l : lanes.all()) l->restamp([&](const batch& b) { return persist(persist_batch{b}); });
  log.restamp([&](const entry& e) { return persist(persist_entry{e}); });
  checkpoint_wanted = true;
}

/// What the journal holds so far is of another time. `valid` or not, the record that says so comes first.
void core::impl::start_journal(bool valid) {
  kept = keeping::copying;
  copy_from = next_position;
  persist(persist_trim{copy_from});
  promises.valid_from = valid ? copy_from : 0;
  save_state();
}

void core::impl::finish_copy() {
  kept = keeping::disk;
  promises.valid_from = copy_from;
  save_state();
  secured_at = view_position = state_position;
}

void core::impl::keep_in_memory() {
  persist(persist_trim{next_position});  // nothing there is needed any more
  kept = keeping::memory;
  promises.valid_from = 0;
  incoming = {};
  unwritten.clear();
  persisted_bytes = written_bytes;
  durable_view = in_force->number;
  ack_due = true;
}

/// A process without state begins as the group does whose checkpoint it is offered. (The other way round it gives up
/// what its disk holds once it has a state, like everybody.)
void core::impl::keep_like(const view& v) {
  if (!v.options.durable || kept != keeping::memory) return;
  start_journal(true);
  kept = keeping::disk;
}

}  // namespace cohort::protocol
