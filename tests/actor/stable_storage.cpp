// A node's stable storage, as an application has it.
#include "cluster.hpp"

#include <cohort/stable_storage.hpp>

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::test;

TEST_SUITE("stable storage") {
  TEST_CASE("it is the node's, survives its restart, and goes with it") {
    contract how;
    how.durability = durability::in_memory;
    cluster c{1, how};
    c.start(0);
    const auto mirror = c.at(0).config().data / "mirror";
    {
      auto& n = c.at(0);
      auto s = stable_storage_of(n, {.mirror = mirror});
      CHECK(s == stable_storage_of(n));
      CHECK(s->stats().copies == 2);
      CHECK(s->commit(stable_batch().put("a", "k", "v").append("a", "log", "one")));
    }
    CHECK(std::filesystem::exists(mirror / "stable.mdb"));
    c.at(0).stop();
    CHECK_THROWS_AS(stable_storage_of(c.at(0)), node_error);
    c.stop(0);
    c.start(0);
    auto s = stable_storage_of(c.at(0), {.mirror = mirror});
    CHECK(s->get("a", "k") == "v");
    CHECK(s->commit(stable_batch().append("a", "log", "two")));
    CHECK(s->log_range("a", "log").last == 2);
    s = nullptr;
    c.stop(0);
  }
}
