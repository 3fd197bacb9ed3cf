// Large messages and deadlines in partitionable groups: the core alone, and the checkers.
#include "framework/protocol/assembler.hpp"
#include "framework/protocol/partition/core.hpp"
#include "tests/sim/partition_scribe.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace {

using namespace cohort;
using namespace cohort::test::partition;
using protocol::submit_status;
using cohort::wall_time;
using std::chrono::milliseconds;

/// A process that has heard of nobody.
struct hermit {
  pp::core_options options;
  pp::core core;
  wall_time wall{1'000'000};

  static pp::core_options limits() {
    pp::core_options o;
    o.orders = order_set::all();
    o.part_bytes = 100;
    o.lane_window = 4000;
    return o;
  }
  hermit() : options(limits()), core(options, {{A.member, 1}, A.inc, {A.member, B.member}, true}) {
    core.tick(protocol::instant(1), wall);
  }
  submit_status part(std::size_t bytes, bool more, order how = order::total, wall_time deadline = {}) {
    const std::vector<std::byte> text(bytes, std::byte{7});
    return core.submit_part(text, more, how, deadline);
  }
  submit_status small(order how = order::total, wall_time deadline = {}) {
    const std::vector<std::byte> text(10, std::byte{1});
    const std::span<const std::byte> one(text);
    return core.submit({&one, 1}, how, deadline);
  }
  std::vector<protocol::delivery_op> pass() {
    core.tick(protocol::instant(1), wall);
    core.drain();
    const auto all = core.out().deliveries;
    core.drained();
    return all;
  }
};

std::vector<protocol::deliver_batch> batches(const std::vector<protocol::delivery_op>& all) {
  std::vector<protocol::deliver_batch> found;
  for (const auto& op : all)
    if (const auto* b = std::get_if<protocol::deliver_batch>(&op)) found.push_back(*b);
  return found;
}

}  // namespace

TEST_SUITE("partition parts") {
  TEST_CASE("parts become the message, small ones go between them, and it counts once") {
    hermit h;
    CHECK(h.part(100, true) == submit_status::taken);
    CHECK(h.small() == submit_status::taken);
    CHECK(h.part(100, true) == submit_status::taken);
    CHECK(h.part(40, false) == submit_status::taken);
    auto got = batches(h.pass());
    protocol::assembler whole(10'000);
    std::vector<std::pair<std::size_t, std::uint64_t>> heard;
    for (auto& b : got)
      if (b.part.whole() || whole.take(b)) heard.emplace_back(b.what.blob.size(), b.position);
    // What was submitted before a part of its kind is sealed before it.
    CHECK(heard == std::vector<std::pair<std::size_t, std::uint64_t>>{{10, 1}, {240, 2}});
    CHECK(whole.bytes() == 0);
  }

  TEST_CASE("what is too large is refused, and so is an order that is not enabled") {
    hermit h;
    CHECK(h.part(101, true) == submit_status::too_large);
    std::vector<std::byte> text(101);
    const std::span<const std::byte> one(text);
    CHECK(h.core.submit({&one, 1}, order::total) == submit_status::too_large);
    pp::core_options o = hermit::limits();
    o.orders = order_set{order::causal};
    pp::core other(o, {{A.member, 1}, A.inc, {A.member}, true});
    CHECK(other.submit_part(one.first(10), true, order::total) == submit_status::not_enabled);
  }

  TEST_CASE("a total message that is sealed too late expires, and its sender is told in its turn") {
    hermit h;
    CHECK(h.small(order::total, h.wall) == submit_status::too_late);
    CHECK(h.small(order::total, h.wall + milliseconds(5)) == submit_status::taken);
    CHECK(h.small(order::total, h.wall + milliseconds(50)) == submit_status::taken);
    h.wall += milliseconds(10);  // no pass came in time
    const auto all = h.pass();
    REQUIRE(batches(all).size() == 1);
    CHECK(batches(all)[0].position == 1);
    CHECK_FALSE(batches(all)[0].late);
    const auto expired = std::ranges::find_if(
        all, [](const auto& op) { return std::holds_alternative<protocol::deliver_void>(op); });
    REQUIRE(expired != all.end());
    const auto& told = std::get<protocol::deliver_void>(*expired);
    CHECK(told.own);
    CHECK(told.messages() == 1);
    CHECK(told.why == protocol::void_cause::expired);
  }

  TEST_CASE("a large message whose last part is too late expires whole") {
    hermit h;
    const auto deadline = h.wall + milliseconds(5);
    CHECK(h.part(100, true, order::total, deadline) == submit_status::taken);
    h.wall += milliseconds(10);
    h.core.tick(protocol::instant(1), h.wall);
    CHECK(h.part(20, false, order::total, deadline) == submit_status::too_late);
    protocol::assembler whole(10'000);
    for (auto& b : batches(h.pass())) CHECK_FALSE(whole.take(b));
    CHECK(h.part(20, false) == submit_status::taken);  // another one
    for (auto& b : batches(h.pass())) CHECK(b.what.blob.size() == 20);
  }

  TEST_CASE("the checker of whole messages") {
    scribe s;
    s.enter({A}, id(2)).submit(A, 1, order::fifo).get(A, 1);
    CHECK(whole_messages(s.h) == "");
    s.of(A).steps.back().intact = false;
    CHECK(whole_messages(s.h) != "");
  }

  TEST_CASE("the checker of memory") {
    scribe s;
    s.h.payload_most = s.h.payload_bound = 10;
    CHECK(bounded_memory(s.h) == "");
    ++s.h.payload_most;
    CHECK(bounded_memory(s.h) != "");
    s.h.payload_most = 0;
    s.h.parts_most = 1;
    CHECK(bounded_memory(s.h) != "");
  }

  TEST_CASE("the checker of termination") {
    const auto expire = [](scribe& s, process p, std::uint64_t m, wall_time at) {
      auto& e = s.add(p, step_kind::expires);
      e.message = m;
      e.wall = at;
    };
    scribe good;
    good.enter({A, B}, id(2)).submit(A, 1, order::total).submit(A, 2, order::total);
    good.h.messages[1].deadline = good.h.messages[2].deadline = wall_time(10);
    good.get(A, 1, 1).get(B, 1, 1);
    auto late = good;
    for (const auto p : {A, B}) expire(good, p, 2, wall_time(11));
    CHECK(termination(good.h) == "");
    CHECK(self_delivery(good.h) == "");
    late.of(B).steps.back().wall = wall_time(12);
    CHECK(termination(late.h) != "");  // and not told so
    late.of(B).steps.back().late = true;
    CHECK(termination(late.h) == "");
    late.of(B).steps.back().time = wall_time(11);  // sealed too late
    CHECK(termination(late.h) != "");
    auto both = good;
    both.get(B, 2, 2);
    CHECK(termination(both.h) != "");
    scribe apart;
    apart.enter({A, B}, id(2)).submit(A, 1, order::total);
    apart.h.messages[1].deadline = wall_time(10);
    apart.get(B, 1, 1);
    expire(apart, A, 1, wall_time(12));
    CHECK(termination(apart.h) != "");
    scribe early;
    early.enter({A}, id(2)).submit(A, 1, order::total);
    early.h.messages[1].deadline = wall_time(10);
    expire(early, A, 1, wall_time(9));
    CHECK(termination(early.h) != "");
    early.h.messages[1].deadline = {};
    CHECK(termination(early.h) != "");
  }
}
