#pragma once

#include "framework/simulation/check/properties.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::sim {

/// A history in a line of words, shown to one checker.
///
/// Members are a, b, c, d; three (a, b, c) found view 0 and start in it, unless the first word is `-`. A life is named by
/// its member; words act on the member's newest life.
///
///     a!F1        a submits message 1 as F (U F S C s T: S is safe fifo, s is safe causal)
///     b<1         b delivers the batch with message 1, which is its own batch: the lane's next number when it was submitted
///     b<1+2       ... a batch of messages 1 and 2
///     b<1@7       ... as batch 7 of its lane; b<1#4 at position 4 of the total order; b<1%3 as of view 3
///     b<1:c       ... as sent by c; b<1=F in another order; b<1~ not stable; b<1^ stable
///     a-1         a is told that message 1 is delivered nowhere
///     b|1         b installs view 1 with the members it had; b|1:abd with these, who have their names in capitals if they are
///                 active under a new incarnation: b|1:aB. Behind a name: * votes (new ones do not), _ does not vote, . is not
///                 active, ! is not there at all. b|1:ab= is told that it is a member in any case;
///                 b|1:abc^ab is told that a and b came along with it (else the truth). What changed is noted
///                 truly, or as said: b|1:ab;cf says that c failed (j joined, r recovered, p promoted, x excluded, y replaced)
///     b&1:abc/a2,b3:1   b is given a checkpoint of view 1 that contains plain batches to 2 of a, and to 3 of b and
///                 causal ones to 1 of b; then enters that view. With $ it does not enter it. ?a2-3,b:4,a'2.1 behind that: b is
///                 told that it missed plain batches 2 and 3 of a, causal batch 4 of b, and plain batch 1 of a's
///                 incarnation 2; ?! and runs: that more may be missing
///     b+1:abc/a2  b dies, and a new life begins with this; b+ begins with nothing
///     bx          b dies
///     b*p+ b*p-   b is in touch with the group, or is not; b*w+ b*w- is wedged; b*f founded, b*x is excluded, b*s b*t a transfer
///                 starts and ends
///     ...>7       of a view, a delivery or a checkpoint: at index 7
///     .           the run is over
std::string run_history(const std::function<std::unique_ptr<checker>(book&)>& make, std::string_view text);

struct history_case {
  const char* what;
  const char* text;
};
/// Checks with doctest that all of `legal` pass and all of `violating` fail, and that there are ten of each.
void check_histories(const std::function<std::unique_ptr<checker>(book&)>& make, const std::vector<history_case>& legal,
                     const std::vector<history_case>& violating);

}  // namespace cohort::sim
