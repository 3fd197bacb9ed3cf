// Directed tests of timers of the replicated state (rule C12).
#include "tests/trace/directed.hpp"

#include <algorithm>
#include <utility>

using namespace cohort;
using namespace cohort::trace;

namespace {

/// The times told since the last look.
std::vector<deliver_time> told(stage& s, unsigned i) { return std::exchange(s.members[i].times, {}); }

stage idle(core_options o) {
  auto s = stage::founded(3, o);
  s.go(1s);
  for (unsigned i = 0; i < 3; ++i) told(s, i);
  return s;
}

/// Due in 200 ms: told to all by one entry, not before, and within a few steps of the stage (10 ms).
bool expires_everywhere() {
  for (const auto& o : {durable(), in_memory()}) {
    auto s = idle(o);
    const auto due = s.wall(0) + 200ms;
    s.want_time(due);
    s.go(190ms);
    for (unsigned i = 0; i < 3; ++i)
      if (!told(s, i).empty()) return false;
    s.go(200ms);
    const auto at = told(s, 0);
    if (at.size() != 1 || at[0].time < due || at[0].time > due + 20ms) return false;
    for (unsigned i = 1; i < 3; ++i) {
      const auto there = told(s, i);
      if (there.size() != 1 || there[0].time != at[0].time || there[0].index != at[0].index) return false;
    }
  }
  return true;
}

/// A follower's clock runs ahead; what it is told is the leader's time.
bool one_time_for_all() {
  auto s = idle(durable());
  const auto a = static_cast<unsigned>(s.leader());
  s.members[(a + 1) % 3].clock_error = 100ms;
  s.want_time(s.wall(a) + 50ms);
  s.go(400ms);
  const auto here = told(s, a), there = told(s, (a + 1) % 3);
  return here.size() == 1 && there.size() == 1 && here[0].time == there[0].time;
}

}  // namespace

TEST_SUITE("timers") {
  TEST_CASE("C12: a timer that is due expires everywhere although nothing is sent") {
    falls_with(mutation::timers_wait_for_messages, expires_everywhere);
  }

  TEST_CASE("C12: a timer expires by agreed time") { falls_with(mutation::timers_by_own_clock, one_time_for_all); }

  TEST_CASE("C12: the leader asks for a turn when the timer is due, others do not") {
    auto s = idle(in_memory());
    const auto a = static_cast<unsigned>(s.leader());
    s.go(10ms);
    s.want_time(s.wall(a) + 3ms);
    CHECK(s.members[a].core->next_deadline() <= s.now + 3ms);
    s.want_time(s.wall(a) + 24h);
    CHECK(s.members[a].core->next_deadline() <= s.now + s.options.heartbeat);  // heartbeats: this stage has no pulses
    s.want_time(wall_time::max());
    CHECK(s.members[a].core->next_deadline() > s.now);
  }

  TEST_CASE("C12: nothing is appended while no timer is pending, and one entry for each that is due") {
    auto s = idle(durable());
    const auto a = static_cast<unsigned>(s.leader());
    const auto last = s.status(a).last;
    s.go(3s);
    CHECK(s.status(a).last == last);
    s.want_time(s.wall(a) + 100ms);
    s.go(3s);  // the replica does not look at its timer: it is not told again and again
    CHECK(s.status(a).last == last + 1);
    s.want_time(s.wall(a) + 1h);
    s.go(3s);
    CHECK(s.status(a).last == last + 1);
    s.want_time(wall_time::max());
    s.go(1s);
    CHECK(s.status(a).last == last + 1);
  }

  TEST_CASE("C12: a message that is as late carries the time by itself") {
    auto s = idle(durable());
    const auto a = static_cast<unsigned>(s.leader());
    s.want_time(s.wall(a) + 50ms);
    s.go(40ms);
    const auto last = s.status(a).last;
    s.now += 20ms;
    s.submit(a, "x");
    s.settle();
    s.go(500ms);
    CHECK(s.status(a).last == last + 1);
    CHECK(told(s, a).empty());
  }

  TEST_CASE("C12: whoever leads when the timer is due has it expire") {
    auto s = idle(durable());
    const auto a = static_cast<unsigned>(s.leader());
    s.want_time(s.wall(a) + 400ms);
    s.crash(a);
    s.go(3s);
    REQUIRE(s.leader() >= 0);
    REQUIRE(s.leader() != static_cast<int>(a));
    for (unsigned i = 0; i < 3; ++i) {
      if (i == a) continue;
      const auto times = told(s, i);
      CHECK(std::ranges::any_of(times, [&](const auto& t) { return t.time >= s.wall(i) - 2600ms; }));
    }
  }

  TEST_CASE("C12: a leader without a quorum appends one entry at most") {
    auto s = idle(durable());
    const auto a = static_cast<unsigned>(s.leader());
    const auto last = s.status(a).last;
    s.isolate(a);
    s.want_time(s.wall(a) + 50ms);
    s.go(3s, true);
    CHECK(s.status(a).last <= last + 1);
  }
}
