#pragma once

#include "framework/protocol/types.hpp"

#include <array>
#include <cstdint>

namespace cohort::protocol {

/// How improbable a silence is, in thousandths: 8000 means that in the rhythm observed so far one pause in 10^8 is as
/// long or longer (Hayashibara et al., "The phi Accrual Failure Detector", 2004).
using suspicion = std::uint32_t;

struct inspector;

/// Accrual detector of one peer: learns from the instants at which evidence of life arrives how long that peer's pauses
/// are, and says how unlikely a silence is. Two readings of a pause, of which the kinder one counts: an answer that is
/// *late* (normal distribution of pauses, with a least deviation) and answers that were *lost* (geometric distribution;
/// each further beat without an answer multiplies by the share of beats lost so far). The first alone would take every
/// third loss in a row for a death.
///
/// One sample per beat, the longest pause within it and at least a beat: heartbeats are suppressed while other traffic
/// flows, and a rhythm learnt from a thousand messages a second would make the first idle beat look like a death. Until
/// samples have come in, a prior stands for them that expects half of the beats to be lost.
///
/// Integers only: the same on every compiler and library (N1). Allocates nothing.
class detector {
public:
  static constexpr std::size_t window = 128;          ///< samples that count; the oldest goes first
  static constexpr std::uint32_t unit = 1024;         ///< parts of a beat in which pauses are counted
  static constexpr std::uint32_t outage_beats = 32;   ///< a longer pause was an outage and says nothing of the rhythm
  static constexpr std::uint32_t prior_beats = 4;     ///< answered and lost ones each that the prior stands for
  static constexpr suspicion suspicion_max = 20'000;  ///< nothing is less likely than this

  /// `beat`: the longest pause between two messages that the peer is asked to answer; above 0.
  void begin(duration beat, instant now);
  /// What was learnt stays, the pause under way does not count: from now on evidence is awaited anew.
  void restart(instant now);
  /// Evidence of life arrived. True if the estimate has changed. `now` never goes back.
  bool heard(instant now);

  instant last_heard() const { return last_; }
  std::size_t samples() const { return count_; }
  /// Rises with the silence, from 0 at the mean pause on.
  suspicion phi(duration silence) const;
  /// The least silence whose `phi` reaches `limit` (at most `suspicion_max`).
  duration patience(suspicion limit) const;

private:
  friend struct inspector;
  void add(std::uint16_t pause);
  void estimate();

  duration beat_ = std::chrono::milliseconds(50);
  instant last_{}, beat_begun_{};
  duration longest_{};                     ///< pause of the beat under way
  std::array<std::uint16_t, window> pauses_{};
  std::uint32_t next_ = 0, count_ = 0;
  std::uint64_t sum_ = 0, squares_ = 0, lost_ = 0;
  std::uint32_t mean_ = unit, deviation_ = unit / 2;
  std::uint32_t per_beat_ = 301;           ///< what each lost beat adds, in thousandths
};

}  // namespace cohort::protocol
