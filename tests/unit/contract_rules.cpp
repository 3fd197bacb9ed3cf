// Every rule of the table: what it refuses, what it only tells, and the contract next to it that it lets pass.
#include <cohort/contract_check.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <string>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

struct given {
  contract c;
  roster_facts roster;
  node_facts node;
};

/// A legal world for each failure model, from which the cases below take one thing away.
given crash_group() { return {}; }
given fail_stop_group() {
  given g;
  g.c.model = failure_model::fail_stop;
  g.roster.lease_authority = true;
  g.node.watchdog = true;
  g.node.reaction_bound = 20ms;
  return g;
}
given timing_group() {
  given g;
  g.c.model = failure_model::timing;
  g.c.delay_bound = 20ms;
  g.c.deadline = 500ms;
  g.node.interval_clock = true;
  g.node.clock_error = 1ms;
  return g;
}
given byzantine_group() {
  given g;
  g.c.model = failure_model::byzantine;
  g.c.links = link_security::authenticated;
  g.roster.members = 4;
  g.roster.member_keys = true;
  return g;
}
given partitionable_group() {
  given g;
  g.c = contract::multicast(order::causal, {order::total}).with(partition_policy::partitionable);
  return g;
}
given lossy_group() {
  given g;
  g.c = contract::multicast(order::unordered);
  g.c.atomic = g.c.virtual_synchrony = false;
  g.c.deadline = 100ms;
  g.c.lossy = true;
  return g;
}
given retaining_group() {
  given g;
  g.c.reliability = reliability::all_members;
  g.c.retain_bytes = 1u << 30;
  g.c.retain_time = 1h;
  return g;
}

struct breach {
  const char* rule;
  severity kind;
  given (*world)();
  std::function<void(given&)> change;
  const char* says;
};

constexpr auto no = severity::reject, told = severity::warn;

const breach breaches[] = {
    {"V19", no, crash_group, [](auto& g) { g.roster.members = 0; }, "0 members"},
    {"V19", no, crash_group, [](auto& g) { g.roster.members = 65; }, "65 members"},
    {"D5", no, crash_group, [](auto& g) { g.c.heartbeat = 0ms; }, "heartbeat = \"0 ms\""},
    {"D5", no, crash_group, [](auto& g) { g.c.outcome_bound = 9ms; }, "from \"10 ms\""},
    {"D5", no, crash_group, [](auto& g) { g.c.message_bytes_max = 0; }, "message_bytes_max"},
    {"D5", no, crash_group, [](auto& g) { g.c.message_bytes_max = (1u << 30) + 1; }, "\"1 GiB\""},
    {"D5", no, crash_group, [](auto& g) { g.c.lane_window = 1000; }, "\"64 KiB\""},
    {"D5", no, crash_group, [](auto& g) { g.c.queue_bytes = 0; }, "queue_bytes"},
    {"D5", no, crash_group, [](auto& g) { g.c.retain_time = -1ms; }, "retain_time"},
    {"D5", no, crash_group, [](auto& g) { g.c.min_copies = 0; }, "min_copies"},
    {"D6", no, crash_group, [](auto& g) { g.c.orders = {}; }, "no order is enabled"},
    {"D6", no, crash_group, [](auto& g) { g.c.default_order = order::fifo; },
     "\"fifo\" is not among orders [\"total\"]"},
    {"G1", no, crash_group, [](auto& g) { g.c.minority_multicast = true; }, "nothing else is enabled"},
    {"G1", no, crash_group,
     [](auto& g) {
       g.c.orders.add(order::causal);
       g.c.minority_multicast = true;
     },
     "the default order"},
    {"G2", no, crash_group, [](auto& g) { g.roster.members = 2; }, "either's failure"},
    {"G2", no, crash_group, [](auto& g) { g.roster.members = 1; }, "only copy"},
    {"G2", told, crash_group, [](auto& g) { g.roster.members = 4; }, "even number of members, 4"},
    {"G3", no, fail_stop_group, [](auto& g) { g.roster.lease_authority = false; }, "authority outside"},
    {"G3", no, fail_stop_group, [](auto& g) { g.c.clock_rate_ppm = 0; }, "bound on clock rates"},
    {"G3", no, fail_stop_group, [](auto& g) { g.c.lease = 70ms; },
     "not longer than a heartbeat of 50 ms and the reaction of 20 ms"},
    {"G4", no, fail_stop_group, [](auto& g) { g.node.untimed_network = true; }, "no bound"},
    {"G4", no, fail_stop_group, [](auto& g) { g.node.watchdog = false; }, "without a watchdog"},
    {"G5", no, crash_group,
     [](auto& g) {
       g.c.witnesses = 1;
       g.c.durability = durability::in_memory;
     },
     "volatile group"},
    {"G5", no, partitionable_group, [](auto& g) { g.c.witnesses = 1; }, "partitionable group"},
    {"G5", no, byzantine_group, [](auto& g) { g.c.witnesses = 1; }, "Byzantine group"},
    {"G5", no, crash_group, [](auto& g) { g.c.witnesses = 2; }, "Q - 1 = 1"},
    {"G6", no, byzantine_group, [](auto& g) { g.roster.members = 3; }, "3 members cannot tolerate 1"},
    {"G6", no, byzantine_group, [](auto& g) { g.c.failures_tolerated = 2; }, "here 7"},
    {"G6", no, byzantine_group, [](auto& g) { g.roster.member_keys = false; }, "no keys"},
    {"G6", no, byzantine_group, [](auto& g) { g.c.durability = durability::in_memory; }, "volatile"},
    {"G6", no, byzantine_group, [](auto& g) { g.c.orders.add(order::unordered); }, "atomic unordered"},
    {"G6", no, byzantine_group, [](auto& g) { g.c.reads = reads::lease; }, "lease reads"},
    {"G7", no, crash_group, [](auto& g) { g.c.deadline = 100ms; }, "yield no intervals"},
    {"G7", no, timing_group, [](auto& g) { g.node.interval_clock = false; }, "timing model"},
    {"G7", told, timing_group,
     [](auto& g) {
       g.node.clock_error = 200ms;
       g.c.deadline = 700ms;
     },
     "200000 us wide"},
    {"G8", no, crash_group,
     [](auto& g) {
       g.c.reads = reads::lease;
       g.c.clock_rate_ppm = 0;
     },
     "clock_rate_ppm = 0"},
    {"G8", no, crash_group,
     [](auto& g) {
       g.c.reads = reads::lease;
       g.c.clock_margin = 0ms;
     },
     "clock_margin = 0"},
    {"G8", no, crash_group,
     [](auto& g) {
       g.c.reads = reads::lease;
       g.c.lease = 290ms;
     },
     "289940 us"},
    {"G8", no, crash_group,
     [](auto& g) {
       g.c.reads = reads::lease;
       g.c.clock_margin = 300ms;
     },
     "no lease fits"},
    {"G9", no, partitionable_group, [](auto& g) { g.c.one_history = true; }, "claims one_history"},
    {"G9", no, partitionable_group, [](auto& g) { g.c.replication = replication::active; }, "without a merge policy"},
    {"G9", no, partitionable_group, [](auto& g) { g.c.reads = reads::lease; }, "lease reads"},
    {"G9", no, partitionable_group, [](auto& g) { g.c.action_participant = true; }, "differently"},
    {"P2", no, partitionable_group, [](auto& g) { g.c.model = failure_model::fail_stop; }, "fail_stop model"},
    {"G10", no, lossy_group, [](auto& g) { g.c.atomic = true; }, "without virtual_synchrony"},
    {"G10", told, crash_group,
     [](auto& g) {
       g.c.orders.add(order::fifo);
       g.c.virtual_synchrony = false;
     },
     "when a sender fails"},
    {"G11", no, partitionable_group,
     [](auto& g) {
       g.c.replication = replication::active;
       g.c.merge = merge_policy::application;
     },
     "in \"causal\" order"},
    {"G11", no, lossy_group, [](auto& g) { g.c.replication = replication::primary_backup; },
     "a primary with backups in a group without total"},
    {"G11", no, lossy_group, [](auto& g) { g.c.sessions = true; }, "sessions in a group without total"},
    {"G11", told, crash_group,
     [](auto& g) {
       g.c.orders.add(order::fifo);
       g.c.default_order = order::fifo;
       g.c.reads = reads::local;
     },
     "nothing shows its use"},
    {"G12", no, crash_group,
     [](auto& g) {
       g.c = contract::multicast(order::causal);
       g.c.action_participant = true;
     },
     "without total order"},
    {"G12", no, crash_group,
     [](auto& g) {
       g.c.durability = durability::in_memory;
       g.c.action_participant = true;
     },
     "volatile group"},
    {"G12", no, fail_stop_group,
     [](auto& g) {
       g.c.durability = durability::in_memory;
       g.c.action_participant = true;
     },
     "volatile group"},
    {"G13", no, crash_group, [](auto& g) { g.node.stable_storage = false; }, "stable storage"},
    {"G13", told, crash_group, [](auto& g) { g.node.flushes = false; }, "not flushed"},
    {"G13", no, crash_group,
     [](auto& g) {
       g.c.durability = durability::in_memory;
       g.roster.founding_guarded = false;
     },
     "found it again"},
    {"G14", no, retaining_group, [](auto& g) { g.c.retain_bytes = 0; }, "retain_bytes = 0"},
    {"G14", no, retaining_group, [](auto& g) { g.c.retain_time = 0ms; }, "retain_time = 0"},
    {"G14", told, retaining_group,
     [](auto& g) {
       g.c.replication = replication::active;
       g.c.retain_bytes = 1u << 20;
     },
     "below checkpoint_bytes"},
    {"G14", told, retaining_group, [](auto& g) { g.c.rate_bytes_max = 1u << 20; }, "may send in 1 h"},
    {"G15", no, crash_group,
     [](auto& g) {
       g.c.compare_every = 0;
       g.c.on_divergence = divergence_policy::stop;
     },
     "compare_every is 0"},
    {"G15", no, crash_group,
     [](auto& g) {
       g.c.replication = replication::active;
       g.c.deterministic = false;
     },
     "not deterministic"},
    {"G17", no, crash_group, [](auto& g) { g.c.min_copies = 4; }, "with 3 members"},
    {"G17", no, crash_group, [](auto& g) { g.c.min_voters = 4; }, "min_voters = 4"},
    {"G17", no, fail_stop_group, [](auto& g) { g.c.shrink = true; }, "shrink in the fail_stop"},
    {"G17", no, byzantine_group, [](auto& g) { g.c.shrink = true; }, "shrink in the byzantine"},
    {"G18", no, crash_group,
     [](auto& g) {
       g.c.orders.add(order::safe_causal);
       g.c.causal_dependencies = false;
     },
     "does not name it"},
    {"G18", no, crash_group,
     [](auto& g) {
       g.c.orders.add(order::fifo);
       g.c.causal_dependencies = false;
     },
     "causal_total"},
    {"G19", no, byzantine_group, [](auto& g) { g.c.links = link_security::open; }, "not authenticated"},
    {"G19", told, crash_group, [](auto& g) { g.c.trust_domains = 2; }, "spans 2 trust domains"},
    {"D7", no, crash_group, [](auto& g) { g.c.failures_tolerated = 2; }, "a quorum is 2 of 3"},
    {"D7", no, crash_group,
     [](auto& g) {
       g.c.failures_tolerated = 1;
       g.c.min_copies = 3;
     },
     "min_copies = 3"},
    {"R1", no, partitionable_group,
     [](auto& g) {
       g.c.orders = {order::causal};
       g.c.reads = reads::linearizable;
     },
     "linearizable reads"},
    {"R1", no, lossy_group, [](auto& g) { g.c.reads = reads::lease; }, "lease reads in a group without total"},
    {"TM1", no, timing_group, [](auto& g) { g.c.delay_bound = 0ms; }, "without a delay_bound"},
    {"TM5", no, timing_group, [](auto& g) { g.c.deadline = 61ms; }, "up to 62 ms"},
    {"DL2", no, lossy_group, [](auto& g) { g.c.deadline = 0ms; }, "nothing is ever late"},
    {"DL2", no, lossy_group, [](auto& g) { g.c.orders.add(order::fifo); }, "breaks its sender's order"},
    {"DL2", no, lossy_group, [](auto& g) { g.c.virtual_synchrony = true; }, "virtually synchronous"},
    {"DL3", told, lossy_group, [](auto& g) { g.c.lossy = false; }, "each receiver judges"},
    {"E7", no, crash_group, [](auto& g) { g.c.heartbeat = 100ms; }, "raise it to 400 ms"},
    {"PA20", no, crash_group, [](auto& g) { g.c.fail_after = 599ms; }, "raise it to 600 ms"},
};

}  // namespace

TEST_SUITE_BEGIN("rules");

TEST_CASE("rules: contracts that make sense have no finding at all") {
  for (auto world : {crash_group, fail_stop_group, timing_group, byzantine_group, lossy_group, retaining_group}) {
    const auto g = world();
    const auto found = check(g.c, g.roster, g.node);
    for (const auto& f : found) INFO(f.rule << ": " << f.message);
    CHECK(legal(found));
  }
  CHECK(check(contract{}).empty());
  CHECK(check(contract::replicated()).empty());
  CHECK(check(contract::multicast()).empty());
  CHECK(check(contract::multicast(order::causal).with(durability::in_memory)).empty());
  CHECK(legal(check(partitionable_group().c)));
  auto single = contract{}.with(&contract::single, true);
  CHECK(check(single, {.members = 1}).empty());
  CHECK(legal(check(single, {.members = 2})));
  CHECK(check(contract{}.with(&contract::witnesses, 1u)).empty());
  CHECK(check(contract{}.with(&contract::witnesses, 2u), {.members = 5}).empty());
  // G12: a fail-stop group's copies may stand in for a disk, if that is said.
  auto g = fail_stop_group();
  g.c.durability = durability::in_memory;
  g.c.action_participant = g.c.volatile_participant = true;
  CHECK(legal(check(g.c, g.roster, g.node)));
  // G2: a partitionable or fail-stop group of two is an ordinary one.
  g = fail_stop_group();
  g.roster.members = 2;
  CHECK(legal(check(g.c, g.roster, g.node)));
}

TEST_CASE("rules: each breach is found, by its number, with the values, a reason and the fields") {
  std::set<std::string> seen;
  for (const auto& b : breaches) {
    auto g = b.world();
    b.change(g);
    CAPTURE(std::string(b.rule));
    CAPTURE(std::string(b.says));
    std::string all;
    const finding* mine = nullptr;
    const auto found = check(g.c, g.roster, g.node);
    for (const auto& f : found) {
      all += f.rule + ": " + f.message + "; " + f.reason + '\n';
      if (f.rule == b.rule && f.severity == b.kind && (f.message + f.reason).find(b.says) != std::string::npos)
        mine = &f;
    }
    CAPTURE(all);
    REQUIRE(mine);
    CHECK(!mine->reason.empty());
    CHECK(legal(found) == (b.kind == told));
    CHECK(mine->nearest.has_value() == (b.kind == no && std::string(b.rule) != "V19"));
    if (mine->nearest) {
      CHECK(*mine->nearest != g.c);
      CHECK(legal(check(*mine->nearest, g.roster, g.node)));
    }
    seen.insert(b.rule);
  }
  for (const auto& row : rule_table()) {
    CAPTURE(std::string(row.number));
    if (std::string(row.number) != "G16" && std::string(row.number) != "G20") CHECK(seen.count(row.number) == 1);
  }
}

TEST_CASE("rules: the table has G1 to G20, each once, and says what is refused") {
  std::multiset<std::string> numbers;
  for (const auto& row : rule_table()) {
    numbers.insert(row.number);
    CHECK(std::string(row.text).size() > 20);
  }
  for (int i = 1; i <= 20; ++i) CHECK(numbers.count("G" + std::to_string(i)) == 1);
}

TEST_CASE("rules: a contract with several faults has them all told") {
  contract c;
  c.reads = reads::lease;
  c.clock_margin = 0ms;
  c.heartbeat = 100ms;
  c.witnesses = 1;
  c.durability = durability::in_memory;
  std::set<std::string> rules;
  for (const auto& f : check(c)) rules.insert(f.rule);
  CHECK(rules == std::set<std::string>{"G5", "G8", "E7"});
}

TEST_SUITE_END();
