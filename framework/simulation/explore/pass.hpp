#pragma once

#include "framework/simulation/explore/member.hpp"

namespace cohort::sim::explore {

/// One pass of a member's core, with its driver's work around it.
struct pass {
  const scope& s;
  member& m;
  std::vector<letter>& sent;
  std::size_t told_before = m.told.events.size();

  void tick() const;
  /// Behind the pass's input: drains the core, and judges what it did. `persisted`: what its disk has just reported.
  void finish(protocol::journal_position persisted = 0) const;
  /// Begins its story with the view it is in.
  void born() const;

private:
  void post(unsigned to, std::shared_ptr<const protocol::message> what) const;
  /// In which order messages came is judged by now; later only what came in which view is of interest.
  void sort_events() const;
  /// What the state here holds, in bits.
  std::uint8_t state() const;
  void deliver(const protocol::delivery_op& what) const;
  void lose(order cls, std::uint64_t count) const;
  void note_evidence() const;
  void note_commitments() const;
};

}  // namespace cohort::sim::explore
