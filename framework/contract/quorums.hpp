#pragma once

#include <cohort/contract.hpp>

#include <algorithm>

namespace cohort::contracts {

/// What follows from n members, w of them witnesses, under a failure model (D7, D8, FS6, section 14).
struct quorums {
  unsigned members = 0;    ///< n
  unsigned data = 0;       ///< D = n - w: members that hold payload
  unsigned quorum = 0;     ///< Q: so many acknowledgements commit
  unsigned stable = 0;     ///< h: so many holders make a message safe
  unsigned tolerated = 0;  ///< f: so many may fail at the same time, and the others go on
};

constexpr quorums quorums_of(const contract& c, unsigned n) {
  quorums q;
  q.members = n;
  const unsigned w = std::min(c.witnesses, n);
  q.data = n - w;
  if (c.partitions == partition_policy::partitionable || c.model == failure_model::fail_stop) {
    q.quorum = n;  // all of the view (P2, FS6); the view shrinks instead
    q.stable = q.data;
    q.tolerated = n == 0 ? 0 : n - 1;
  } else if (c.model == failure_model::byzantine) {
    q.tolerated = n == 0 ? 0 : (n - 1) / 3;
    if (c.failures_tolerated > 0) q.tolerated = std::min(q.tolerated, c.failures_tolerated);
    q.quorum = (n + q.tolerated + 2) / 2;  // ceil((n + f + 1) / 2)
    q.stable = q.quorum;
  } else {
    q.quorum = n / 2 + 1;
    q.stable = q.data + w >= q.quorum ? static_cast<unsigned>(std::max<int>(1, static_cast<int>(q.data + w - q.quorum) + 1)) : 1;
    q.tolerated = n == 0 ? 0 : n - q.quorum;
  }
  return q;
}

}  // namespace cohort::contracts
