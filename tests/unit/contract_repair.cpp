// The nearest legal contract, over contracts and surroundings drawn at random.
#include "framework/contract/rules.hpp"

#include <cohort/contract_check.hpp>

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

using generator = std::mt19937_64;

unsigned draw(generator& g, unsigned below) { return static_cast<unsigned>(g() % below); }
bool flip(generator& g) { return draw(g, 2) == 0; }

void randomise(bool& v, generator& g) { v = flip(g); }
void randomise(unsigned& v, generator& g) { v = draw(g, 6); }
void randomise(std::uint64_t& v, generator& g) { v = flip(g) ? draw(g, 1000) : std::uint64_t{draw(g, 1024)} << 20; }
void randomise(order_set& v, generator& g) { v = order_set::from_bits(static_cast<std::uint8_t>(draw(g, 64))); }
void randomise(std::chrono::milliseconds& v, generator& g) {
  static constexpr int choices[] = {-5, 0, 1, 3, 10, 40, 100, 300, 700, 2000, 5000, 100'000'000};
  v = std::chrono::milliseconds(choices[draw(g, std::size(choices))]);
}
template <class E>
requires(std::is_enum_v<E>) void randomise(E& v, generator& g) {
  v = static_cast<E>(draw(g, contracts::words_count<E>));
}

contract random_contract(generator& g, unsigned chance) {
  contract c;
  contracts::for_each_field([&](const auto& f) {
    if (draw(g, 100) < chance) randomise(c.*f.member, g);
  });
  return c;
}

struct surroundings {
  roster_facts roster;
  node_facts node;
};

surroundings random_surroundings(generator& g) {
  surroundings s;
  s.roster.members = 1 + draw(g, 8);
  s.roster.lease_authority = flip(g);
  s.roster.member_keys = flip(g);
  s.roster.founding_guarded = draw(g, 4) != 0;
  s.node.stable_storage = draw(g, 4) != 0;
  s.node.flushes = flip(g);
  s.node.interval_clock = flip(g);
  s.node.clock_error = std::chrono::microseconds(draw(g, 3000));
  s.node.untimed_network = draw(g, 4) == 0;
  s.node.watchdog = draw(g, 4) != 0;
  s.node.reaction_bound = std::chrono::milliseconds(draw(g, 50));
  return s;
}

/// Neither kind of durability can be had there.
bool hopeless(const surroundings& s) { return !s.node.stable_storage && !s.roster.founding_guarded; }

/// As `legal(check(...))`, without the search for what would be legal.
bool fine(const contract& c, const surroundings& s) {
  for (const auto& o : contracts::objections(c, s.roster, s.node))
    if (o.severity == severity::reject) return false;
  return true;
}

std::string shown(const contract& c, const surroundings& s) {
  std::string text = "contract: " + difference(contract{}, c) + "\nn = " + std::to_string(s.roster.members) + '\n';
  for (const auto& f : check(c, s.roster, s.node)) text += f.rule + ": " + f.message + '\n';
  return text;
}

}  // namespace

TEST_SUITE_BEGIN("repair");

TEST_CASE("repair: of any contract it is legal, and none of its changes could be left out") {
  generator g(1);
  unsigned repaired = 0, legal_already = 0;
  for (int i = 0; i < 1500; ++i) {
    const auto s = random_surroundings(g);
    const auto asked = random_contract(g, i % 3 == 0 ? 100 : i % 3 == 1 ? 30 : 6);
    CAPTURE(i);
    const auto near = nearest_legal(asked, s.roster, s.node);
    if (hopeless(s)) {
      CHECK(!near);
      continue;
    }
    INFO(shown(asked, s));
    REQUIRE(near);
    INFO("nearest: " << difference(asked, *near));
    CHECK(fine(*near, s));
    if (fine(asked, s)) {
      CHECK(*near == asked);
      ++legal_already;
      continue;
    }
    ++repaired;
    contracts::for_each_field([&](const auto& f) {
      if ((*near).*f.member != asked.*f.member) {
        INFO(f.name);
        CHECK(!fine(near->with(f.member, asked.*f.member), s));
      }
      // Nor would the default of one field have been enough, and less.
      const auto simple = asked.with(f.member, contract{}.*f.member);
      if (fine(simple, s)) CHECK(contracts::distance(asked, *near) <= contracts::distance(asked, simple));
    });
  }
  CHECK(repaired > 500);
  CHECK(legal_already > 50);
}

TEST_CASE("repair: of a legal contract in which one thing was changed it changes no more than that") {
  generator g(2);
  unsigned broken = 0;
  for (int i = 0; i < 3000; ++i) {
    const auto s = random_surroundings(g);
    if (hopeless(s)) continue;
    const auto good = nearest_legal(random_contract(g, 25), s.roster, s.node).value();
    auto bad = good;
    unsigned at = draw(g, std::tuple_size_v<decltype(contracts::fields)>);
    contracts::for_each_field([&](const auto& f) {
      if (at-- == 0) randomise(bad.*f.member, g);
    });
    if (fine(bad, s)) continue;
    ++broken;
    CAPTURE(i);
    INFO("was " << difference(contract{}, good));
    INFO(shown(bad, s));
    const auto near = nearest_legal(bad, s.roster, s.node);
    REQUIRE(near);
    INFO("nearest: " << difference(bad, *near));
    CHECK(contracts::distance(bad, *near) <= contracts::distance(bad, good));
  }
  CHECK(broken > 300);
}

TEST_CASE("repair: what is offered instead of a change would be taken, whatever was asked for") {
  generator g(3);
  unsigned refused = 0, offered = 0;
  for (int i = 0; i < 600; ++i) {
    auto s = random_surroundings(g);
    if (hopeless(s)) continue;
    s.roster.inactive = draw(g, 2);
    s.roster.primary_component = flip(g);
    s.roster.operator_key = flip(g);
    const auto from = nearest_legal(random_contract(g, 25), s.roster, s.node).value();
    const auto to = random_contract(g, i % 2 == 0 ? 8 : 50);
    const bool accepted = flip(g);
    CAPTURE(i);
    for (const auto& f : check_change(from, to, s.roster, s.node, accepted)) {
      if (f.severity != severity::reject) continue;
      ++refused;
      REQUIRE(f.nearest);  // at least to stay as it is
      ++offered;
      INFO("from " << difference(contract{}, from) << "\nto " << shown(to, s) << "\noffered "
                   << difference(to, *f.nearest));
      CHECK(legal(check_change(from, *f.nearest, s.roster, s.node, accepted)));
      break;
    }
    CHECK(legal(check_change(from, from, s.roster, s.node)));
  }
  CHECK(refused > 200);
  CHECK(offered == refused);
}

TEST_CASE("repair: what a person would have said") {
  const auto said = [](const contract& c, const roster_facts& r = {}, const node_facts& n = {}) {
    const auto near = nearest_legal(c, r, n);
    return near ? difference(c, *near) : "none";
  };
  CHECK(said(contract{}) == "");
  auto c = contract::multicast(order::causal);
  c.reads = reads::linearizable;
  CHECK(said(c) == "reads = \"local\"");
  CHECK(said(c.with(replication::active)) == "orders = [\"causal\", \"total\"], default_order = \"total\"");
  c = contract{}.with(failure_model::byzantine).with(reads::lease);
  CHECK(said(c, {.members = 3}) == "model = \"crash\"");
  CHECK(said(c, {.members = 4, .member_keys = true}) == "reads = \"linearizable\", links = \"authenticated\"");
  CHECK(said(contract{}.with(durability::in_memory).with(&contract::witnesses, 1u)) == "witnesses = 0");
  CHECK(said(contract{}.with(&contract::heartbeat, 100ms)) == "heartbeat = \"75 ms\"");
  CHECK(said(contract{}.with(&contract::fail_after, 100ms)) == "fail_after = \"600 ms\"");
  CHECK(said(contract{}, {.members = 2}) == "single = true");
  CHECK(said(contract{}, {.members = 0}) == "none");
  CHECK(said(contract{}, {.founding_guarded = false}, {.stable_storage = false}) == "none");
  CHECK(said(contract{}.with(partition_policy::partitionable)) == "");
  CHECK(said(contract{}.with(&contract::partitions, partition_policy::partitionable)) == "one_history = false");
}

TEST_SUITE_END();
