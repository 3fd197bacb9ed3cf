#include "framework/protocol/view.hpp"

#include "framework/protocol/frontier.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::protocol;

namespace {

voter_id id(unsigned member, std::uint64_t identity = 1) { return {member_id(member), identity}; }

view three() {
  view v;
  v.number = 4;
  v.roster = {{id(0), 10, true, true}, {id(1), 11, true, false}, {id(2), 12, true, true}, {id(2, 7), 13, false, true}};
  v.burnt = {{member_id(0), 10}, {member_id(1), 11}, {member_id(2), 13}};
  return v;
}

}  // namespace

TEST_SUITE("protocol: views") {
  TEST_CASE("slots are the active entries in roster order") {
    const auto v = three();
    CHECK(lane_count(v) == 3);
    CHECK(slot_of(v, id(0), 10) == 0);
    CHECK(slot_of(v, id(1), 11) == no_slot);
    CHECK(slot_of(v, id(2), 12) == 1);
    CHECK(slot_of(v, id(2, 7), 13) == 2);
    CHECK(slot_of(v, id(0), 9) == no_slot);
    REQUIRE(lane_owner(v, 1));
    CHECK(lane_owner(v, 1)->id == id(2));
    CHECK(lane_owner(v, 3) == nullptr);
  }

  TEST_CASE("a member has a lane for each kind that its group uses (L1)") {
    auto v = three();
    v.kinds = kinds_of({order::fifo, order::total});
    CHECK(lanes_per_member(v) == 2);
    CHECK(lane_count(v) == 6);
    CHECK(slot_of(v, id(2), 12, lane_kind::plain) == 2);
    CHECK(slot_of(v, id(2), 12, lane_kind::causal) == 3);
    CHECK(lane_at(v, 3) == lane_name{member_id(2), 12, lane_kind::causal});
    CHECK(lane_owner(v, 6) == nullptr);
    for (slot s = 0; s < 6; ++s) {
      const auto name = lane_at(v, s);
      CHECK(slot_of(v, lane_owner(v, s)->id, name.inc, name.kind) == s);
    }
    v.kinds = kinds_of({order::unordered});
    CHECK(lanes_per_member(v) == 1);
    CHECK(slot_of(v, id(2), 12, lane_kind::plain) == 1);
    CHECK(slot_of(v, id(2), 12, lane_kind::causal) == no_slot);
  }

  TEST_CASE("which orders need dependencies (L5)") {
    CHECK_FALSE(needs_dependencies({order::total}));
    CHECK_FALSE(needs_dependencies({order::unordered, order::fifo, order::safe_fifo}));
    CHECK_FALSE(needs_dependencies({order::unordered, order::total}));
    CHECK(needs_dependencies({order::fifo, order::total}));
    CHECK(needs_dependencies({order::causal}));
    CHECK(needs_dependencies({order::safe_causal}));
  }

  TEST_CASE("so many voters make a batch stable that every quorum holds one of them, and fewer would not do (D8)") {
    for (std::size_t n = 1; n <= 9; ++n) {
      view v;
      for (unsigned i = 0; i < n; ++i) v.roster.push_back({id(i), 1, true, true});
      CHECK(stability_threshold(v) + quorum_size(v) > n);
      CHECK(stability_threshold(v) - 1 + quorum_size(v) <= n);
    }
  }

  TEST_CASE("witnesses vote and hold nothing (W1, D8)") {
    view v;
    for (unsigned i = 0; i < 3; ++i) v.roster.push_back({id(i), 1, true, i != 2, i == 2});
    CHECK(quorum_size(v) == 2);
    CHECK(data_voter_count(v) == 2);
    CHECK(stability_threshold(v) == 2);  // the witness and one of them are a quorum
    for (unsigned i = 3; i < 5; ++i) v.roster.push_back({id(i), 1, true, i == 3, i == 4});
    CHECK(data_voter_count(v) == 3);
    CHECK(stability_threshold(v) == 3);
  }

  TEST_CASE("a cut is carried over when a kind of lane comes or goes") {
    auto before = three();
    before.kinds = kinds_of({order::causal, order::fifo});
    auto after = before;
    after.kinds = kinds_of({order::causal});
    CHECK(carry_over(before, {1, 2, 3, 4, 5, 6}, after) == frontier{2, 4, 6});
    CHECK(carry_over(after, {2, 4, 6}, before) == frontier{0, 2, 0, 4, 0, 6});
  }

  TEST_CASE("quorums count voters, active or not (D4, D7)") {
    CHECK(voter_count(three()) == 3);
    for (std::size_t n = 1; n <= 9; ++n) {
      view v;
      for (unsigned i = 0; i < n; ++i) v.roster.push_back({id(i), 1, true, i % 2 == 0});
      // Any two quorums share a voter, and a smaller set would not do.
      CHECK(2 * quorum_size(v) > n);
      CHECK(2 * (quorum_size(v) - 1) <= n);
    }
  }

  TEST_CASE("a replaced identity is another voter (D3)") {
    const auto v = three();
    CHECK(find(v, id(2, 7)) != find(v, id(2)));
    CHECK(find_voter(v, member_id(2))->id == id(2));
    CHECK(find(v, id(0, 99)) == nullptr);
    CHECK(burnt(v, member_id(2)) == 13);
    CHECK(burnt(v, member_id(5)) == 0);
  }

  TEST_CASE("a cut is carried into the next view's slots (V13, PA15)") {
    const auto before = three();
    view after = before;
    after.number = 5;
    after.roster[0].active = false;                   // member 0 failed
    after.roster[1].active = true, after.roster[1].inc = 20;  // member 1 recovered: a new lane
    const frontier cut{100, 200, 300};
    CHECK(carry_over(before, cut, after) == frontier{0, 200, 300});
    CHECK(carry_over(before, cut, before) == cut);
  }
}

TEST_SUITE("protocol: frontiers") {
  TEST_CASE("a missing component is zero (L9)") {
    CHECK(covers({1, 2}, {1}));
    CHECK(covers({1, 2}, {1, 2, 0}));
    CHECK_FALSE(covers({1, 2}, {1, 2, 1}));
    CHECK_FALSE(covers({1, 2}, {0, 3}));
    frontier f{5};
    raise(f, {3, 4});
    CHECK(f == frontier{5, 4});
  }
}
