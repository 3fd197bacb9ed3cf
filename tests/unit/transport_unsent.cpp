#include "transport/unsent_bound.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace cohort::transport;
using namespace std::chrono_literals;

namespace {

/// A link that the kernel takes `rate` bytes a second from for `time`, 100 us a turn. How often the bound changed.
int send(unsent_bound& bound, instant& now, double rate, instant time) {
  int changes = 0;
  for (const auto end = now + time; now < end;) {
    now += 100us;
    changes += bound.written(now, static_cast<std::size_t>(rate * 1e-4));
  }
  return changes;
}

}  // namespace

TEST_SUITE_BEGIN("unsent");

TEST_CASE("the kernel may hold what the link sends in the given time") {
  for (const double rate : {1e6, 12.5e6, 125e6, 1.25e9, 2.5e9, 20e9}) {
    CAPTURE(rate);
    const unsent_limits limits;
    unsent_bound bound(limits);
    instant now = 1h;
    send(bound, now, rate, 30ms);
    const auto in_time = static_cast<std::size_t>(rate * 2e-3);
    CHECK(bound.bytes() <= std::max(in_time, limits.least));
    CHECK(bound.bytes() >= std::min(std::max(in_time / 2, limits.least), limits.most));
    CHECK(bound.bytes() <= limits.most);
  }
}

TEST_CASE("a line that becomes slow has little in the kernel within two measurements, an idle one with its first bytes") {
  const unsent_limits limits;
  unsent_bound bound(limits);
  instant now = 1h;
  send(bound, now, 2e9, 30ms);
  REQUIRE(bound.bytes() > limits.least);
  send(bound, now, 1e6, 20ms);
  CHECK(bound.bytes() == limits.least);
  send(bound, now, 2e9, 30ms);
  REQUIRE(bound.bytes() > limits.least);
  now += 1min;
  CHECK(bound.written(now, 1u << 20));
  CHECK(bound.bytes() == limits.least);
}

TEST_CASE("a rate that wavers by a third does not change the bound") {
  unsent_bound bound(unsent_limits{});
  instant now = 1h;
  send(bound, now, 0.7e9, 30ms);
  const auto before = bound.bytes();
  for (int i = 0; i < 20; ++i) CHECK(send(bound, now, i % 2 == 0 ? 0.9e9 : 0.7e9, 20ms) == 0);
  CHECK(bound.bytes() == before);
}

TEST_SUITE_END();
