#include "framework/protocol/core.hpp"
#include "framework/protocol/frontier.hpp"
#include "framework/protocol/recovered_state.hpp"

namespace cohort::protocol {

recovery::recovery() : state_(std::make_shared<recovered_state>()) {}
recovery::~recovery() = default;

void recovery::checkpoint(const mark& at, std::uint32_t chunks) {
  if (at.component) why_ = "checkpoint " + std::to_string(at.index) + " is of a partitionable group";
  state_->has_checkpoint = true;
  state_->checkpoint = at;
  state_->checkpoint_chunks = chunks;
}

void recovery::state(const hard_state& s) {
  state_->promises = s;
  state_->founded = s.base.in_force != nullptr;
  state_->valid = s.valid_from != 0;
}

bool recovery::record(const persist_op& op) {
  auto& s = *state_;
  s.last_position = op.position;
  if (op.position < s.promises.valid_from && !std::holds_alternative<persist_state>(op.what)) return true;  // of another time
  if (const auto* b = std::get_if<persist_batch>(&op.what)) {
    s.batches[b->what.lane()].try_emplace(b->what.seq, recovered_state::stored_batch{b->what, op.position});
  } else if (const auto* e = std::get_if<persist_entry>(&op.what)) {
    const log_index last = s.promises.base.index + s.entries.size();
    if (e->what.index <= s.promises.base.index) return true;  // below the base: trimmed, the record lingers
    // A checkpoint that was installed may lie above everything before it: older entries lead nowhere.
    if (e->what.index > last + 1 && s.has_checkpoint && e->what.index <= s.checkpoint.index) return true;
    if (e->what.index > last + 1 && s.has_checkpoint && e->what.index == s.checkpoint.index + 1) {
      s.promises.base = s.checkpoint;
      s.entries.clear();
    } else if (e->what.index != last + 1) {
      // Trimming may have cut through a branch that was abandoned: its rest leads nowhere, and a truncation follows.
      if (gap_ == 0) {
        gap_ = e->what.index;
        why_ = "entry " + std::to_string(e->what.index) + " follows entry " + std::to_string(last) +
               " at journal position " + std::to_string(op.position);
      }
      return true;
    }
    s.entries.push_back({e->what, op.position});
  } else if (const auto* t = std::get_if<persist_truncate>(&op.what)) {
    while (!s.entries.empty() && s.entries.back().what.index >= t->from) s.entries.pop_back();
    if (gap_ != 0 && t->from <= gap_) {
      gap_ = 0;
      why_.clear();
    }
  } else if (const auto* h = std::get_if<persist_state>(&op.what)) {
    state(h->what);
  } else if (std::holds_alternative<persist_component>(op.what)) {
    why_ = "the record at journal position " + std::to_string(op.position) + " is of a partitionable group";
    return false;
  }
  return true;
}

const std::string& recovery::why() const { return why_; }
journal_position recovery::last_position() const { return state_->last_position; }

std::shared_ptr<const recovered_state> recovery::finish() {
  auto& s = *state_;
  if (!s.valid) {
    auto nothing = std::make_shared<recovered_state>();
    nothing->valid = false;
    nothing->last_position = s.last_position;
    return nothing;
  }
  if (!why_.empty()) return nullptr;
  if (s.has_checkpoint) {
    s.founded = true;
    const auto& ck = s.checkpoint;
    const log_index last = s.promises.base.index + s.entries.size();
    // PA17: restart at the checkpoint. A log that does not reach it, or disagrees with it, is void (S5).
    const bool agrees =
      ck.index == s.promises.base.index ||
      (ck.index > s.promises.base.index && ck.index <= last &&
       s.entries[ck.index - s.promises.base.index - 1].what.term == ck.term);
    if (!agrees && ck.index > s.promises.base.index) {
      s.entries.clear();
      s.promises.base = ck;
    }
  }
  // Every entry's payload was written before it (D9): one that is missing is damage, not a crash.
  if (s.founded && payload_expected_) {
    const mark& base = s.promises.base;
    view_ptr in_force = base.in_force;
    frontier low = base.cut;
    const auto missing = [&](const frontier& cut) -> bool {
      for (slot lane = 0; lane < lane_count(*in_force); ++lane) {
        const auto name = lane_at(*in_force, lane);
        const auto it = s.batches.find(name);
        for (sequence q = at(low, lane) + 1; q <= at(cut, lane); ++q)
          if (it == s.batches.end() || !it->second.contains(q)) {
            why_ = "batch " + std::to_string(q) + " of member " + std::to_string(to_index(name.owner)) +
                   " is missing although a log entry covers it";
            return true;
          }
      }
      return false;
    };
    for (const auto& e : s.entries) {
      if (missing(e.what.cut)) return nullptr;
      low = e.what.kind == entry_kind::view ? carry_over(*in_force, e.what.cut, *e.what.next) : e.what.cut;
      if (e.what.kind == entry_kind::view) in_force = e.what.next;
    }
  }
  return state_;
}

}  // namespace cohort::protocol
