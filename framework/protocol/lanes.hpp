#pragma once

#include "framework/protocol/messages.hpp"

#include <deque>
#include <memory>

namespace cohort::protocol {

struct inspector;

/// One sender incarnation's stream of batches (section 2), as far as this member holds it.
class lane {
public:
  lane(voter_id owner, incarnation inc, lane_kind kind, sequence trimmed)
      : owner(owner), inc(inc), kind(kind), trimmed_(trimmed), held_(trimmed), durable_(trimmed) {}

  const voter_id owner;
  const incarnation inc;
  const lane_kind kind;
  lane_name name() const { return {owner.member, inc, kind}; }

  /// Stores a batch; false if it is trimmed, known (an equal number is equal content, L2), or too far ahead.
  bool store(batch b, journal_position at);
  /// Highest contiguous batch present.
  sequence held() const { return held_; }
  /// Highest contiguous batch on disk. Never above `held`.
  sequence durable(journal_position persisted);
  sequence trimmed() const { return trimmed_; }
  /// The batch `seq`, or null.
  const batch* find(sequence seq) const;
  /// Payload bytes of batches above `seq` that are contiguous or not.
  std::size_t bytes_above(sequence seq) const;
  std::size_t bytes() const { return total_ - trimmed_bytes_; }

  /// Drops what lies above the final cut: no member that stays delivers it (V13, L8). Batches at `extras` are kept aside:
  /// a slower member still has to pull them before it can append the view's entry.
  void seal(sequence at, std::span<const sequence> extras = {});
  /// Forgets batches up to `upto`, which are below every active member's need (S3).
  void trim(sequence upto);
  journal_position first_position(journal_position none_above) const;
  /// Gives all batches, in their order, the positions that `new_position_of(batch)` returns; none is on disk under them yet.
  template <class F>
  void restamp(F&& new_position_of) {
    for (auto& b : batches_)
      if (b.present) b.position = new_position_of(b.what);
    for (auto& e : extras_) e.position = new_position_of(e.what);
    durable_ = trimmed_;
  }

private:
  friend struct inspector;
  struct stored {
    batch what;
    journal_position position = 0;
    std::uint64_t bytes_through = 0;  ///< of all contiguous batches up to this one
    bool present = false;
  };
  const stored* slot_of(sequence seq) const;
  void advance();

  sequence trimmed_;
  sequence held_;
  sequence durable_;
  std::deque<stored> batches_;  ///< from trimmed_ + 1 on, with gaps above held_
  std::vector<stored> extras_;  ///< beyond the final cut, once sealed
  std::uint64_t total_ = 0;         ///< bytes of contiguous batches ever, trimmed ones included
  std::uint64_t trimmed_bytes_ = 0;
  std::uint64_t ahead_bytes_ = 0;   ///< bytes of batches above a gap
};

using lane_ptr = std::shared_ptr<lane>;

/// How far above the highest contiguous batch a batch may lie to be kept.
inline constexpr sequence lane_ahead_max = 4096;

/// All lanes which a member knows, and for each known view which lane sits in which slot (rule PA13). Lanes of every
/// VIEW in the own log are kept, installed or not (rule PA8).
class lane_store {
public:
  struct table {
    view_number number = 0;
    std::vector<lane_ptr> lanes;  ///< by slot
  };

  lane_store() = default;
  /// A copy has lanes of its own, shared among its tables as they are here.
  lane_store(const lane_store& other);
  lane_store& operator=(const lane_store&) = delete;

  /// Learns the view's slots. Lanes it shares with known views are the same objects; new ones start at `first` (in its
  /// slots), which is 0 except at a base.
  void learn(const view& v, const frontier& first);
  /// Forgets views from `number` on: their VIEW entry was truncated.
  void forget_from(view_number number);
  /// Forgets views below `number`: the log's base has passed them.
  void forget_below(view_number number);
  void clear();

  /// The lane in a slot of a known view, or null.
  lane* find(view_number number, slot s) const;
  /// The lane of that name in any known view, or null.
  lane* find(const lane_name& name) const;
  const table* table_of(view_number number) const;
  /// Highest contiguous batch per slot.
  frontier held(view_number number) const;
  /// Every lane known, once.
  const std::vector<lane_ptr>& all() const { return all_; }
  std::size_t bytes() const;

private:
  friend struct inspector;
  void gather();

  std::vector<table> tables_;  ///< ascending by number
  std::vector<lane_ptr> all_;  ///< of all tables; asked for with every pass, so it is not gathered anew each time
};

}  // namespace cohort::protocol
