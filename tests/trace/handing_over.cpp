// Directed tests of handing over leadership (E8).
#include "tests/trace/directed.hpp"

#include <algorithm>

using namespace cohort;
using namespace cohort::trace;

namespace {

bool elected_since(const stage::member& m, std::size_t from) {
  return std::any_of(m.events.begin() + static_cast<std::ptrdiff_t>(from), m.events.end(),
                     [](const auto& e) { return e.kind == event_kind::elected; });
}

}  // namespace

TEST_SUITE("handing over") {
  TEST_CASE("E8: another leads after a few round trips, with no timeout, and nothing is lost") {
    for (const auto& options : {durable(), in_memory(), leased()}) {
      auto s = stage::founded(3, options);
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3;
      const auto term = s.status(a).term;
      s.submit(a, "before");
      s.settle();
      const auto start = s.now;
      s.submit(a, "with a's hand-over");
      s.hand_over(a);
      s.submit(b, "meanwhile");
      for (int i = 0; i < 5; ++i) s.settle();
      CHECK(s.now - start < 60ms);
      REQUIRE(s.leader() >= 0);
      CHECK(s.leader() != static_cast<int>(a));
      CHECK(s.status(b).term == term + 1);
      s.go(100ms);
      for (const auto& m : s.members) CHECK(m.delivered.size() == 3);
      CHECK(s.status(a).active);
      CHECK(s.inside(a).in_force->number == 0);  // nobody was taken for dead
    }
  }

  TEST_CASE("E8: the one that is named leads") {
    for (unsigned to = 0; to < 3; ++to) {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      s.hand_over(a, member_id(to));
      s.go(100ms);
      CHECK(s.leader() == static_cast<int>(to == a ? a : to));
    }
  }

  TEST_CASE("E8, E3: who is asked to lead needs a complete log like anybody else") {
    falls_with(mutation::successor_favoured, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      s.cut(a, c);  // C lacks what A and B order from now on
      s.submit(a, "acknowledged");
      s.settle();
      if (s.members[a].delivered.empty()) return false;
      s.heal();
      s.drop(everything);
      const auto from = s.members[c].events.size();
      s.inject(a, c, take_over{s.status(a).term});
      s.deliver([&](const flying& f) { return f.to == c; });
      s.deliver(is<vote>);
      s.deliver(is<vote>);
      return !elected_since(s.members[c], from);
    });
  }

  TEST_CASE("E8: a leader whose successor does not answer goes on, and so does everybody") {
    falls_with(mutation::handover_outlives_term, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      s.hand_over(a);
      s.submit((a + 1) % 3, "after");
      for (int i = 0; i < 200; ++i) {
        s.go(10ms, false);
        s.drop(is<take_over>);
        s.settle();
      }
      const auto now = static_cast<unsigned>(s.leader());
      return s.leader() >= 0 && std::ranges::count(s.members[now].delivered, "after") == 1;
    });
  }

  TEST_CASE("E8, R2: who has asked another to lead answers nothing by its lease any more") {
    falls_with(mutation::lease_kept_at_handover, [] {
      auto s = stage::founded(3, leased());
      const auto a = static_cast<unsigned>(s.leader());
      s.go(100ms);
      s.hand_over(a);
      s.pass(a);
      const auto request = std::ranges::find_if(s.in_flight, is<take_over>);
      if (request == s.in_flight.end()) return false;
      const auto b = request->to;
      s.deliver(is<take_over>);
      s.isolate(a);  // it hears nothing of what follows
      for (int i = 0; i < 5; ++i) s.settle();
      if (!s.status(b).is_leader) return false;
      s.submit(b, "new");
      for (int i = 0; i < 5; ++i) s.settle();
      if (std::ranges::count(s.members[b].delivered, "new") != 1) return false;
      const auto told = s.status(b).applied;
      s.read(a, 1);
      return std::ranges::none_of(s.members[a].reads,
                                  [&](const auto& r) { return r.tag == 1 && !r.refused && r.index < told; });
    });
  }
}
