#pragma once

#include "framework/protocol/messages.hpp"

#include <deque>

namespace cohort::protocol {

struct inspector;

/// A member's copy of the replicated log above its base (section 3), with the views it contains and the journal
/// position of every entry. Indices run from `base().index + 1` to `last()` without gaps.
class entry_log {
public:
  /// A VIEW in the log, or the one in force at the base.
  struct known_view {
    log_index index = 0;  ///< of the VIEW entry; the base's index for the first
    view_ptr what;
  };

  void reset(const mark& base);
  void append(entry e, journal_position at);
  /// Removes entries from `from` on (rule C2).
  void truncate(log_index from);
  /// Forgets entries up to the new base, which must be in the log and agree with it.
  void trim(const mark& base);

  const mark& base() const { return base_; }
  log_index last() const { return base_.index + entries_.size(); }
  term_number last_term() const { return entries_.empty() ? base_.term : entries_.back().what.term; }
  wall_time last_time() const { return entries_.empty() ? base_.time : entries_.back().what.time; }
  bool has(log_index i) const { return i > base_.index && i <= last(); }
  const entry& at(log_index i) const;
  /// Term of the entry at `i`, base included.
  term_number term_at(log_index i) const;
  /// First index of the run of entries that have the term of entry `i`.
  log_index first_of_term(log_index i) const;
  journal_position position_of(log_index i) const;
  /// The oldest position still needed, or `none_above` if there is no entry.
  journal_position first_position(journal_position none_above) const;

  /// Gives all entries, in their order, the positions that `new_position_of(entry)` returns; none is on disk under them yet.
  template <class F>
  void restamp(F&& new_position_of) {
    for (auto& e : entries_) e.position = new_position_of(e.what);
    durable_ = base_.index;
  }

  /// Highest index on disk given what the journal reported. Lowered by truncation: an ack must never cover entries
  /// that are gone.
  log_index durable(journal_position persisted);

  /// The cut behind entry `i` (base included), in the slots of the view in force behind it (rule PA15).
  frontier cut_behind(log_index i) const;
  /// The view in force behind `i`.
  const view_ptr& view_at(log_index i) const;
  /// Views known, base's first, in log order.
  const std::vector<known_view>& views() const { return views_; }
  const known_view& last_view() const { return views_.back(); }

private:
  friend struct inspector;
  struct stored {
    entry what;
    journal_position position = 0;
  };
  mark base_;
  std::deque<stored> entries_;
  std::vector<known_view> views_;
  log_index durable_ = 0;
};

}  // namespace cohort::protocol
