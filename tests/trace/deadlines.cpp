// Directed tests of deadlines (rules DL1, DL2).
#include "tests/trace/directed.hpp"

#include <algorithm>

using namespace cohort;
using namespace cohort::trace;

using texts = std::vector<std::string>;

TEST_SUITE("deadlines") {
  TEST_CASE("DL2: what is ordered in time and comes late is delivered marked, where it comes late and nowhere else") {
    for (auto o : {durable(), in_memory()}) {
      o.orders = {order::unordered, order::fifo, order::causal, order::total};
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      const auto deadline = s.wall(a) + 100ms;
      s.cut(a, c);
      s.cut(b, c);
      const std::pair<const char*, order> sent[] = {
        {"t", order::total}, {"c", order::causal}, {"f", order::fifo}, {"u", order::unordered}};
      for (const auto& [text, how] : sent)
        REQUIRE(s.submit(a, text, how, deadline) == submit_status::taken);
      s.go(50ms);
      for (const auto i : {a, b}) CHECK(s.members[i].delivered.size() == 4);
      s.go(100ms);
      s.heal();
      s.go(2s);
      for (const auto i : {a, b}) CHECK(s.members[i].late.empty());
      auto& at_c = s.members[c];
      std::ranges::sort(at_c.delivered);
      std::ranges::sort(at_c.late);
      CHECK(at_c.delivered == texts{"c", "f", "t"});  // a late unordered message is dropped
      CHECK(at_c.late == texts{"c", "f", "t"});
      CHECK(s.inside(c).in_force->number == 0);       // nobody was excluded meanwhile

      CHECK(s.submit(a, "over", order::total, s.wall(a) - 1ms) == submit_status::too_late);
      REQUIRE(s.submit(a, "in time", order::total, s.wall(a) + 1s) == submit_status::taken);
      s.go(100ms);
      for (unsigned i = 0; i < 3; ++i) CHECK(s.members[i].delivered.back() == "in time");
      CHECK(at_c.late.size() == 3);
    }
  }
}
