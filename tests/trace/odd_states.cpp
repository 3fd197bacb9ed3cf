// Directed tests of members whose states differ from the majority's (S10).
#include "tests/trace/directed.hpp"

#include <algorithm>

using namespace cohort;
using namespace cohort::trace;

namespace {

bool eventually(stage& s, duration within, const std::function<bool()>& holds) {
  for (const auto end = s.now + within; s.now < end; s.go(10ms))
    if (holds()) return true;
  return holds();
}

/// Lets time go on; false if the member sends anything of a checkpoint.
bool gives_nothing(stage& s, unsigned who, duration within, const std::function<bool()>& until) {
  bool nothing = true;
  for (const auto end = s.now + within; s.now < end && !until();) {
    s.go(10ms, false);
    for (int round = 0; round < 20 && !s.in_flight.empty(); ++round) {
      nothing &= std::ranges::none_of(s.in_flight, [&](const flying& f) { return f.from == who && is<chunk>(f); });
      std::size_t left = s.in_flight.size();
      s.deliver([&](const flying&) { return left != 0 && left-- > 0; });
    }
  }
  return nothing && until();
}

/// Three members, of which one leads and one has crashed since the first message.
struct one_away {
  stage s;
  unsigned leader, away;

  one_away() : s(stage::founded(3, in_memory())), leader(static_cast<unsigned>(s.leader())), away((leader + 1) % 3) {
    s.submit(leader, "x");
    s.settle();
    s.crash(away);
    s.go(1s);
  }
};

}  // namespace

TEST_SUITE("odd states") {
  TEST_CASE("S10: a leader that is odd lets another one lead at once, and nobody is taken out") {
    for (const auto& options : {durable(), in_memory(), leased()}) {
      auto s = stage::founded(3, options);
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3;
      s.submit(a, "before");
      s.settle();
      s.states_differ({member_id(a)});
      CHECK(eventually(s, 200ms, [&] { return s.leader() >= 0 && s.leader() != static_cast<int>(a); }));
      s.submit(b, "after");
      s.go(100ms);
      for (const auto& m : s.members) CHECK(m.delivered.size() == 2);
      CHECK(s.inside(b).in_force->number == 0);
      CHECK(s.status(a).active);
    }
  }

  TEST_CASE("S10: leadership does not go from one odd member to another") {
    auto s = stage::founded(5, in_memory());
    const auto a = static_cast<unsigned>(s.leader());
    const unsigned b = (a + 1) % 5, c = (a + 2) % 5;
    s.submit(a, "x");
    s.settle();
    s.states_differ({member_id(a), member_id(b)});
    CHECK(eventually(s, 200ms, [&] { return s.leader() >= 0 && s.leader() != static_cast<int>(a); }));
    CHECK(s.leader() != static_cast<int>(b));
    // Where nobody is known to be odd any more, anybody leads.
    s.states_differ({});
    const auto now = static_cast<unsigned>(s.leader());
    s.hand_over(now, member_id(b));
    s.go(200ms);
    CHECK(s.leader() == static_cast<int>(b));
    s.go(5s);
    CHECK(s.leader() == static_cast<int>(b));
    CHECK(s.inside(c).in_force->number == 0);
  }

  TEST_CASE("S10: who comes without a state is given none by an odd member, but by another") {
    falls_with(mutation::odd_state_given, [] {
      one_away of;
      auto& s = of.s;
      const unsigned a = of.leader, c = of.away;
      s.states_differ({member_id(a)});
      s.start(c);
      return gives_nothing(s, a, 10s, [&] { return s.inside(c).has_state; });
    });
  }

  TEST_CASE("S10: what an odd leader has given a part of is not completed, but given anew") {
    falls_with(mutation::odd_state_completed, [] {
      auto o = durable();  // where all make a checkpoint at the same place
      o.checkpoint_entries = 10;
      auto s = stage::founded(3, o);
      s.checkpoint_chunks = 4;
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      for (int i = 0; i < 12; ++i) {
        s.submit(a, "x");
        s.settle();
      }
      s.crash(c);
      s.go(1s);
      for (int i = 0; i < 40; ++i) {
        s.submit(a, "without C");
        s.settle();
      }
      s.start(c);
      if (!eventually(s, 5s, [&] { return s.inside(c).incoming.running; })) return false;
      const auto begun = s.inside(c).incoming.at.index;
      if (s.inside(c).incoming.donor != member_id(a)) return false;
      s.states_differ({member_id(a)});
      return eventually(s, 10s, [&] {
        const auto& in = s.inside(c).incoming;
        return in.running && in.donor != member_id(a) && in.at.index > begun;
      });
    });
  }

  TEST_CASE("S10: where no other active voter has a state, the odd one gives its own") {
    stage s(3, in_memory(), {member_id(2)});
    REQUIRE(eventually(s, 5s, [&] { return s.leader() >= 0; }));
    const auto a = static_cast<unsigned>(s.leader());
    REQUIRE(a != 2);
    const unsigned b = 1 - a;
    s.submit(a, "x");
    s.settle();
    s.crash(b);
    s.go(1s);
    s.states_differ({member_id(a)});
    s.start(b);
    CHECK(eventually(s, 10s, [&] { return s.inside(b).has_state; }));
    CHECK(s.inside(b).odd_members.empty());
  }

  TEST_CASE("S10: who has taken another's state is odd no more") {
    one_away of;
    auto& s = of.s;
    const unsigned a = of.leader, c = of.away;
    s.start(c);
    s.states_differ({member_id(c)});
    REQUIRE(eventually(s, 10s, [&] { return s.inside(c).has_state; }));
    CHECK(s.inside(c).odd_members.empty());
    CHECK(s.inside(a).odd_members == std::vector{member_id(c)});
  }
}
