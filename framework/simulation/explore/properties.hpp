#pragma once

#include "framework/simulation/explore/member.hpp"

namespace cohort::sim::explore {

// The properties of docs/protocol.md as relations of stories that can be copied with a state: of one member, and of two,
// whoever died meanwhile included. What is broken is thrown as `std::logic_error`, as the core's own invariants are.

/// I10 no gap in the total order, I12 sending view, no duplicates, O6 the order within a lane, O1-O3 causal order.
/// Events before `from` have been judged, and may be sorted since.
void check_alone(const member& m, std::size_t from);

/// I1 one leader a term, I2 log matching, I4 leader completeness, I5 agreement, I10 total order, I13 virtual synchrony,
/// I14 view agreement, uniformity of SF, SC and T (D8, V4-V8) and O10. Not symmetric: call it both ways.
void check_pair(const member& a, const member& b);

/// V20, V24: on what evidence a leader begins a change without a member. `all`: everybody as they are now.
void check_accusation(const member& accuser, const story::accusation& what, const std::vector<const member*>& all,
                      const protocol::core_options& options);

}  // namespace cohort::sim::explore
