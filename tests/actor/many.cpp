// Many groups on three nodes: quiet ones cost nothing, and are there when something happens.
#include "cluster.hpp"

#include "actors/schedule.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <ctime>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

TEST_SUITE("many") {
  TEST_CASE("a pass looks at groups that were touched or are due, each once") {
    detail::schedule s;
    s.resize(100);
    std::vector<std::uint32_t> seen;
    const auto run = [&] {
      seen.clear();
      s.run([&](std::uint32_t g) { seen.push_back(g); });
      return seen;
    };
    CHECK(run().empty());
    CHECK(s.next() == protocol::never);
    s.touch(7);
    s.touch(3);
    s.touch(7);
    CHECK(run() == std::vector<std::uint32_t>{7, 3});
    CHECK(run().empty());
    s.run([&](std::uint32_t) {});
    s.touch(5);
    s.run([&](std::uint32_t g) { s.touch(g); });  // its own doing
    CHECK(run().empty());
    for (std::uint32_t g = 0; g < 100; ++g) s.set(g, protocol::instant(1000 - g * 7 % 100));
    s.set(50, protocol::never);
    s.set(51, protocol::instant(1));
    s.set(52, protocol::instant(5000));
    s.set(52, protocol::instant(2));
    CHECK(s.next() == protocol::instant(1));
    s.touch_due(protocol::instant(2));
    CHECK(run() == std::vector<std::uint32_t>{51, 52});
    auto last = protocol::instant(0);
    std::size_t left = 0;
    while (s.next() != protocol::never) {
      CHECK(s.next() >= last);
      last = s.next();
      s.touch_due(last);
      left += run().size();
    }
    CHECK(left == 97);
  }

  TEST_CASE("groups rest together, serve when asked, and elect when their leader's node is gone") {
    constexpr int count = 100;
    contract how;
    how.durability = durability::in_memory;
    cluster c(3, how);
    c.groups = count;
    c.start_all();
    REQUIRE(eventually([&] { return c.all_groups_serve(); }, 30s));

    SUBCASE("quiet groups have no traffic of their own") {
      // Frames that a node's groups would send: 100 groups, 20 heartbeats a second, 2 followers, and their answers.
      std::uint64_t quietest = ~std::uint64_t(0);
      REQUIRE(eventually([&] {
        const auto before = c.passes(0);
        std::this_thread::sleep_for(500ms);
        quietest = std::min(quietest, c.passes(0) - before);
        return quietest <= 20;
      }, 20s));
      for (int i = 0; i < 3; ++i)
        for (int g = 0; g < count; g += 7) CHECK(c.submit_to(i, g, "x") == outcome::replied);
    }

    SUBCASE("a node dies without a word to anybody") {
      std::this_thread::sleep_for(1s);  // all rest
      int leads = 0;
      std::vector<std::string> leaders;
      for (int g = 0; g < count; ++g) leaders.push_back(c.at(0).status(c.group(g)).leader);
      leads = static_cast<int>(std::ranges::count(leaders, "n1"));
      const int victim = leads > 0 ? 0 : leaders.front() == "n2" ? 1 : 2;
      const auto name = "n" + std::to_string(victim + 1);
      c.kill(victim);
      const auto begin = std::chrono::steady_clock::now();
      REQUIRE(eventually([&] {
        for (int g = 0; g < count; ++g)
          for (int i = 0; i < 3; ++i) {
            if (i == victim) continue;
            const auto s = c.at(i).status(c.group(g));
            if (!s.primary || s.leader == name) return false;
          }
        return true;
      }, 10s));
      const auto taken = std::chrono::steady_clock::now() - begin;
      MESSAGE("all have another leader after " << taken / 1ms << " ms");
      for (int g = 0; g < count; ++g)
        for (int i = 0; i < 3; ++i)
          if (i != victim) CHECK(c.submit_to(i, g, "after") == outcome::replied);
      c.start(victim);
      CHECK(eventually([&] { return c.all_groups_serve(); }, 30s));
    }
  }
}
