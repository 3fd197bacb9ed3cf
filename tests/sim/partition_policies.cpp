// Which side's state all take: the rule itself, and the checker that says which one must be there.
#include "framework/protocol/partition/policy.hpp"
#include "tests/sim/partition_scribe.hpp"

#include <doctest/doctest.h>

namespace {

using namespace cohort;
using namespace cohort::test::partition;

constexpr process D{member_id{3}, 1};

pp::side side_of(std::vector<process> members, component_id since, component_id descent = {}, bool blank = false) {
  return {{since, pp::merged_side}, std::move(members), {}, descent, blank};
}

pp::component_view of(std::vector<pp::side> sides, bool primary = false) {
  pp::component_view v;
  v.id = id(9);
  v.sides = std::move(sides);
  v.primary = primary;
  return v;
}

std::size_t largest(std::vector<pp::side> sides) {
  return pp::winner(of(std::move(sides)), merge_policy::largest_component);
}
std::size_t descended(std::vector<pp::side> sides) {
  return pp::winner(of(std::move(sides)), merge_policy::primary_descended);
}

/// {A, B} with state 5 and {C} with state 6 come together in view 4, A and B from the primary view 3.
scribe two_sides(merge_policy how, std::uint64_t merged) {
  scribe s;
  s.h.merge = how;
  s.enter({A, B}, id(3), 1, true).enter({C}, id(3, C));
  s.submit(A, 1, order::total).get(A, 1, 1).get(B, 1, 1).submit(C, 2, order::total).get(C, 2, 1);
  s.enter({A, B, C}, id(4), 2);
  for (const auto p : {A, B, C}) s.of(p).steps.back().state = p == C ? 6 : 5;
  for (const auto p : {A, B, C}) s.merge(p, id(4), merged);
  return s;
}

}  // namespace

TEST_SUITE("partition policies") {
  TEST_CASE("the largest side wins, of equal ones that from the later view, else the first") {
    CHECK(largest({side_of({A}, id(3)), side_of({B, C}, id(2))}) == 1);
    CHECK(largest({side_of({A, B}, id(2)), side_of({C}, id(3))}) == 0);
    CHECK(largest({side_of({A}, id(2)), side_of({B}, id(3))}) == 1);
    CHECK(largest({side_of({A}, id(3)), side_of({B}, id(2))}) == 0);
    CHECK(largest({side_of({A}, id(2)), side_of({B}, id(2))}) == 0);
    CHECK(largest({side_of({A}, id(2)), side_of({B}, id(2)), side_of({C, D}, id(1))}) == 2);
  }

  TEST_CASE("the descent decides before the size, the size among those of one descent") {
    CHECK(descended({side_of({A}, id(5), id(4)), side_of({B, C}, id(6), id(2))}) == 0);
    CHECK(descended({side_of({A}, id(5), id(2)), side_of({B, C}, id(6), id(2))}) == 1);
    CHECK(descended({side_of({A}, id(5)), side_of({B, C}, id(4))}) == 1);
    CHECK(largest({side_of({A}, id(5), id(4)), side_of({B, C}, id(6), id(2))}) == 1);
  }

  TEST_CASE("a blank side gives its state only if all are blank") {
    CHECK(largest({side_of({A, B}, id(5), {}, true), side_of({C}, id(2))}) == 1);
    CHECK(descended({side_of({A, B}, id(5), id(5), true), side_of({C}, id(2))}) == 1);
    CHECK(largest({side_of({A}, id(2), {}, true), side_of({B, C}, id(2), {}, true)}) == 1);
  }

  TEST_CASE("what a merged state descends from") {
    const std::vector<pp::side> sides{side_of({A}, id(5), id(4)), side_of({B, C}, id(6), id(2))};
    CHECK(pp::descent_of_merged(of(sides), merge_policy::application) == id(4));
    CHECK(pp::descent_of_merged(of(sides), merge_policy::largest_component) == id(2));
    CHECK(pp::descent_of_merged(of(sides), merge_policy::primary_descended) == id(4));
    CHECK(pp::descent_of_merged(of(sides, true), merge_policy::largest_component) == id(9));
  }

  TEST_CASE("the checker knows whose state must be there") {
    CHECK(winning_side(two_sides(merge_policy::largest_component, 5).h) == "");
    CHECK(winning_side(two_sides(merge_policy::largest_component, 6).h) != "");
    CHECK(winning_side(two_sides(merge_policy::primary_descended, 5).h) == "");
    CHECK(winning_side(two_sides(merge_policy::primary_descended, 6).h) != "");
    CHECK(winning_side(two_sides(merge_policy::application, 7).h) == "");
  }

  TEST_CASE("the checker follows descent and blankness") {
    auto untrue = two_sides(merge_policy::largest_component, 5);
    auto bent = std::make_shared<pp::component_view>(*untrue.of(A).steps.rbegin()[1].view);
    bent->sides[0].descends_from = id(2);
    for (const auto p : {A, B, C}) untrue.of(p).steps.rbegin()[1].view = bent;
    CHECK(winning_side(untrue.h) != "");
    auto blank = two_sides(merge_policy::largest_component, 5);
    bent = std::make_shared<pp::component_view>(*blank.of(A).steps.rbegin()[1].view);
    bent->sides[1].blank = true;
    for (const auto p : {A, B, C}) blank.of(p).steps.rbegin()[1].view = bent;
    CHECK(winning_side(blank.h) != "");
    // A later view: what descends from it after the merge is C's state, too.
    auto later = two_sides(merge_policy::largest_component, 5);
    later.enter({C}, id(5, C));
    CHECK(winning_side(later.h) == "");
    bent = std::make_shared<pp::component_view>(*later.last);
    bent->sides[0].descends_from = {};
    later.of(C).steps.back().view = bent;
    CHECK(winning_side(later.h) != "");
  }
}
