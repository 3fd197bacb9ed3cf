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
