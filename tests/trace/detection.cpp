// Directed tests of who is taken for dead, and who is not (V20 to V23).
#include "framework/protocol/detection_bounds.hpp"
#include "tests/trace/directed.hpp"

#include <algorithm>
#include <utility>

using namespace cohort;
using namespace cohort::trace;

namespace {

std::size_t count(const stage& s, unsigned i, event_kind kind) {
  return static_cast<std::size_t>(std::ranges::count(s.members[i].events, kind, &event::kind));
}

/// Why that member was last said to go, and when the view without it was in force: since `from`.
absence reason(const stage& s, unsigned leader, unsigned member) {
  auto why = absence::none;
  for (const auto& e : s.members[leader].events)
    if (e.kind == event_kind::member_silent && e.member == member_id(member)) why = e.why;
  return why;
}

bool active(const stage& s, unsigned at, unsigned member) {
  const auto* r = find(*s.inside(at).in_force, s.members[member].id);
  return r && r->active;
}

/// Lets time go on until `done`, losing what does not pass.
bool until(stage& s, duration limit, const std::function<bool()>& done,
           const std::function<bool(const flying&)>& passes = [](const flying&) { return true; }) {
  for (const instant end = s.now + limit; s.now < end && !done();) {
    s.now += 10ms;
    for (unsigned i = 0; i < s.members.size(); ++i)
      if (s.members[i].up) s.pass(i);
    for (int hops = 0; hops < 6; ++hops) s.deliver(passes);
    s.drop([&](const flying& f) { return !passes(f); });
  }
  return done();
}

/// That member's process stands still while the others go on; what is sent to it waits.
void freeze(stage& s, unsigned i, duration d) {
  for (const instant end = s.now + d; s.now < end;) {
    s.now += 10ms;
    for (unsigned k = 0; k < s.members.size(); ++k)
      if (k != i && s.members[k].up) s.pass(k);
    for (int hops = 0; hops < 6; ++hops) s.deliver([&](const flying& f) { return f.to != i; });
  }
}

}  // namespace

TEST_SUITE("detection") {
  TEST_CASE("V20: a machine that is gone without a word is given up soon after E_max, once the others do not hear it either") {
    for (const unsigned n : {3u, 5u}) {
      auto s = stage::founded(n, durable());
      s.go(8s);  // the rhythm is known
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % n;
      s.crash(c, false);
      const auto gone = s.now;
      CHECK(until(s, 5s, [&] { return !active(s, a, c); }));
      CHECK(s.now - gone >= 500ms);
      CHECK(s.now - gone <= bounds_of(s.options).calm);
      CHECK(reason(s, a, c) == absence::unheard);
      CHECK(s.inside(a).in_force->notes.front().cause == view_cause::failed);
    }
  }

  TEST_CASE("a closed connection is evidence at once, and the reason says so") {
    auto s = stage::founded(3, durable());
    const auto a = static_cast<unsigned>(s.leader());
    const unsigned c = (a + 1) % 3;
    s.crash(c, true);
    const auto gone = s.now;
    CHECK(until(s, 5s, [&] { return !active(s, a, c); }));
    CHECK(s.now - gone <= bounds_of(s.options).reset);
    CHECK(reason(s, a, c) == absence::reset);
  }

  TEST_CASE("V24: a process whose links to all were closed, and that dials nobody, is not waited for") {
    for (const bool leader_dies : {false, true}) {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = leader_dies ? a : (a + 1) % 3;
      s.crash(c, true);
      const auto gone = s.now;
      const auto excluded = [&] { return s.leader() >= 0 && s.leader() != static_cast<int>(c) && !active(s, static_cast<unsigned>(s.leader()), c); };
      CHECK(until(s, 5s, excluded));
      CHECK(s.now - gone <= bounds_of(s.options).ended + (leader_dies ? s.options.heartbeat : duration(0)));
      CHECK(reason(s, static_cast<unsigned>(s.leader()), c) == absence::reset);
    }
  }

  TEST_CASE("V24: a link that only its leader has lost gets the time to come back") {
    const auto holds = [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      const auto without_link = [&](const flying& f) { return !((f.from == a && f.to == c) || (f.from == c && f.to == a)); };
      s.inside(a);
      s.members[a].core->link_down(member_id(c), true);
      until(s, s.options.election_min - 50ms, [] { return false; }, without_link);
      if (s.inside(a).in_force->number > 0) return false;
      s.members[a].core->link_up(s.members[c].id, false);
      s.go(3s);
      return s.inside(b).in_force->number == 0;
    };
    CHECK(holds());
    planting p(mutation::reset_taken_alone);
    CHECK_FALSE(holds());
  }

  TEST_CASE("V20: where nobody else can be asked, T_fail has to pass") {
    auto s = stage::founded(3, durable());
    const auto a = static_cast<unsigned>(s.leader());
    const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
    s.crash(b, false);
    CHECK(until(s, 5s, [&] { return !active(s, a, b); }));
    // Of the two left a quorum needs both: nobody is excluded, and nobody is suspected in vain for ever.
    s.crash(c, false);
    s.go(5s);
    CHECK(s.inside(a).in_force->number == 1);
    CHECK_FALSE(s.status(a).is_leader);
  }

  TEST_CASE("V20: a leader that heard nobody for long first asks those it hears again, before it gives up the others") {
    const auto holds = [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      s.go(8s);
      const auto from = s.now;
      // B is heard again shortly before A would step down, C is not, and what A asks about C takes its time.
      const auto passes = [&](const flying& f) {
        const auto after = s.now - from;
        if (f.to == a && (f.from == c || (f.from == b && after < 550ms))) return false;
        return !is<take_over>(f) && !(is<probe>(f) && after < 680ms);
      };
      until(s, 1500ms, [&] { return s.inside(a).in_force->number > 0; }, passes);
      return s.inside(a).in_force->number == 0 && s.status(a).is_leader;
    };
    CHECK(holds());
    planting p(mutation::given_up_unasked);
    CHECK_FALSE(holds());
  }

  TEST_CASE("V20: who is silent here but answers another member is not given up before T_fail") {
    for (const auto mistake : {mutation::death_by_one_path, mutation::vouched_given_up}) {
      const auto holds = [] {
        auto s = stage::founded(3, durable());
        const auto a = static_cast<unsigned>(s.leader());
        const unsigned c = (a + 2) % 3;
        s.go(1s);
        s.cut(c, a);  // C hears A, and everybody else hears C
        const auto from = s.now;
        // Nor can A let another lead.
        const auto passes = [](const flying& f) { return !is<take_over>(f); };
        until(s, 1700ms, [&] { return s.inside(a).in_force->number > 0; }, passes);
        if (s.inside(a).in_force->number > 0) return false;
        // It cannot be served for ever: then the reason is the link, and the view says that it lives and was not heard.
        if (!until(s, 2s, [&] { return !active(s, a, c); }, passes)) return false;
        const auto& notes = s.inside(a).in_force->notes;
        const std::vector<view_note> both{{s.members[c].id, view_cause::excluded}, {s.members[c].id, view_cause::failed}};
        return s.now - from >= 1900ms && reason(s, a, c) == absence::link && notes == both &&
               s.inside(a).departed.size() == 1 && s.inside(a).departed[0].count == 1;
      };
      CHECK(holds());
      planting p(mistake);
      CHECK_FALSE(holds());
    }
  }

  TEST_CASE("V21: a leader that does not hear a member whom another one hears lets that one lead: nobody has to go") {
    falls_with(mutation::links_never_handed_over, [] {
      for (const bool both_ways : {true, false}) {
        auto s = stage::founded(3, durable());
        s.go(1s);
        const auto a = static_cast<unsigned>(s.leader());
        const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
        s.cut(a, c);
        if (both_ways) s.cut(c, a);
        s.go(15s);
        if (s.leader() != static_cast<int>(b)) return false;
        for (unsigned i = 0; i < 3; ++i)
          if (s.inside(i).in_force->number != 0 || !s.status(i).active || !s.status(i).primary) return false;
        // Both ends of the broken link send, and hear everything.
        s.submit(a, "from a");
        s.submit(c, "from c");
        s.go(500ms);
        for (const auto& m : s.members)
          if (m.delivered.size() != 2) return false;
      }
      return true;
    });
  }

  TEST_CASE("V21: where every member misses another one, leadership does not go round") {
    falls_with(mutation::links_handed_round, [] {
      auto s = stage::founded(4, durable());
      s.go(1s);
      for (const auto& [x, y] : {std::pair{0u, 2u}, std::pair{1u, 3u}}) {
        s.cut(x, y);
        s.cut(y, x);
      }
      std::size_t before = 0, after = 0;
      for (unsigned i = 0; i < 4; ++i) before += count(s, i, event_kind::elected);
      s.go(20s);
      for (unsigned i = 0; i < 4; ++i) after += count(s, i, event_kind::elected);
      const auto a = static_cast<unsigned>(s.leader());
      return after - before <= 1 && s.inside(a).in_force->number == 1;
    });
  }

  TEST_CASE("V22: who stood still does not hold that against the others, and says so") {
    falls_with(mutation::stall_not_noticed, [] {
      auto s = stage::founded(3, durable());
      s.go(8s);
      const auto a = static_cast<unsigned>(s.leader());
      freeze(s, a, 450ms);
      s.pass(a);  // it wakes before it has read anything
      if (count(s, a, event_kind::member_suspected) > 0) return false;
      const auto& told = s.members[a].events;
      const auto stall = std::ranges::find(told, event_kind::stalled, &event::kind);
      if (stall == told.end() || stall->number < 350 || stall->number > 450) return false;
      s.settle();
      s.go(2s);
      return s.inside(a).in_force->number == 0 && s.status(a).active;
    });
  }

  TEST_CASE("V22: a follower that stood still first gives the leader's heartbeats time to arrive") {
    falls_with(mutation::stall_not_noticed, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      const auto stood = count(s, c, event_kind::election_started);
      freeze(s, c, 700ms);
      s.pass(c);
      if (count(s, c, event_kind::election_started) != stood) return false;
      s.settle();
      s.go(2s);
      return count(s, c, event_kind::election_started) == stood && active(s, a, c);
    });
  }

  TEST_CASE("V23: who does not hear the leader is not admitted, however loud it asks") {
    falls_with(mutation::deaf_admitted, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 2) % 3;
      s.isolate(c);
      if (!until(s, 5s, [&] { return !active(s, a, c); })) return false;
      s.heal();
      const auto unasked = [](const flying& f) { return !is<join>(f); };
      if (!until(s, 3s, [&] { return s.inside(c).in_force->number == 1; }, unasked)) return false;
      s.cut(a, c);
      until(s, 800ms, [] { return false; }, unasked);
      s.go(3s);
      const bool out = s.inside(a).in_force->number == 1;
      s.heal();
      s.go(2s);
      return out && active(s, a, c);
    });
  }

  TEST_CASE("V23: a member that comes and goes is admitted less and less often, and in the end again") {
    falls_with(mutation::flapping_not_held_back, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 2) % 3;
      for (int i = 0; i < 12; ++i) {
        s.isolate(c);
        s.go(1200ms);
        s.heal();
        s.go(800ms);
      }
      const auto views = s.inside(a).in_force->number;
      if (s.leader() != static_cast<int>(a) || views < 6 || views > 14) return false;
      s.go(20s);
      return active(s, a, c) && s.status(c).active;
    });
  }

  TEST_CASE("FC4: a member that answers but does not advance is told of before it is excluded, and for that reason") {
    falls_with(mutation::lag_not_told, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      s.members[c].disk_works = false;
      s.submit(a, "not on C's disk");
      const bool told = until(s, 3s, [&] { return count(s, a, event_kind::member_stuck) > 0; });
      if (!told || !active(s, a, c)) return false;
      if (!until(s, 3s, [&] { return !active(s, a, c); })) return false;
      return count(s, a, event_kind::member_stuck) == 1 && reason(s, a, c) == absence::stuck &&
             s.inside(a).in_force->notes == std::vector<view_note>{{s.members[c].id, view_cause::excluded}};
    });
  }

  TEST_CASE("a probe goes only along its path, one message for one") {
    auto s = stage::founded(3, durable());
    const auto a = static_cast<unsigned>(s.leader());
    const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
    const auto answers = [&](unsigned from, unsigned to, probe p) {
      s.drop(everything);
      s.inject(from, to, p);
      bool first = true;
      s.deliver([&](const flying& f) { return is<probe>(f) && std::exchange(first, false); });
      return std::ranges::count_if(s.in_flight, is<probe>);
    };
    const auto term = s.status(a).term;
    CHECK(answers(a, b, {term, member_id(a), member_id(c), 5s, false, 0}) == 1);
    CHECK(answers(b, c, {term, member_id(a), member_id(c), 5s, false, 0}) == 1);
    CHECK(answers(c, b, {term, member_id(a), member_id(c), 5s, true, 0}) == 1);
    CHECK(answers(b, a, {term, member_id(a), member_id(c), 5s, true, 0}) == 0);
    CHECK(answers(c, b, {term, member_id(a), member_id(c), 5s, false, 0}) == 0);  // not from the one who asks
    CHECK(answers(a, b, {term, member_id(a), member_id(c), 5s, true, 0}) == 0);   // not from the one who was asked
    CHECK(answers(a, b, {term, member_id(a), member_id(a), 5s, false, 0}) == 0);
    CHECK(answers(a, b, {term, member_id(a), member_id(9), 5s, false, 0}) == 0);
    CHECK(answers(a, b, {term, member_id(9), member_id(c), 5s, false, 0}) == 0);
  }
}
