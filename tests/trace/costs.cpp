// What a contract is said to cost, counted (C4).
#include "tests/trace/directed.hpp"

#include "framework/contract/total_cost.hpp"

#include <algorithm>
#include <set>
#include <utility>

using namespace cohort;
using namespace cohort::trace;

namespace {

struct counted {
  unsigned delays = 0;
  unsigned acks = 0;  ///< pairs of members of which the one acknowledges the entry to the other
  unsigned told = 0;  ///< of whom the leader tells that it is committed
};

/// One message from `from`; a round delivers what is on its way at its beginning. No time passes.
counted rounds_of_one(stage& s, unsigned from) {
  const auto leader = static_cast<unsigned>(s.leader());
  const auto before = s.members[from].delivered.size();
  const auto index = s.status(leader).last + 1;
  std::set<std::pair<unsigned, unsigned>> acks, told;
  counted c;
  REQUIRE(s.submit(from, "x") == submit_status::taken);
  for (unsigned round = 0; round < 8; ++round) {
    if (c.delays == 0 && s.members[from].delivered.size() > before) c.delays = round;
    for (const auto& f : s.in_flight) {
      if (const auto* a = std::get_if<ack>(&f.what); a && a->match >= index) acks.emplace(f.from, f.to);
      const auto* e = std::get_if<append>(&f.what);
      if (e && e->commit >= index && e->entries.empty()) told.emplace(f.from, f.to);
    }
    std::size_t left = s.in_flight.size();
    s.deliver([&](const flying&) { return left != 0 && left-- > 0; });
  }
  c.acks = static_cast<unsigned>(acks.size());
  c.told = static_cast<unsigned>(told.size());
  return c;
}

}  // namespace

TEST_SUITE("costs") {
  TEST_CASE("C4: delays and acknowledgements of total order are what `explain` says, for every size and kind of group") {
    for (unsigned n = 2; n <= 9; ++n)
      for (const bool on_disk : {true, false})
        for (const bool safe : {false, true}) {
          CAPTURE(n);
          CAPTURE(on_disk);
          CAPTURE(safe);
          auto o = on_disk ? durable() : in_memory();
          contract how = on_disk ? contract{} : contract{}.with(durability::in_memory);
          if (safe) {
            o.orders.add(order::safe_fifo);
            how.orders.add(order::safe_fifo);
          }
          const auto said = contracts::total_cost_of(how, contracts::quorums_of(how, n));
          auto s = stage::founded(n, o);
          s.go(1s);
          const auto leader = static_cast<unsigned>(s.leader());
          rounds_of_one(s, leader);  // once in a while acknowledgements go to all; that is over
          const auto own = rounds_of_one(s, leader);
          CHECK(own.delays == said.from_leader);
          CHECK(own.acks == said.acks);
          CHECK(own.told == said.told);
          CHECK(rounds_of_one(s, (leader + 1) % n).delays == said.from_other);
        }
  }
}
