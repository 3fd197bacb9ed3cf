#pragma once

#include "framework/protocol/core_impl.hpp"

namespace cohort::protocol {

/// 128 bits that stand for everything which decides what an object does next.
struct fingerprint {
  std::uint64_t high = 0, low = 0;
  bool operator==(const fingerprint&) const = default;
};

/// Lets simulations and directed tests look at the inside of a core, and explorations copy one. Cores that run are never
/// changed: what `of` gives is constant, what `copy` gives is another core.
struct inspector {
  using inside = core::impl;
  static const inside& of(const core& c) { return *c.impl_; }

  /// A core that goes on as `c` would and shares nothing that changes with it.
  static core copy(const core& c);
  /// For explorations, in which a clock goes where its owner's timeouts are and nowhere else: such a leap is no stall (V22),
  /// and nobody's silence has a length (V20, V21): members go by links that are reset alone. Between passes only.
  /// With `silences` a leader's silence has one: it suspects after E_min, the soonest that a rhythm allows.
  static void without_clocks(core& c, bool silences = false);
  /// Rewrites what can have no influence on anything but equality, so that cores which behave alike look alike: journal
  /// positions are counted from what is on disk, which becomes 0; send stamps, draws of timeouts and counters of arrival
  /// lose their history; sets are sorted. Between passes only. Returns by how much journal positions went down: the
  /// driver moves its own likewise. Reads confirmed across this would lean on stamps that repeat (R1): none may be asked.
  static journal_position simplify(core& c);
  /// Covers every field; the definition takes each class apart by name, so that a new field does not compile before it
  /// has its place there.
  static fingerprint digest(const core& c);
  static fingerprint digest(const message& m);
};

}  // namespace cohort::protocol
