// A running group goes to its disks and leaves them (X3), whatever its configurations say.
#include "tests/actor/cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

void move(cluster& c, int at, durability to) {
  auto asked = c.at(at).change("room", c.at(at).rules("room").with(to), true);
  REQUIRE(asked.wait_for(40s) == std::future_status::ready);
  const auto r = asked.get();
  REQUIRE_MESSAGE(r.done, r.why);
}

void kill_all(cluster& c) {
  for (int i = 0; i < 3; ++i) c.kill(i);
}

bool all_hold(cluster& c, const std::string& text) {
  return eventually([&] {
    for (int i = 0; i < 3; ++i)
      if (std::ranges::count(c.messages(i), text) != 1) return false;
    return true;
  });
}

bool all_vote(cluster& c) {
  return eventually([&] {
    return c.all_serve() &&
           std::ranges::all_of(c.at(0).status("room").members, [](auto& m) { return m.active && m.voter; });
  });
}

}  // namespace

TEST_SUITE("moving groups") {
  TEST_CASE("X3: what was delivered in memory survives a restart of all once the group is journaled") {
    cluster c(3, contract{}.with(durability::in_memory));
    c.start_all();
    REQUIRE(all_vote(c));
    REQUIRE(c.insist(0, "in memory") == outcome::replied);
    move(c, 1, durability::journaled);
    kill_all(c);
    c.start_all();
    REQUIRE(all_vote(c));
    CHECK(all_hold(c, "in memory"));
    for (int i = 0; i < 3; ++i) CHECK(c.at(i).status("room").durability == "journaled");
    REQUIRE(c.insist(2, "on disk") == outcome::replied);
    CHECK(all_hold(c, "on disk"));
    kill_all(c);
    try {
      c.start(0, 2);
      FAIL("a new epoch was taken");
    } catch (const node_error& e) {
      CHECK(std::string(e.what()).find("epoch 2 would throw that away") != std::string::npos);
    }
    c.start_all();
    REQUIRE(all_vote(c));
    CHECK(all_hold(c, "on disk"));
  }

  TEST_CASE(
      "X3: who is restarted in a group that has left its disks joins it; a restart of all ends it, and a new epoch "
      "founds it anew") {
    cluster c(3, contract{}.with(durability::in_memory));
    c.start_all();
    REQUIRE(all_vote(c));
    move(c, 0, durability::journaled);
    REQUIRE(c.insist(1, "on disk") == outcome::replied);
    move(c, 2, durability::in_memory);
    CHECK(eventually([&] { return c.at(1).status("room").durability == "volatile"; }));
    REQUIRE(c.insist(1, "in memory") == outcome::replied);
    for (const int i : {2, 0}) {
      CHECK(eventually([&] { return c.at(i).status("room").durability == "volatile"; }));
      c.kill(i);
      c.start(i);
      REQUIRE(all_vote(c));
      CHECK(all_hold(c, "in memory"));
      CHECK(all_hold(c, "on disk"));
    }
    kill_all(c);
    c.start_all();
    CHECK(eventually([&] { return c.at(0).status("room").trouble.find("--new-epoch 2") != std::string::npos; }));
    kill_all(c);
    c.start_all(2);
    REQUIRE(all_vote(c));
    REQUIRE(c.insist(0, "anew") == outcome::replied);
    CHECK(all_hold(c, "anew"));
    CHECK(std::ranges::count(c.messages(0), "on disk") == 0);
  }
}
