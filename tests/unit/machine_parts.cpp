// Parts of replicated state machines: locks, timers, chance. Each must be a function of what is delivered, and survive a checkpoint
// at any place.
#include "framework/memory_stream.hpp"
#include "framework/protocol/time_wish.hpp"
#include "framework/simulation/random.hpp"

#include <cohort/agreed_random.hpp>
#include <cohort/fence.hpp>
#include <cohort/lock_table.hpp>
#include <cohort/log_timers.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

/// The same, as another member has it after a transfer.
template <class T>
T moved(const T& from) {
  memory_sink out;
  from.checkpoint(out);
  memory_source in(out.bytes());
  T to;
  to.restore(in);
  REQUIRE(in.left() == 0);
  return to;
}

}  // namespace

TEST_SUITE_BEGIN("machine parts");

TEST_CASE("a fence refuses older tokens, also after a checkpoint") {
  fence f;
  CHECK_FALSE(f.admit(0));
  CHECK(f.admit(3));
  CHECK(f.admit(3));
  CHECK_FALSE(f.admit(2));
  auto other = moved(f);
  CHECK_FALSE(other.admit(2));
  CHECK(other.admit(4));
}

TEST_CASE("a lock table is due when somebody who waits can be granted a lock, and not before") {
  lock_table t;
  t.advance(0s);
  REQUIRE(t.acquire("a", 10s, 1));
  CHECK_FALSE(t.next());  // nobody waits
  REQUIRE_FALSE(t.acquire("a", 5s, 2));
  CHECK(t.next() == 10s);
  REQUIRE(t.acquire("b", 3s, 3));
  REQUIRE_FALSE(t.acquire("b", 3s, 4));
  CHECK(t.next() == 3s);
  CHECK(moved(t).next() == 3s);
  CHECK(t.advance(3s).size() == 1);
  CHECK(t.next() == 10s);
  t.advance(4s);
  REQUIRE(t.release("a", 1));
  CHECK(t.next() == 4s);  // at once
  CHECK(t.advance(4s).size() == 1);
  CHECK_FALSE(t.next());
}

TEST_CASE("a replica's wish for time is told when it changes, and no state machine keeps a group busy") {
  struct waiting final : state_machine {
    std::optional<wall_time> due;
    void apply(const delivery&, reply&) override {}
    void checkpoint(sink&) const override {}
    void restore(source&) override {}
    std::optional<wall_time> next_due() const override { return due; }
  } m;
  protocol::time_wish wish;
  CHECK_FALSE(wish.news(m));
  m.due = 5s;
  CHECK(wish.news(m) == 5s);
  CHECK_FALSE(wish.news(m));
  wish.told(6s);  // it does not look at its timer
  CHECK(wish.news(m) == 6s + protocol::time_wish::step);
  wish.told(7s);
  m.due = 9s;
  CHECK(wish.news(m) == 9s);
  m.due.reset();
  CHECK(wish.news(m) == wall_time::max());
  CHECK_FALSE(wish.news(m));
}

TEST_CASE("a lock goes from hand to hand in the order of the requests, and tokens only grow") {
  lock_table t;
  t.advance(0s);
  const auto first = t.acquire("a", 10s, 1);
  REQUIRE(first);
  CHECK(first->until == 10s);
  CHECK_FALSE(t.acquire("a", 10s, 2));
  CHECK_FALSE(t.acquire("a", 10s, 3, false));
  CHECK_FALSE(t.acquire("a", 10s, 4));
  const auto elsewhere = t.acquire("b", 10s, 5);
  REQUIRE(elsewhere);
  CHECK(elsewhere->token > first->token);
  CHECK(t.advance(9999ms).empty());
  CHECK(t.renew("a", first->token, 10s));
  CHECK(t.advance(19998ms).empty());
  t = moved(t);
  const auto next = t.advance(19999ms);
  REQUIRE(next.size() == 1);
  CHECK(next[0].asked == 2);
  CHECK(next[0].token > elsewhere->token);
  CHECK(t.holder("a") == next[0].token);
  CHECK(t.holder("b") == 0);
  CHECK_FALSE(t.renew("a", first->token, 10s));
  CHECK_FALSE(t.release("a", first->token));
  CHECK(t.release("a", next[0].token));
  CHECK_MESSAGE(!t.acquire("a", 1s, 6), "who waits comes before who asks later");
  const auto last = t.advance(20s);
  REQUIRE(last.size() == 1);
  CHECK(last[0].asked == 4);
}

TEST_CASE("locks at random: never two holders, tokens grow, and a table that is moved at each step does the same") {
  sim::random chance(7);
  lock_table a, b;
  wall_time now{};
  fencing_token newest = 0;
  std::uint64_t granted = 0;
  for (std::uint64_t step = 1; step < 20000; ++step) {
    now += std::chrono::milliseconds(chance.below(50));
    b = moved(b);
    const auto ga = a.advance(now);
    const auto gb = b.advance(now);
    REQUIRE(ga.size() == gb.size());
    for (std::size_t i = 0; i < ga.size(); ++i) {
      REQUIRE((ga[i].token == gb[i].token && ga[i].asked == gb[i].asked));
      REQUIRE(ga[i].token > newest);
      newest = ga[i].token;
      ++granted;
    }
    const std::string name(1, static_cast<char>('a' + chance.below(3)));
    const auto holder = a.holder(name);
    if (chance.chance(500)) {
      const auto x = a.acquire(name, 100ms, step);
      const auto y = b.acquire(name, 100ms, step);
      REQUIRE(x.has_value() == y.has_value());
      if (!x) continue;
      REQUIRE(holder == 0);
      REQUIRE(x->token == y->token);
      REQUIRE(x->token > newest);
      newest = x->token;
      ++granted;
    } else {
      REQUIRE(a.release(name, holder) == b.release(name, holder));
    }
  }
  CHECK(granted > 1000);
}

TEST_CASE("timers expire by agreed time, in one order, and may be set while they do") {
  log_timers t;
  t.set(2, 5s);
  t.set(1, 5s);
  t.set(3, 1s);
  t.set(3, 7s);
  t.set(4, 2s);
  CHECK(t.cancel(4));
  CHECK_FALSE(t.cancel(4));
  t = moved(t);
  CHECK(t.next() == wall_time(5s));
  std::vector<std::uint64_t> fired;
  t.advance(4s, [&](std::uint64_t id, wall_time) { fired.push_back(id); });
  CHECK(fired.empty());
  t.advance(6s, [&](std::uint64_t id, wall_time when) {
    fired.push_back(id);
    if (id == 1) t.set(9, when + 1s);
  });
  CHECK(fired == std::vector<std::uint64_t>{1, 2, 9});
  CHECK(t.size() == 1);
}

TEST_CASE("agreed chance is equal for equal deliveries, goes on after a checkpoint, and is even") {
  agreed_random a, b;
  std::vector<int> counts(10);
  for (std::uint64_t i = 1; i <= 20000; ++i) {
    delivery d;
    d.position = i;
    d.time = wall_time(static_cast<std::int64_t>(i * 10));
    d.sender = member_id(static_cast<std::uint16_t>(i % 3));
    a.begin(d);
    b.begin(d);
    const auto x = a.below(10);
    REQUIRE(x == b.below(10));
    ++counts[x];
    if (i % 1000 == 0) b = moved(b);
  }
  for (const auto c : counts) CHECK((c > 1800 && c < 2200));
}

TEST_SUITE_END();
