// Partitionable groups on real nodes: large messages, and what a restart of all brings back.
#include "tests/actor/cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

contract going_on_apart() {
  auto how = contract::replicated()
                 .with(durability::in_memory)
                 .with(partition_policy::partitionable, merge_policy::largest_component)
                 .with(&contract::fail_after, std::chrono::milliseconds(1000));
  how.message_bytes_max = 8u << 20;
  how.queue_bytes = 32u << 20;
  how.outcome_bound = 20s;
  return how;
}

bool are_one(cluster& c, std::size_t members = 3) {
  for (int i = 0; i < 3; ++i) {
    if (!c.running(i)) continue;
    const auto s = c.at(i).status("room");
    if (s.members.size() != members || s.transferring || s.view != c.at(0).status("room").view) return false;
  }
  return true;
}

}  // namespace

TEST_SUITE("partitionable") {
  TEST_CASE("journaled: when all are killed and start again, the history is there, and goes on") {
    auto how = going_on_apart().with(durability::journaled);
    how.checkpoint_bytes = 256u << 10;  // some checkpoints, and messages behind them
    cluster c(3, how);
    c.start_all();
    REQUIRE(eventually([&] { return are_one(c); }));
    std::vector<std::string> said;
    for (int i = 0; i < 60; ++i) {
      said.push_back(std::to_string(i) + std::string(10'000, 'x'));
      REQUIRE(c.submit(i % 3, said.back()) == outcome::replied);
    }
    for (int life = 0; life < 2; ++life) {
      for (int i = 0; i < 3; ++i) c.kill(i);
      c.start_all();
      REQUIRE(eventually([&] { return are_one(c); }));
      for (int i = 0; i < 3; ++i) REQUIRE(eventually([&, i] { return c.messages(i) == said; }));
      said.push_back("after restart " + std::to_string(life));
      REQUIRE(c.submit(0, said.back()) == outcome::replied);
    }
    for (int i = 0; i < 3; ++i) CHECK(eventually([&, i] { return c.messages(i) == said; }));
  }

  TEST_CASE("journaled: one side goes on while the other is down, and all have the same when it is back") {
    cluster c(3, going_on_apart().with(durability::journaled));
    c.start_all();
    REQUIRE(eventually([&] { return are_one(c); }));
    REQUIRE(c.submit(0, "of all") == outcome::replied);
    c.kill(2);
    REQUIRE(eventually([&] { return are_one(c, 2); }));
    REQUIRE(c.submit(0, "of two") == outcome::replied);
    for (int i = 0; i < 2; ++i) c.kill(i);
    c.start(2);  // alone it knows what it knew
    REQUIRE(eventually([&] { return c.messages(2) == std::vector<std::string>{"of all"}; }));
    c.kill(2);
    for (int i = 0; i < 2; ++i) c.start(i);
    const std::vector<std::string> both{"of all", "of two"};
    REQUIRE(eventually([&] { return are_one(c, 2) && c.messages(0) == both && c.messages(1) == both; }));
    c.start(2);  // the larger side's state is everybody's
    REQUIRE(eventually([&] { return are_one(c); }));
    for (int i = 0; i < 3; ++i) CHECK(eventually([&, i] { return c.messages(i) == both; }));
  }

  TEST_CASE("rules change while the group works, hold over restarts, and what has no effect is refused") {
    auto how = going_on_apart().with(durability::journaled);
    how.message_bytes_max = 64u << 10;
    cluster c(3, how);
    c.start_all();
    REQUIRE(eventually([&] { return are_one(c); }));
    REQUIRE(c.submit(0, "before") == outcome::replied);
    CHECK(c.submit(1, std::string(100u << 10, 'x')) == outcome::too_large);
    const auto change = [&](int at, const contract& to) {
      auto done = c.at(at).change("room", to);
      REQUIRE(done.wait_for(40s) == std::future_status::ready);
      return done.get();
    };
    const auto wanted = c.at(0).rules("room").with(&contract::heartbeat, std::chrono::milliseconds(40))
                            .with(&contract::fail_after, std::chrono::milliseconds(1200))
                            .with(&contract::lane_window, std::size_t{4} << 20)
                            .with(&contract::message_bytes_max, std::size_t{256} << 10);
    const auto changed = change(2, wanted);
    REQUIRE_MESSAGE(changed.done, changed.why);
    for (int i = 0; i < 3; ++i) CHECK(eventually([&] { return c.at(i).rules("room") == wanted; }));
    CHECK(eventually([&] { return c.submit(1, std::string(100u << 10, 'x')) == outcome::replied; }));
    const auto refused = change(1, wanted.with(&contract::suspect_at, 6000u));
    CHECK_FALSE(refused.done);
    CHECK_MESSAGE(refused.why.find("no effect") != std::string::npos, refused.why);
    for (int i = 0; i < 3; ++i) c.kill(i);
    c.start_all();  // by the configuration from before
    REQUIRE(eventually([&] { return are_one(c); }));
    for (int i = 0; i < 3; ++i) CHECK(eventually([&] { return c.at(i).rules("room") == wanted; }));
    CHECK(eventually([&] { return c.submit(2, "after") == outcome::replied; }));
    for (int i = 0; i < 3; ++i) CHECK(eventually([&] { return c.messages(i).size() == 3; }));
  }

  TEST_CASE("a large message arrives whole everywhere, and small ones need not wait for it") {
    cluster c(3, going_on_apart());
    c.start_all();
    REQUIRE(eventually([&] { return are_one(c); }));
    std::string large(6u << 20, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 2654435761u >> 21);
    auto bulk = c.at(1).port("room");
    bulk.submit(std::as_bytes(std::span(large)), 1);
    bulk.flush();
    CHECK(c.submit(1, "small") == outcome::replied);
    for (int i = 0; i < 3; ++i) REQUIRE(eventually([&, i] { return c.messages(i).size() == 2; }, 30s));
    const auto all = c.messages(0);
    CHECK(std::ranges::count(all, large) == 1);
    CHECK(std::ranges::count(all, "small") == 1);
    for (int i = 1; i < 3; ++i) CHECK(c.messages(i) == all);
  }
}
