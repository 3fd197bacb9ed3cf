#pragma once

#include "framework/protocol/types.hpp"

#include <algorithm>

namespace cohort::protocol {

/// The component of a slot; a slot which the vector does not have counts as 0 (rule L9).
inline sequence at(const frontier& f, std::size_t s) { return s < f.size() ? f[s] : 0; }

/// Whether `a` reaches `b` in every slot.
inline bool covers(const frontier& a, const frontier& b) {
  for (std::size_t s = 0; s < b.size(); ++s)
    if (at(a, s) < b[s]) return false;
  return true;
}

/// Raises every component of `a` to at least that of `b`.
inline void raise(frontier& a, const frontier& b) {
  if (a.size() < b.size()) a.resize(b.size(), 0);
  for (std::size_t s = 0; s < b.size(); ++s) a[s] = std::max(a[s], b[s]);
}

}  // namespace cohort::protocol
