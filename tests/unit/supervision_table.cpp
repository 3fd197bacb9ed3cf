// Supervisors as OTP's are tested: strategy x child's death x time, with the order of stops and starts that must follow.
#include "supervision_stage.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::test;

namespace {

constexpr auto one = restart_strategy::one_for_one, all = restart_strategy::one_for_all, rest = restart_strategy::rest_for_one,
               dyn = restart_strategy::dynamic;
constexpr auto perm = restart_type::permanent, trans = restart_type::transient, temp = restart_type::temporary;

/// When the child dies.
enum class timing { up, starting, first_start, back_off_of_another, sibling_stopping };

struct row {
  restart_strategy strategy;
  timing when;
  child_id who;
  restart_type type;  ///< of all three
  death how;
  const char* expected;  ///< from the death on, until nothing happens any more
};

supervisor_options with(restart_strategy strategy, unsigned failures_max = 5) {
  return {strategy, {.first_delay = 100ms, .failures_max = failures_max, .window = 60s}, 10s};
}

std::string run(const row& r) {
  supervision_stage s(with(r.strategy));
  std::vector<child_rules> three(3, {r.type, 5s, 5s});
  switch (r.when) {
    case timing::up:
      s.begin(three);
      s.did();
      s.dies(r.who, r.how);
      break;
    case timing::first_start:  // while it is started first, the others behind it
      s.slow_to_start = {r.who};
      s.begin(three);
      s.slow_to_start.clear();
      s.did();
      s.dies(r.who, r.how);
      break;
    case timing::starting:  // in its second life
      s.begin(three);
      s.slow_to_start = {r.who};
      s.dies(r.who, death::failed);
      s.passes(1s);
      s.slow_to_start.clear();
      s.did();
      s.dies(r.who, r.how);
      break;
    case timing::back_off_of_another:  // another has failed and is not started yet
      s.begin(three);
      s.dies(r.who == 2 ? 1 : 2, death::failed);
      s.passes(20ms);
      s.did();
      if (s.living.contains(r.who)) s.dies(r.who, r.how);
      break;
    case timing::sibling_stopping:  // b has failed, c takes its time to stop, and dies of something else
      s.deaf = {3};
      s.begin(three);
      s.dies(2, death::failed);
      s.did();
      if (s.living.contains(r.who)) s.dies(r.who, r.how);
      break;
  }
  s.passes(4s);
  return s.did();
}

}  // namespace

TEST_SUITE("supervision: table") {
  TEST_CASE("strategy x death x time: stops and starts in their order") {
    const row table[] = {
      // a failure of a child that is up
      {one, timing::up, 1, perm, death::failed, "+a"},
      {one, timing::up, 2, perm, death::failed, "+b"},
      {one, timing::up, 2, trans, death::failed, "+b"},
      {one, timing::up, 2, temp, death::failed, ""},
      {all, timing::up, 1, perm, death::failed, "-c -b +a +b +c"},
      {all, timing::up, 2, perm, death::failed, "-c -a +a +b +c"},
      {all, timing::up, 3, perm, death::failed, "-b -a +a +b +c"},
      {all, timing::up, 2, trans, death::failed, "-c -a +a +b +c"},
      {all, timing::up, 2, temp, death::failed, ""},
      {rest, timing::up, 1, perm, death::failed, "-c -b +a +b +c"},
      {rest, timing::up, 2, perm, death::failed, "-c +b +c"},
      {rest, timing::up, 3, perm, death::failed, "+c"},
      {rest, timing::up, 2, trans, death::failed, "-c +b +c"},
      {rest, timing::up, 2, temp, death::failed, ""},
      {dyn, timing::up, 2, perm, death::failed, "+b"},
      {dyn, timing::up, 2, temp, death::failed, ""},
      // a normal end, and one that was asked for behind the supervisor's back
      {one, timing::up, 2, perm, death::normal, "+b"},
      {one, timing::up, 2, trans, death::normal, ""},
      {one, timing::up, 2, trans, death::shutdown, ""},
      {one, timing::up, 2, perm, death::shutdown, "+b"},
      {one, timing::up, 2, temp, death::normal, ""},
      {all, timing::up, 2, perm, death::normal, "-c -a +a +b +c"},
      {all, timing::up, 2, trans, death::normal, ""},
      {rest, timing::up, 2, trans, death::normal, ""},
      {rest, timing::up, 2, perm, death::shutdown, "-c +b +c"},
      // a child that dies while it is started for the first time: those behind it have waited
      {one, timing::first_start, 1, perm, death::failed, "+a +b +c up"},
      {one, timing::first_start, 2, perm, death::failed, "+b +c up"},
      {one, timing::first_start, 3, perm, death::failed, "+c up"},
      {one, timing::first_start, 2, temp, death::failed, "+c up"},
      {one, timing::first_start, 2, trans, death::normal, "+c up"},
      {all, timing::first_start, 2, perm, death::failed, "-a +a +b +c up"},
      {rest, timing::first_start, 2, perm, death::failed, "+b +c up"},
      {dyn, timing::first_start, 2, perm, death::failed, "+b up"},
      // ... and in a later life
      {one, timing::starting, 2, perm, death::failed, "+b"},
      {one, timing::starting, 2, trans, death::normal, ""},
      {all, timing::starting, 2, perm, death::failed, "-a +a +b +c"},
      {all, timing::starting, 1, perm, death::failed, "+a +b +c"},
      {rest, timing::starting, 2, perm, death::failed, "+b +c"},
      {dyn, timing::starting, 2, perm, death::failed, "+b"},
      // while another waits for its back-off (with one_for_all all wait then: nobody is left to die)
      {one, timing::back_off_of_another, 1, perm, death::failed, "+b +a"},
      {one, timing::back_off_of_another, 3, perm, death::failed, "+b +c"},
      {all, timing::back_off_of_another, 1, perm, death::failed, "+a +b +c"},
      {rest, timing::back_off_of_another, 1, perm, death::failed, "+a +b +c"},
      {rest, timing::back_off_of_another, 3, perm, death::failed, "+b +c"},
      {dyn, timing::back_off_of_another, 1, perm, death::failed, "+b +a"},
      // while it is being stopped because of a sibling: no failure of its own
      {all, timing::sibling_stopping, 3, perm, death::failed, "-a +a +b +c"},
      {all, timing::sibling_stopping, 1, perm, death::failed, "!c +a +b +c"},
      {rest, timing::sibling_stopping, 3, perm, death::failed, "+b +c"},
      {rest, timing::sibling_stopping, 3, perm, death::shutdown, "+b +c"},
      {rest, timing::sibling_stopping, 1, perm, death::failed, "!c +a +b +c"},
      {one, timing::sibling_stopping, 3, perm, death::failed, "+b +c"},
    };
    for (auto& r : table) {
      CAPTURE(to_string(r.strategy));
      CAPTURE(to_string(r.type));
      CAPTURE(static_cast<int>(r.when));
      CAPTURE(r.who);
      CAPTURE(static_cast<int>(r.how));
      auto did = run(r);
      if (r.when == timing::sibling_stopping && r.who == 1) {  // c is deaf: its stop limit ends the wait only after 5 s
        supervision_stage s(with(r.strategy));
        s.deaf = {3};
        s.begin(std::vector<child_rules>(3));
        s.dies(2);
        s.did();
        s.dies(1, r.how);
        s.passes(6s);
        did = s.did();
      }
      CHECK(did == std::string(r.expected));
    }
  }

  TEST_CASE("children start in their order, each when the one before is up, and stop in the reverse order") {
    for (auto strategy : {one, all, rest}) {
      supervision_stage s(with(strategy));
      s.slow_to_start = {1, 2};
      s.begin(std::vector<child_rules>(3));
      CHECK(s.did() == "+a");
      s.is_up(1);
      CHECK(s.did() == "+b");
      s.is_up(2);
      CHECK(s.did() == "+c up");
      s.deaf = {2};
      s.it.stop(s.now);
      s.settle();
      CHECK(s.did() == "-c -b");
      s.passes(4900ms);
      CHECK(s.did() == "");
      s.passes(200ms);
      CHECK(s.did() == "!b -a .");
      CHECK(s.said(report::stop_late) == 1);
    }
  }

  TEST_CASE("dynamic children start and stop all at once") {
    supervision_stage s(with(dyn));
    s.slow_to_start = {1, 2, 3};
    s.begin(std::vector<child_rules>(2));
    CHECK(s.did() == "+a +b");
    s.it.add(s.now, {});
    s.settle();
    CHECK(s.did() == "+c");
    s.deaf = {1, 2, 3};
    s.it.stop(s.now);
    s.settle();
    CHECK(s.did() == "-c -b -a");
    s.passes(5s);
    CHECK(s.did() == "!a !b !c .");
  }

  TEST_CASE("a stop limit of 0 kills at once") {
    supervision_stage s(with(one));
    s.begin({{perm, 5s, 0s}});
    s.did();
    s.it.stop(s.now);
    s.settle();
    CHECK(s.did() == "!a .");
  }

  TEST_CASE("a start that takes too long is a failure like any other") {
    supervision_stage s(with(rest));
    s.slow_to_start = {2};
    s.begin({{perm, 5s, 5s}, {perm, 2s, 5s}, {}});
    CHECK(s.did() == "+a +b");
    s.passes(1900ms);
    CHECK(s.did() == "");
    s.slow_to_start.clear();
    s.passes(1s);
    CHECK(s.did() == "!b +b +c up");
    CHECK(s.said(report::start_late) == 1);
    CHECK(s.said(report::restarts) == 1);
  }

  TEST_CASE("a child that dies at each start is tried until the limit, then the supervisor gives up, last first") {
    supervision_stage s(with(one, 3));
    s.dies_starting = {2};
    s.begin(std::vector<child_rules>(3));
    s.passes(60s);
    CHECK(s.did() == "+a +b +b +b +b -a ^b");
    CHECK(s.ended);
    CHECK(s.said(report::one_too_many) == 1);
    s.it.add(s.now, {});
    s.it.tick(s.now + 1h);
    CHECK(s.it.outputs().empty());
  }

  TEST_CASE("intensity: failures of all children count, in a window that slides") {
    supervision_stage s({one, {.first_delay = 1ms, .failures_max = 2, .window = 10s}, 10s});
    s.begin(std::vector<child_rules>(2));
    for (int i = 0; i < 20; ++i) {  // never more than two within ten seconds
      s.dies(1 + i % 2);
      s.passes(5001ms);
      CHECK_FALSE(s.ended);
    }
    s.dies(1);
    s.passes(2s);
    s.dies(2);
    CHECK(s.ended);
    CHECK(s.did().ends_with("-a ^b"));
  }

  TEST_CASE("intensity 0: the first failure escalates") {
    supervision_stage s(with(one, 0));
    s.begin(std::vector<child_rules>(2));
    s.did();
    s.dies(1);
    CHECK(s.did() == "-b ^a");
  }

  TEST_CASE("ends that the supervisor asked for do not count") {
    supervision_stage s(with(all, 1));
    s.deaf = {1, 2};
    s.begin(std::vector<child_rules>(4, {perm, 5s, 1s}));
    s.did();
    s.dies(4);
    s.passes(10s);
    CHECK(s.did() == "-c -b !b -a !a +a +b +c +d");
    CHECK_FALSE(s.ended);
  }

  TEST_CASE("back-off: immediate ones first, then doubling with jitter up to the longest, reset by quiet") {
    std::uint64_t drawn = 0;
    restart_limits limits{.first_delay = 100ms, .longest_delay = 1s, .failures_max = 100, .window = 60s, .at_once = 2};
    supervision_stage s({one, limits, 10s}, [&] { return drawn; });
    s.begin({{}});
    std::vector<instant> delays;
    for (int i = 0; i < 8; ++i) {
      s.dies(1);
      delays.push_back(std::find_if(s.reports.rbegin(), s.reports.rend(), [](auto& r) {
                         return r.what == report::restarts;
                       })->delay);
      s.passes(2s);
    }
    CHECK(delays == std::vector<instant>{0ms, 0ms, 100ms, 200ms, 400ms, 800ms, 1s, 1s});
    s.passes(61s);
    s.dies(1);
    CHECK(s.it.next_deadline() > s.now + 1s);  // started already: its start limit is next, or nothing
    for (drawn = 1; drawn < 1'000'000'000'000; drawn = drawn * 7 + 3) {
      const auto delay = restart_delay(limits, 4, [&] { return drawn; });
      CHECK(delay >= 100ms);
      CHECK(delay <= 200ms);
    }
    CHECK(restart_delay(limits, 4, [] { return 5u; }) != restart_delay(limits, 4, [] { return 6u; }));
  }

  TEST_CASE("children are added and removed while it runs") {
    supervision_stage s(with(rest));
    s.begin(std::vector<child_rules>(2));
    s.did();
    s.slow_to_start = {3};
    CHECK(s.it.add(s.now, {}) == 3);
    CHECK(s.it.add(s.now, {}) == 4);
    s.settle();
    CHECK(s.did() == "+c +d");  // at once, each
    s.is_up(3);
    s.slow_to_start.clear();
    s.it.remove(s.now, 4);
    s.settle();
    CHECK(s.did() == "-d");
    s.it.remove(s.now, 2);
    s.settle();
    CHECK(s.did() == "-b");
    CHECK_FALSE(s.it.knows(2));
    s.dies(1);
    s.passes(1s);
    CHECK(s.did() == "-c +a +c");
    s.dies(3);
    s.it.remove(s.now, 3);  // waits for its back-off
    s.passes(10s);
    CHECK(s.did() == "");
    s.it.remove(s.now, 3);
    CHECK(s.it.size() == 1);
  }

  TEST_CASE("a transient child whose end was final starts again when it is asked to, or with its group") {
    supervision_stage s(with(all));
    s.begin({{perm, 5s, 5s}, {trans, 5s, 5s}});
    s.did();
    s.dies(2, death::normal);
    s.passes(10s);
    CHECK(s.did() == "");
    CHECK(s.it.start_again(s.now, 2));
    CHECK_FALSE(s.it.start_again(s.now, 2));
    s.settle();
    CHECK(s.did() == "+b");
    s.dies(2, death::normal);
    s.dies(1);
    s.passes(10s);
    CHECK(s.did() == "+a +b");
  }

  TEST_CASE("a temporary child is forgotten, also when its siblings take it down") {
    supervision_stage s(with(all));
    s.begin({{perm, 5s, 5s}, {temp, 5s, 5s}, {perm, 5s, 5s}});
    s.did();
    s.dies(1);
    s.passes(10s);
    CHECK(s.did() == "-c -b +a +c");
    CHECK(s.it.size() == 2);
  }

  TEST_CASE("what is said of an older life changes nothing") {
    supervision_stage s(with(one));
    s.begin({{}});
    s.dies(1);
    s.passes(1s);
    s.did();
    s.it.ended(s.now, 1, 1, death::failed);
    s.it.started(s.now, 1, 1);
    s.it.ended(s.now, 7, 1, death::failed);
    s.passes(10s);
    CHECK(s.did() == "");
    CHECK(s.said(report::restarts) == 1);
  }

  TEST_CASE("a child that outlives its kill is never replaced") {
    supervision_stage s(with(rest));
    s.begin(std::vector<child_rules>(3, {perm, 5s, 1s}));
    s.did();
    s.immortal = {3};
    s.dies(2);
    s.passes(30s);
    CHECK(s.did() == "-c !c -a ^c");
    CHECK(s.said(report::is_stuck) == 1);
  }

  TEST_CASE("a stop goes on past a child that outlives its kill") {
    supervision_stage s(with(one));
    s.begin(std::vector<child_rules>(3, {perm, 5s, 1s}));
    s.did();
    s.immortal = {2};
    s.it.stop(s.now);
    s.settle();
    s.passes(30s);
    CHECK(s.did() == "-c -b !b -a .");
  }

  TEST_CASE("a stop during back-off, start and group restart starts nothing more") {
    for (auto strategy : {one, all, rest, dyn}) {
      supervision_stage s(with(strategy));
      s.begin(std::vector<child_rules>(3));
      s.dies(2);
      s.did();
      s.it.stop(s.now);
      s.settle();
      s.passes(60s);
      CHECK(s.did().find('+') == std::string::npos);
      CHECK(s.ended);
      CHECK(s.living.empty());
    }
  }

  TEST_CASE("nobody to supervise: up at once, and gone at once") {
    supervision_stage s(with(one));
    s.begin({});
    CHECK(s.did() == "up");
    s.it.stop(s.now);
    s.settle();
    CHECK(s.did() == ".");
  }
}
