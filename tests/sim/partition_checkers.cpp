// Each checker of partitionable groups sees legal histories and such as break its property.
#include "framework/protocol/partition/messages.hpp"
#include "tests/sim/partition_scribe.hpp"

#include <doctest/doctest.h>

namespace {

using namespace cohort;
using namespace cohort::test::partition;

/// Both have delivered message 1 of A in view 2 and go on to view 3.
scribe together_to_three(order how) {
  scribe s;
  s.enter({A, B}, id(2)).submit(A, 1, how);
  const std::uint64_t position = how == order::total ? 1 : 0;
  s.get(A, 1, position).get(B, 1, position);
  s.leave(A, id(2), {A, B}).leave(B, id(2), {A, B}).enter({A, B}, id(3));
  return s;
}

}  // namespace

TEST_SUITE("partition checkers") {
  TEST_CASE("legal histories pass every checker") {
    scribe one;
    one.enter({A, B, C}, id(2)).submit(A, 1, order::total).get(A, 1, 1).get(B, 1, 1).get(C, 1, 1);
    CHECK(first_broken(one.h) == "");
    scribe three = together_to_three(order::safe_causal);
    three.crash(C);
    CHECK(first_broken(three.h) == "");
    scribe cut;  // C is cut off, comes back, and the sides merge
    cut.enter({A, B, C}, id(2), 1, true);
    for (const auto p : {A, B}) cut.leave(p, id(2), {A, B});
    cut.enter({A, B}, id(3), 1, true).leave(C, id(2), {C}).enter({C}, id(3, C));
    cut.submit(A, 1, order::causal).get(A, 1).get(B, 1).submit(C, 2, order::causal).get(C, 2);
    for (const auto p : {A, B}) cut.leave(p, id(3), {A, B});
    cut.leave(C, id(3, C), {C}).enter({A, B, C}, id(4), 2, true);
    for (const auto p : {A, B, C}) cut.merge(p, id(4), 7);
    cut.submit(B, 3, order::causal).get(B, 3).get(A, 3).get(C, 3);
    for (const auto p : {A, B, C}) cut.of(p).steps.back().state = 7;
    CHECK(first_broken(cut.h) == "");
  }

  TEST_CASE("membership") {
    scribe without;
    without.enter({A, B}, id(2)).of(C).steps.push_back(without.of(A).steps.back());
    CHECK(self_inclusion(without.h) != "");
    scribe back;
    back.enter({A}, id(3)).enter({A}, id(2));
    CHECK(monotonic_views(back.h) != "");
    scribe again;
    again.enter({A}, id(2)).enter({A}, id(2));
    CHECK(monotonic_views(again.h) != "");
    scribe two;
    two.enter({A, B}, id(2)).enter({C}, id(2));
    CHECK(view_agreement(two.h) != "");
  }

  TEST_CASE("delivery") {
    scribe elsewhere;
    elsewhere.enter({A, B}, id(2)).submit(A, 1, order::fifo).get(A, 1).enter({A, B}, id(3)).get(B, 1);
    CHECK(sending_view(elsewhere.h) != "");
    scribe stranger;
    stranger.submit(C, 1, order::fifo).enter({A, B}, id(2)).get(A, 1);
    CHECK(sending_view(stranger.h) != "");
    scribe made_up;
    made_up.enter({A}, id(2)).get(A, 9);
    CHECK(integrity(made_up.h) != "");
    scribe twice;
    twice.enter({A}, id(2)).submit(A, 1, order::fifo).get(A, 1).get(A, 1);
    CHECK(integrity(twice.h) != "");
    scribe never;
    never.enter({A}, id(2)).submit(A, 1, order::fifo);
    CHECK(self_delivery(never.h) != "");
    CHECK(self_delivery(never.crash(A).h) == "");
  }

  TEST_CASE("virtual synchrony and transitional sets") {
    CHECK(virtual_synchrony(together_to_three(order::fifo).h) == "");
    scribe missed;
    missed.enter({A, B}, id(2)).submit(A, 1, order::fifo).get(A, 1);
    missed.leave(A, id(2), {A, B}).leave(B, id(2), {A, B}).enter({A, B}, id(3));
    CHECK(virtual_synchrony(missed.h) != "");
    scribe late;
    late.enter({A, B}, id(2)).submit(A, 1, order::fifo).get(A, 1);
    late.leave(A, id(2), {A, B}).leave(B, id(2), {A, B}).get(B, 1).enter({A, B}, id(3));
    CHECK(virtual_synchrony(late.h) != "");
    scribe alone;
    alone.enter({A, B}, id(2)).leave(A, id(2), {A}).leave(B, id(2), {A, B}).enter({A, B}, id(3));
    CHECK(transitional_sets(alone.h) != "");
    scribe foreign;
    foreign.enter({A}, id(2)).enter({B}, id(2, B)).leave(A, id(2), {A, B}).leave(B, id(2, B), {B}).enter({A, B}, id(3));
    CHECK(transitional_sets(foreign.h) != "");
    scribe unnamed;
    unnamed.enter({A}, id(2)).leave(A, id(2), {B}).enter({A}, id(3));
    CHECK(transitional_sets(unnamed.h) != "");
  }

  TEST_CASE("safe delivery") {
    scribe lost;  // safe in the view, and B never delivers it
    lost.enter({A, B}, id(2)).submit(A, 1, order::safe_fifo).get(A, 1).leave(B, id(2), {B}).enter({B}, id(3, B));
    CHECK(safe_delivery(lost.h) != "");
    scribe excused = lost;
    excused.of(B).steps.resize(1);
    CHECK(safe_delivery(excused.crash(B).h) == "");
    scribe transitional;  // safe among {A} only: B need not have it
    transitional.enter({A, B}, id(2)).submit(A, 1, order::safe_fifo).leave(A, id(2), {A}).get(A, 1).enter({A}, id(3));
    transitional.leave(B, id(2), {B}).enter({B}, id(3, B));
    CHECK(safe_delivery(transitional.h) == "");
    scribe weak;
    weak.enter({A, B}, id(2)).submit(A, 1, order::fifo).get(A, 1).leave(B, id(2), {B}).enter({B}, id(3, B));
    CHECK(safe_delivery(weak.h) == "");
    scribe broken_promise;
    broken_promise.enter({A, B}, id(2))
        .submit(A, 1, order::total)
        .leave(A, id(2), {A, B})
        .get(A, 1, 1)
        .leave(B, id(2), {A, B});
    broken_promise.enter({A, B}, id(3));
    CHECK(safe_delivery(broken_promise.h) != "");
  }

  TEST_CASE("orders") {
    scribe f;
    f.enter({A, B}, id(2)).submit(A, 1, order::fifo).submit(A, 2, order::fifo).get(A, 1).get(A, 2);
    CHECK(fifo_order(f.h) == "");
    scribe gap = f;
    gap.get(B, 2);
    CHECK(fifo_order(gap.h) != "");
    f.get(B, 1).get(B, 2);
    CHECK(fifo_order(f.h) == "");
    scribe c;
    c.enter({A, B, C}, id(2)).submit(A, 1, order::causal).get(A, 1).get(B, 1).submit(B, 2, order::causal).get(B, 2);
    CHECK(causal_order(c.h) == "");
    scribe ahead = c;
    ahead.get(C, 2).get(C, 1);
    CHECK(causal_order(ahead.h) != "");
    c.get(C, 1).get(C, 2);
    CHECK(causal_order(c.h) == "");
    scribe t;
    t.enter({A, B}, id(2)).submit(A, 1, order::total).submit(B, 2, order::total).get(A, 1, 1).get(A, 2, 2);
    scribe swapped = t;
    swapped.get(B, 2, 1).get(B, 1, 2);
    CHECK(total_order(swapped.h) != "");
    scribe swapped_later = t;
    swapped_later.leave(B, id(2), {B}).get(B, 2, 1).get(B, 1, 2);
    CHECK(total_order(swapped_later.h) != "");
    scribe hole = t;
    hole.get(B, 2, 2);
    CHECK(total_order(hole.h) != "");
    t.get(B, 1, 1).get(B, 2, 2);
    CHECK(total_order(t.h) == "");
  }

  TEST_CASE("merges") {
    scribe early;
    early.enter({A, B}, id(2), 2).merge(A, id(2), 5).submit(A, 1, order::fifo).get(A, 1).merge(B, id(2), 5);
    CHECK(merge_barrier(early.h) != "");
    early.h.merge = merge_policy::none;
    CHECK(merge_barrier(early.h) == "");
    scribe apart;
    apart.enter({A, B}, id(2), 2).merge(A, id(2), 5).merge(B, id(2), 6);
    CHECK(merged_states(apart.h) != "");
    scribe one_side;
    one_side.enter({A, B}, id(2));
    one_side.of(A).steps.back().state = 4;
    CHECK(merged_states(one_side.h) != "");
  }

  TEST_CASE("primary views") {
    scribe two;
    two.enter({A, B}, id(2), 1, true).enter({C}, id(3, C), 1, true);
    CHECK(primary_chain(two.h) != "");
    scribe minority;
    minority.enter({C}, id(2, C), 1, true);
    CHECK(primary_chain(minority.h) != "");
    scribe half;  // of {A, B} the half with A
    half.enter({A, B}, id(2), 1, true).enter({A}, id(3), 1, true);
    CHECK(primary_chain(half.h) == "");
    scribe other_half;
    other_half.enter({A, B}, id(2), 1, true).enter({B}, id(3, B), 1, true);
    CHECK(primary_chain(other_half.h) != "");
  }

  TEST_CASE("rules in force") {
    scribe quiet;
    quiet.enter({A, B}, id(2)).enter({A, B}, id(3));
    CHECK(rules_in_force(quiet.h) == "");
    auto change = quiet;
    change.ask(A, rules_since(4).options).runs_by(rules_since(4)).enter({A, B}, id(4)).told(A, rules_since(4).options);
    CHECK(rules_in_force(change.h) == "");
    auto kept = change;
    kept.enter({A, B}, id(5));
    CHECK(rules_in_force(kept.h) == "");
    auto forgotten = change;
    forgotten.runs_by({}).enter({A, B}, id(5));
    CHECK(rules_in_force(forgotten.h) != "");
    auto smaller = change;
    auto rules = rules_since(4);
    rules.largest_message = rules.options.message_bytes_max - 1;
    smaller.runs_by(rules).enter({A, B}, id(5));
    CHECK(rules_in_force(smaller.h) != "");
    auto unasked = quiet;
    unasked.runs_by(rules_since(4)).enter({A, B}, id(4));
    CHECK(rules_in_force(unasked.h) != "");
    auto by_other = quiet;
    by_other.ask(C, rules_since(4).options).runs_by(rules_since(4)).enter({A, B}, id(4));
    CHECK(rules_in_force(by_other.h) != "");
    auto early = quiet;
    early.ask(A, rules_since(4).options).told(A, rules_since(4).options);
    CHECK(rules_in_force(early.h) != "");
    auto two_kinds = change;
    rules = rules_since(4);
    rules.options.lane_window += 1;
    two_kinds.runs_by(rules).enter({A, B}, id(5));
    CHECK(rules_in_force(two_kinds.h) != "");
    // C was cut off: its rules are older, and give way.
    auto apart = change;
    apart.runs_by({}).enter({C}, id(6, C)).runs_by(rules_since(4)).enter({A, B, C}, id(7));
    CHECK(rules_in_force(apart.h) == "");
  }

  TEST_CASE("liveness") {
    scribe apart;
    apart.enter({A, B}, id(2)).enter({C}, id(2, C));
    CHECK(liveness(apart.h) != "");
    CHECK(liveness(apart.unhealed().h) == "");
    scribe states;
    states.enter({A, B, C}, id(2));
    states.of(B).steps.back().state = 3;
    CHECK(liveness(states.h) != "");
  }
}

TEST_SUITE("partition codec") {
  TEST_CASE("what is written is read, and nothing shorter") {
    pp::component_view v;
    v.id = id(4);
    v.rules = rules_since(4);
    v.members = {A, B};
    v.flushes.push_back({id(3), {A, B}, {1, 2, 3, 4}, {0, 1, 2, 3}, {0, 1, 0, 1}});
    v.sides.push_back({{id(3), 1}, {A, B}, {{id(2), 7, 9}}, id(1), true});
    const std::vector<pp::control_body> bodies{
        pp::progress{id(3), 77, true, {1, 2}, {3, 4}},
        pp::standing{9, A.member, true, {A, C}, {id(3), 77, false, {1}}},
        pp::gather{id(5)},
        pp::account{id(5),
                    id(3),
                    {1, 2},
                    {0, 1},
                    {id(3), pp::merged_side},
                    id(2),
                    true,
                    {{id(2), 1, 2}},
                    {id(2), {A}},
                    {{id(4), {A, B}}},
                    rules_since(2),
                    rules_since(3).options,
                    true},
        pp::proposal{std::make_shared<const pp::component_view>(v)},
        pp::prepared{id(5)},
        pp::install{id(5)},
        pp::offer{id(5), 1, 2, 3, std::vector<std::byte>(100, std::byte{7})},
        pp::offer_wanted{id(5), 1, 2},
    };
    REQUIRE(bodies.size() == std::variant_size_v<pp::control_body>);
    for (const auto& body : bodies) {
      const auto bytes = pp::encode(pp::control{42, body});
      pp::control back;
      REQUIRE(pp::decode(bytes, back));
      CHECK(back.inc == 42);
      CHECK(pp::encode(back) == bytes);
      for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(pp::decode(std::span(bytes).first(n), back));
      auto longer = bytes;
      longer.push_back({});
      CHECK_FALSE(pp::decode(longer, back));
      for (std::size_t i = 0; i < bytes.size(); ++i) {  // any byte may be anything: no crash, no large allocation
        auto bent = bytes;
        bent[i] = std::byte{0xff};
        (void)pp::decode(bent, back);
      }
    }
  }
  TEST_CASE("members that are not ascending are refused") {
    pp::standing s{9, A.member, false, {B, A}, {}};
    pp::control back;
    CHECK_FALSE(pp::decode(pp::encode(pp::control{1, s}), back));
  }
}
