#include "framework/protocol/entry_log.hpp"

#include "framework/protocol/assert.hpp"
#include "framework/protocol/frontier.hpp"
#include "framework/protocol/mutations.hpp"

namespace cohort::protocol {

void entry_log::reset(const mark& base) {
  base_ = base;
  entries_.clear();
  views_.assign(1, {base.index, base.in_force});
  durable_ = base.index;
}

void entry_log::append(entry e, journal_position at) {
  COHORT_INVARIANT(e.index == last() + 1, e.index, last());
  COHORT_INVARIANT(e.term >= last_term(), e.term, last_term());
  if (e.kind == entry_kind::view) views_.push_back({e.index, e.next});
  entries_.push_back({std::move(e), at});
}

void entry_log::truncate(log_index from) {
  COHORT_INVARIANT(from > base_.index, from, base_.index);
  while (last() >= from) entries_.pop_back();
  while (views_.size() > 1 && views_.back().index >= from) views_.pop_back();
  if (!mutated(mutation::truncation_keeps_durable)) durable_ = std::min(durable_, from - 1);
}

void entry_log::trim(const mark& base) {
  COHORT_INVARIANT(base.index <= last() && base.index >= base_.index, base.index, last());
  COHORT_INVARIANT(term_at(base.index) == base.term, term_at(base.index), base.term);
  while (base_.index < base.index) {
    entries_.pop_front();
    ++base_.index;
  }
  base_ = base;
  while (views_.size() > 1 && views_[1].index <= base.index) views_.erase(views_.begin());
  views_.front().index = base.index;
  durable_ = std::max(durable_, base.index);
}

const entry& entry_log::at(log_index i) const {
  COHORT_INVARIANT(has(i), i, last());
  return entries_[i - base_.index - 1].what;
}

term_number entry_log::term_at(log_index i) const { return i == base_.index ? base_.term : at(i).term; }

log_index entry_log::first_of_term(log_index i) const {
  const term_number t = term_at(i);
  while (i > base_.index + 1 && at(i - 1).term == t) --i;
  return i;
}

journal_position entry_log::position_of(log_index i) const {
  COHORT_INVARIANT(has(i), i, last());
  return entries_[i - base_.index - 1].position;
}

journal_position entry_log::first_position(journal_position none_above) const {
  return entries_.empty() ? none_above : entries_.front().position;
}

log_index entry_log::durable(journal_position persisted) {
  while (durable_ < last() && position_of(durable_ + 1) <= persisted) ++durable_;
  return durable_;
}

frontier entry_log::cut_behind(log_index i) const {
  if (i == base_.index) return base_.cut;
  const entry& e = at(i);
  return e.kind == entry_kind::view ? carry_over(*view_at(i - 1), e.cut, *e.next) : e.cut;
}

const view_ptr& entry_log::view_at(log_index i) const {
  auto v = views_.size();
  while (v > 1 && views_[v - 1].index > i) --v;
  return views_[v - 1].what;
}

}  // namespace cohort::protocol
