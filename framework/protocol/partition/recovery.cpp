// From a disk to the process that it belonged to (rules D9, S8).
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {

const memory& recovered::newest() const {
  const memory* newest = base ? &base->is : nullptr;
  for (const auto& r : records)
    if (const auto* m = std::get_if<memory>(&r); m && (!newest || m->view->id.counter >= newest->view->id.counter))
      newest = m;
  COHORT_INVARIANT(newest, records.size(), checkpoint);
  return *newest;
}

void recovery::checkpoint(const mark& at, std::uint32_t) {
  place where;
  if (!at.component || !decode(*at.component, where)) {
    why_ = "checkpoint " + std::to_string(at.index) + " does not tell where it was taken";
    return;
  }
  found_->base = std::move(where);
  found_->checkpoint = at.index;
}

bool recovery::record(const persist_op& op) {
  found_->last_position = op.position;
  if (const auto* b = std::get_if<persist_batch>(&op.what)) {
    found_->records.emplace_back(recovered::stored_batch{b->what, op.position});
  } else if (const auto* c = std::get_if<persist_component>(&op.what)) {
    memory m;
    if (!c->bytes || !decode(*c->bytes, m))
      why_ = "the record at journal position " + std::to_string(op.position) +
             " is no memory of a process that this version reads";
    else
      found_->records.emplace_back(std::move(m));
  } else if (std::holds_alternative<persist_entry>(op.what)) {
    why_ = "the record at journal position " + std::to_string(op.position) + " is of a group with one history";
  }
  return why_.empty();
}

recovered_ptr recovery::finish() {
  if (!why_.empty() || (!found_->base && found_->records.empty())) return nullptr;
  if (!found_->base && !std::holds_alternative<memory>(found_->records.front())) {
    why_ = "neither a checkpoint nor the memory of a process comes before its messages";
    return nullptr;
  }
  return found_;
}

/// Begins where the newest checkpoint was taken, or alone, and does again what followed. No view is formed meanwhile,
/// and nothing merged: what a merge gave is in the checkpoint that followed it.
void core::impl::resume(const recovered& from) {
  replaying = true;
  resumed = from.newest().view->id.counter;  // who submitted the messages up to there has been told, or never will be
  last_position = persisted_to = from.last_position;
  checkpoints = stored_checkpoint = from.checkpoint;
  if (from.base) {
    begin_at(*from.base);
  } else {
    enter(std::get<memory>(from.records.front()).view);
  }
  for (const auto& r : from.records) {
    if (const auto* b = std::get_if<recovered::stored_batch>(&r)) {
      restore_batch(*b);
    } else {
      const auto& m = std::get<memory>(r);
      if (m.view->id.counter > view->id.counter) install_again(m.view);
      promised = std::max(promised, m.promised);
      attempted = m.attempted;
    }
  }
  replaying = false;
  // V4: wedged for good in this view. Batches that only others have may bear the numbers which come next (L2).
  if (!mistaken(mistake::seals_after_restart)) promised = std::max(promised, view->id.counter) + 1;
  if (mistaken(mistake::promise_forgotten)) promised = view->id.counter + 1;
  taking_part = {};
  open_for_messages = merged;
  happened(event_kind::wedged, true);
}

void core::impl::begin_at(const place& p) {
  last_primary = p.is.last_primary;
  enter(p.is.view);
  for (std::size_t s = 0; s < lanes.size(); ++s)
    lanes[s] = std::make_unique<lane>(lanes[s]->owner, lanes[s]->inc, lanes[s]->kind, p.trimmed[s]);
  passed = p.passed;
  unordered_passed = p.unordered;
  totals_passed = p.totals;
  stable = p.stable;
  totals_delivered = p.totals_delivered;
  delivered = p.delivered;
  digest = p.digest;
  clock = std::max(clock, p.clock);
  history = p.history;
  descends_from = p.descends_from;
  blank = p.blank;
  attempted = p.is.attempted;
  promised = p.is.promised;
  merged = members[rank].merged = true;  // else there would have been no checkpoint
  state = {view->id, merged_side};
}

void core::impl::restore_batch(const recovered::stored_batch& b) {
  if (b.what.view != view->id.counter) return;
  const auto r = rank_of(*view, {b.what.owner, b.what.inc});
  if (r == no_slot) return;
  auto again = b.what;
  again.slot = slot_of(r, kind_of(again.cls));
  const auto bytes = again.what.bytes();
  if (take_into_lane(std::move(again), b.position)) since_checkpoint += bytes;
}

/// The record was written when all that the flush delivers was on disk.
void core::impl::install_again(component_ptr next) {
  const auto* f = own_flush(*next);
  COHORT_INVARIANT(f && f->want.size() == lanes.size(), next->id.counter, view->id.counter);
  next_view = std::move(next);
  for (std::size_t s = 0; s < lanes.size(); ++s)
    COHORT_INVARIANT(lanes[s]->held() >= f->want[s], lanes[s]->held(), f->want[s]);
  seal_at_flush(*f);
  install_view();
}

}  // namespace cohort::protocol::partition
