// Whose state wins, and what a state descends from (rules P7, P9).
#include "framework/protocol/partition/policy.hpp"

#include "framework/protocol/partition/mistakes.hpp"

#include <algorithm>

namespace cohort::protocol::partition {
namespace {

bool beats(const side& a, const side& b, merge_policy how) {
  if (a.blank != b.blank && !mistaken(mistake::blank_side_wins)) return b.blank;
  if (how == merge_policy::primary_descended && a.descends_from != b.descends_from &&
      !mistaken(mistake::descent_ignored))
    return a.descends_from > b.descends_from;
  if (a.members.size() != b.members.size())
    return (a.members.size() > b.members.size()) != mistaken(mistake::smallest_wins);
  return a.state.at > b.state.at && !mistaken(mistake::tie_by_order);
}

}  // namespace

std::size_t winner(const component_view& v, merge_policy how) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < v.sides.size(); ++i)
    if (beats(v.sides[i], v.sides[best], how)) best = i;
  return best;
}

component_id descent_of_merged(const component_view& v, merge_policy how) {
  if (v.primary) return v.id;
  if (how != merge_policy::application) return v.sides[winner(v, how)].descends_from;
  component_id newest;  // of all sides' states it makes one
  for (const auto& s : v.sides) newest = std::max(newest, s.descends_from);
  return newest;
}

}  // namespace cohort::protocol::partition
