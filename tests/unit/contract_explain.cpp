// What contracts mean in figures: held against the protocol's own numbers.
#include "framework/contract/explain.hpp"
#include "framework/protocol/payload_bound.hpp"

#include <cohort/contract_check.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <tuple>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_SUITE_BEGIN("explain");

TEST_CASE("quorums: Q and h of D7 and D8, and h meets every quorum's members with payload") {
  for (const auto& [n, w, quorum, stable] : {std::tuple{1u, 0u, 1u, 1u},
                                             {2u, 0u, 2u, 1u},
                                             {3u, 0u, 2u, 2u},
                                             {4u, 0u, 3u, 2u},
                                             {5u, 0u, 3u, 3u},
                                             {3u, 1u, 2u, 2u},
                                             {5u, 2u, 3u, 3u},
                                             {7u, 0u, 4u, 4u}}) {
    CAPTURE(n);
    CAPTURE(w);
    const auto q = contracts::quorums_of(contract{}.with(&contract::witnesses, w), n);
    CHECK(q.quorum == quorum);
    CHECK(q.stable == stable);
    CHECK(q.tolerated == n - quorum);
    // Brute force: whichever h hold it, every quorum has one of them, and h - 1 would not do.
    const auto meets = [&](unsigned holders) {
      return q.data - holders < (quorum > w ? quorum - w : 0) || quorum <= w;
    };
    CHECK(meets(stable));
    if (stable > 1) CHECK(!meets(stable - 1));
  }
  const auto byzantine = contract{}.with(failure_model::byzantine);
  CHECK(contracts::quorums_of(byzantine, 4).quorum == 3);
  CHECK(contracts::quorums_of(byzantine, 7).quorum == 5);
  CHECK(contracts::quorums_of(byzantine, 7).tolerated == 2);
  CHECK(contracts::quorums_of(contract{}.with(failure_model::fail_stop), 3).tolerated == 2);
}

TEST_CASE("bounds: what the timers promise") {
  const auto b = bounds_of(contract{});
  CHECK(b.leader_detected == 600ms);
  CHECK(b.failover == 600ms);
  CHECK(b.member_detected == 2050ms);
  CHECK(b.member_excluded == 2350ms);
  const auto line = describe(b);
  CHECK(holds(line, "noticed within 600 ms"));
  CHECK(holds(line, "excluded within 2350 ms"));
  const auto leased = bounds_of(contract{}.with(failure_model::fail_stop).with(&contract::lease, 200ms));
  CHECK(leased.member_excluded >= leased.member_detected + 400ms);
}

TEST_CASE("explain: the default contract") {
  const auto text = explain(contract::replicated(), {.members = 3});
  CAPTURE(text);
  for (const char* part :
       {"total; journaled; crash model", "Q = 2 = floor(n / 2) + 1 (D7)", "h = 2 holders", "f = 1",
        "2, that is 1 round trip: the leader's own messages append, ack; the others' batch, append, with which",
        "2 batches + 2 appends + 6 acks",
        "1 on the way, at all members", "1 round trip to a quorum at the leader", "2 round trips: wedge",
        "the crash of any 1 member", "the restart of any number of members", "2 members away: it stops",
        "members that lie", "within 600 ms = 2 election_min", "excluded within 2350 ms", "PA7",
        "85120 KiB: 3 lanes of two windows", "48 MiB: a message of each member in each order",
        "512 MiB: payload since the older of two checkpoints", "each after 256 MiB, or the state's size",
        "3 GiB instead, or twelve times the state's size", "64 MiB: payload that is not on it yet"})
    CHECK_MESSAGE(holds(text, part), part);
  CHECK(!holds(text, "not built"));
}

TEST_CASE("explain: what total order costs follows the size of the group and its durability (C4)") {
  const auto small = explain(contract::replicated(), {.members = 5});
  for (const char* part :
       {"2 for the leader's own messages, 3 for the others': batch, append, ack; that is 1 round trip, and 1.5",
        "4 appends + 20 acks (L6, C4)"})
    CHECK_MESSAGE(holds(small, part), part);
  const auto large = explain(contract::replicated(), {.members = 9});
  for (const char* part :
       {"2 for the leader's own messages, 4 for the others': batch, append, ack, commit; that is 1 round trip, and 2",
        "8 appends + 8 acks to the leader + 8 commits (L6, C4)"})
    CHECK_MESSAGE(holds(large, part), part);
  CHECK(holds(explain(contract::multicast(order::total, {order::safe_fifo}), {.members = 9}), "8 appends + 72 acks (L6, C4)"));
  const auto memory = contract::replicated().with(durability::in_memory);
  CHECK(holds(explain(memory, {.members = 3}), "2 appends + 4 acks from and to the leader (L6, C4)"));
  const auto kept = contract{}
                        .with(&contract::reliability, reliability::all_members)
                        .with(&contract::retain_bytes, std::uint64_t{96} << 20)
                        .with(&contract::retain_time, 1h);
  CHECK(holds(explain(kept, {.members = 3}), "96 MiB: retained (S4)"));
  CHECK(holds(explain(kept.with(durability::in_memory), {.members = 3}), "96 MiB: retained (S4)"));
}

TEST_CASE("explain: the memory of a member is what simulations hold cores to (FC1, FC4, S3, S4)") {
  const auto away = [](contract c) {
    return c.with(&contract::reliability, reliability::all_members)
        .with(&contract::retain_bytes, std::uint64_t{1} << 30)
        .with(&contract::retain_time, 1h);
  };
  const contract kinds[] = {
    contract{},
    contract{}.with(durability::in_memory),
    contract{}.with(&contract::checkpoint_bytes, std::uint64_t{1} << 20),  // a window is more
    contract::multicast(order::causal, {order::fifo, order::total}).with(&contract::lane_window, std::size_t{256} << 10),
    away(contract{}),
    away(contract{}.with(durability::in_memory)),
  };
  for (const auto& c : kinds)
    for (const unsigned n : {1u, 3u, 5u}) {
      CAPTURE(difference(contract{}, c));
      CAPTURE(n);
      const roster_facts roster{.members = n};
      const node_facts nodes;
      const auto said = contracts::memory_of({c, roster, nodes, contracts::quorums_of(c, n)});
      protocol::core_options o;
      o.lane_window = c.lane_window;
      o.part_bytes = std::clamp<std::size_t>(c.lane_window / 32, 16u << 10, 256u << 10);
      o.retain_bytes = c.reliability == reliability::all_members ? c.retain_bytes : 0;
      const bool on_disk = c.durability == durability::journaled;
      const std::uint64_t between = on_disk ? c.checkpoint_bytes : std::min<std::uint64_t>(c.checkpoint_bytes, 8u << 20);
      const std::size_t lanes = n * (c.orders.has(order::fifo) ? 2 : 1);
      CHECK(said.lanes + said.fed + said.disk + said.away ==
            protocol::payload_bound(o, lanes, std::max<std::uint64_t>(between, c.lane_window), on_disk));
      CHECK(said.kept == 2 * between);
      CHECK(said.kept <= said.fed);
    }
}

TEST_CASE("explain: other orders, memory only, witnesses, leases") {
  auto c = contract::multicast(order::causal, {order::safe_fifo, order::unordered}).with(durability::in_memory);
  auto text = explain(c, {.members = 4});
  CAPTURE(text);
  for (const char* part :
       {"causal (default)", "1: batch", "its causal past (L5)", "2, that is 1 round trip: batch, ack", "none: volatile",
        "h = 2 holders", "a restart of a majority", "uniformity"})
    CHECK_MESSAGE(holds(text, part), part);
  CHECK(!holds(text, "linearizable"));
  CHECK(!holds(text, "not built"));
  text = explain(contract{}.with(&contract::witnesses, 1u).with(reads::lease), {.members = 3});
  for (const char* part : {"w = 1 witnesses, D = 2 with payload", "1 batches + 2 appends", "one copy only (W4)",
                           "lease of 289 ms", "200 ppm"})
    CHECK_MESSAGE(holds(text, part), part);
}

TEST_CASE("explain: models and policies that are not built are described, and said not to be built") {
  auto text = explain(contract{}.with(failure_model::byzantine).with(link_security::authenticated),
                      {.members = 4, .member_keys = true});
  CAPTURE(text);
  for (const char* part :
       {"1 member that do anything", "Q = 3 = ceil((n + f + 1) / 2)", "6: batch, signatures, block", "B15",
        "model: the byzantine model is not built yet", "links: authentication of links is not built yet"})
    CHECK_MESSAGE(holds(text, part), part);
  text = explain(contract{}.with(failure_model::fail_stop), {.members = 2});
  for (const char* part : {"all active members of the view (FS6)", "FS12", "the fail_stop model is not built yet"})
    CHECK_MESSAGE(holds(text, part), part);
  text = explain(contract{}.with(partition_policy::partitionable, merge_policy::largest_component), {.members = 5});
  for (const char* part : {"every side goes on", "largest_component", "inside one component's view", "its node begins anew"})
    CHECK_MESSAGE(holds(text, part), part);
  auto timing =
      contract{}.with(failure_model::timing).with(&contract::delay_bound, 20ms).with(&contract::deadline, 200ms);
  text = explain(timing, {}, {.interval_clock = true, .clock_error = 1ms});
  for (const char* part : {"62 ms + 1 flush", "TM6", "deadline"}) CHECK_MESSAGE(holds(text, part), part);
}

TEST_CASE("not built: nothing that is asked for is left out in silence, and the default asks for nothing") {
  CHECK(not_built(contract{}).empty());
  CHECK(not_built(contract{}.with(replication::primary_backup)).empty());
  CHECK(not_built(contract::replicated().with(durability::in_memory).with(reads::lease)).empty());
  auto all = contract::multicast(order::causal, {order::unordered, order::fifo, order::safe_fifo, order::safe_causal, order::total})
               .with(slow_member::wait)
               .with(&contract::shrink, true)
               .with(&contract::witnesses, 1u)
               .with(&contract::min_copies, 2u)
               .with(&contract::minority_multicast, true)
               .with(&contract::reliability, reliability::all_members);
  CHECK(not_built(all).empty());
  for (const auto& [c, field] :
       {std::pair{contract{}.with(failure_model::timing), "model"}, std::pair{contract{}.with(&contract::deadline, 200ms), "deadline"},
        std::pair{contract{}.with(partition_policy::partitionable).with(&contract::calls, true), "calls"},
        std::pair{contract{}.with(&contract::rate_bytes_max, std::uint64_t{1000}), "rate_bytes_max"},
        std::pair{contract{}.with(link_security::authenticated), "links"}}) {
    const auto missing = not_built(c);
    REQUIRE(missing.size() == 1);
    CHECK(missing[0].field == field);
    CHECK(holds(missing[0].what, "is not built yet"));
  }
}

TEST_SUITE_END();
