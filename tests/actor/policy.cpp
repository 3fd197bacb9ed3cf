#include "actors/restart_policy.hpp"

#include <doctest/doctest.h>

using cohort::restart_limits;
using cohort::restart_policy;
using namespace std::chrono_literals;

TEST_SUITE("policy") {
  TEST_CASE("restart policy: delays double, with jitter, up to the longest") {
    restart_limits limits{.first_delay = 100ms, .longest_delay = 1s, .failures_max = 10, .window = 60s};
    restart_policy policy(limits, 7);
    auto highest = 100ms;
    for (int i = 0; i < 10; ++i) {
      auto delay = policy.failed(std::chrono::milliseconds(i));
      REQUIRE(delay);
      CHECK(*delay >= highest / 2);
      CHECK(*delay <= highest);
      highest = std::min<std::chrono::milliseconds>(highest * 2, 1000ms);
    }
  }

  TEST_CASE("restart policy: members which failed together do not come back in the same instant") {
    restart_limits limits{.first_delay = 100ms};
    restart_policy one(limits, 1), other(limits, 2);
    CHECK(*one.failed(0s) != *other.failed(0s));
  }

  TEST_CASE("restart policy: one failure too many within the window gives up") {
    restart_limits limits{.failures_max = 3, .window = 10s};
    restart_policy policy(limits, 1);
    CHECK(policy.failed(1s));
    CHECK(policy.failed(2s));
    CHECK(policy.failed(3s));
    CHECK_FALSE(policy.failed(4s));
  }

  TEST_CASE("restart policy: the window slides, and a quiet one resets the delay") {
    restart_limits limits{.first_delay = 100ms, .failures_max = 2, .window = 10s};
    restart_policy policy(limits, 1);
    CHECK(policy.failed(0s));
    CHECK(policy.failed(9s));
    CHECK(policy.failed(10500ms));  // the first has left the window
    CHECK(policy.failures_in_window() == 2);
    CHECK_FALSE(policy.failed(11s));
    auto delay = policy.failed(60s);
    REQUIRE(delay);
    CHECK(*delay <= 100ms);
  }
}
