#include "framework/divergence/points.hpp"
#include "framework/divergence/watch.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

using namespace cohort;
using divergence::finding;
using divergence::points;
using divergence::replica_id;
using divergence::watch;
using enum divergence_verdict;

namespace {

constexpr member_id a{0}, b{1}, c{2};

std::vector<replica_id> three() { return {{a, 1}, {b, 1}, {c, 1}}; }

watch at_a() {
  watch w(a);
  w.view_installed(three());
  return w;
}

}  // namespace

TEST_SUITE_BEGIN("divergence");

TEST_CASE("equal states are no news, and counted") {
  auto w = at_a();
  w.own({10, 5});
  w.reported({b, 1}, {10, 5});
  CHECK(w.agreed_at() == 0);
  w.reported({c, 1}, {10, 5});
  CHECK(w.take().empty());
  CHECK(w.agreed_at() == 10);
  CHECK(w.comparisons() == 1);
  CHECK(w.differences() == 0);
}

TEST_CASE("the odd one out is named as soon as a majority is there, once, and when it agrees again") {
  auto w = at_a();
  w.own({10, 5});
  w.reported({c, 1}, {10, 6});
  CHECK(w.take().empty());  // who is right, nobody knows yet
  w.reported({b, 1}, {10, 5});
  CHECK(w.take() == std::vector<finding>{{differs, 10, {c}}});
  for (std::uint64_t p = 20; p < 100; p += 10) {
    w.own({p, p});
    w.reported({c, 1}, {p, p + 1});
    w.reported({b, 1}, {p, p});
  }
  CHECK(w.take().empty());
  CHECK(w.last().position == 90);
  CHECK(w.differences() == 9);
  w.own({100, 1});
  w.reported({b, 1}, {100, 1});
  w.reported({c, 1}, {100, 1});
  CHECK(w.take() == std::vector<finding>{{agreed, 100, {}}});
}

TEST_CASE("who was odd before its restart need not hear it again, but that it agrees, or another one differs") {
  watch w(a, true);
  w.view_installed(three());
  CHECK(w.take().empty());
  CHECK(w.last() == finding{differs, 0, {a}});
  w.own({10, 6});
  w.reported({b, 1}, {10, 5});
  w.reported({c, 1}, {10, 5});
  CHECK(w.take().empty());
  CHECK(w.last().position == 10);
  w.own({20, 5});
  w.reported({b, 1}, {20, 5});
  w.reported({c, 1}, {20, 5});
  CHECK(w.take() == std::vector<finding>{{agreed, 20, {}}});
}

TEST_CASE("two members that differ: both are told, nobody is odd") {
  watch w(a);
  w.view_installed({{a, 1}, {b, 1}});
  w.own({10, 5});
  w.reported({b, 1}, {10, 6});
  CHECK(w.take() == std::vector<finding>{{undecided, 10, {a, b}}});
}

TEST_CASE("three states: nobody is right") {
  auto w = at_a();
  w.own({10, 1});
  w.reported({b, 1}, {10, 2});
  w.reported({c, 1}, {10, 3});
  CHECK(w.take() == std::vector<finding>{{undecided, 10, {a, b, c}}});
}

TEST_CASE("a member that does not report is not waited for without end") {
  auto w = at_a();
  w.own({10, 5});
  w.reported({b, 1}, {10, 6});
  for (std::uint64_t p = 20; p <= 10 + 10 * watch::patience; p += 10) {
    CHECK(w.take().empty());
    w.own({p, 5});
  }
  CHECK(w.take() == std::vector<finding>{{undecided, 10, {a, b}}});
}

TEST_CASE("reports of an earlier life count nowhere") {
  auto w = at_a();
  w.reported({c, 1}, {10, 6});
  w.view_installed({{a, 1}, {b, 1}, {c, 2}});
  w.own({10, 5});
  w.reported({b, 1}, {10, 5});
  CHECK(w.take().empty());
  w.reported({c, 1}, {20, 6});  // late
  w.own({20, 5});
  w.reported({b, 1}, {20, 5});
  CHECK(w.take().empty());
  w.reported({c, 2}, {20, 5});
  CHECK(w.agreed_at() == 20);
}

TEST_CASE("a life that the view does not have yet waits for it") {
  auto w = at_a();
  w.own({10, 5});
  w.reported({b, 1}, {10, 5});
  w.reported({c, 2}, {10, 6});
  CHECK(w.take().empty());
  w.view_installed({{a, 1}, {b, 1}, {c, 2}});
  CHECK(w.take() == std::vector<finding>{{differs, 10, {c}}});
}

TEST_CASE("what we were before our state was replaced does not count") {
  auto w = at_a();
  w.own({10, 6});
  w.restored();
  w.reported({b, 1}, {10, 5});
  w.reported({c, 1}, {10, 5});
  CHECK(w.take().empty());
}

TEST_CASE("members that left are neither odd nor waited for") {
  auto w = at_a();
  w.own({10, 5});
  w.reported({b, 1}, {10, 5});
  w.view_installed({{a, 1}, {b, 1}});
  CHECK(w.agreed_at() == 10);
  w.reported({c, 1}, {20, 6});
  w.own({20, 5});
  w.reported({b, 1}, {20, 5});
  CHECK(w.agreed_at() == 20);
  CHECK(w.take().empty());
}

TEST_CASE("a flood of reports makes room for itself alone") {
  auto w = at_a();
  w.own({10, 5});
  w.reported({b, 1}, {10, 5});
  for (std::uint64_t p = 11; p < 100'000; ++p) w.reported({b, 1}, {p, p});
  w.reported({c, 1}, {10, 6});
  w.own({200'000, 5});
  w.reported({b, 1}, {200'000, 5});
  w.reported({c, 1}, {200'000, 6});
  CHECK(w.take() == std::vector<finding>{{undecided, 10, {a, c}}, {differs, 200'000, {c}}});
}

TEST_CASE("random groups against the truth") {
  for (std::uint32_t seed = 1; seed <= 3000; ++seed) {
    CAPTURE(seed);
    std::mt19937 r(seed);
    const std::size_t n = 2 + r() % 5;
    std::vector<replica_id> members;
    for (std::size_t m = 0; m < n; ++m) members.push_back({member_id(m), 1 + r() % 3});
    // From position `from` on a member has the state of its kind.
    std::vector<std::uint64_t> from(n), kind(n), step(n, 10);
    const bool skips = r() % 3 == 0;
    for (std::size_t m = 0; m < n; ++m) {
      from[m] = r() % 2 ? 1000 : 10 * (1 + r() % 8);
      kind[m] = r() % 2;
      if (skips && r() % 3 == 0) step[m] = 20;
    }
    const auto digest = [&](std::size_t m, std::uint64_t p) { return p * 100 + (p >= from[m] ? 1 + kind[m] : 0); };
    constexpr std::uint64_t end = 120;
    std::vector<watch> watches;
    for (std::size_t m = 0; m < n; ++m) watches.emplace_back(members[m].who);
    for (auto& w : watches) w.view_installed(members);
    // Each receiver gets the reports of each sender in their order, interleaved at random; replicas stay near each other.
    std::vector<std::vector<std::uint64_t>> next(n, std::vector<std::uint64_t>(n));
    for (auto& of : next)
      for (std::size_t s = 0; s < n; ++s) of[s] = step[s];
    std::vector<std::vector<finding>> told(n);
    for (std::uint64_t near = 20;; near = std::min(end, near + 10)) {
      for (std::size_t tries = 0; tries < 40 * n; ++tries) {
        const auto to = r() % n, s = r() % n;
        if (next[to][s] > near || (to != s && next[to][s] >= next[s][s])) continue;
        const auto p = std::exchange(next[to][s], next[to][s] + step[s]);
        if (to == s) watches[to].own({p, digest(s, p)});
        else watches[to].reported(members[s], {p, digest(s, p)});
        for (auto& f : watches[to].take()) told[to].push_back(f);
      }
      if (near == end) break;
    }
    for (bool again = true; std::exchange(again, false);)  // the rest
      for (std::size_t to = 0; to < n; ++to)
        for (std::size_t s = 0; s < n; ++s)
          for (; next[to][s] <= end; next[to][s] += step[s], again = true) {
            const auto p = next[to][s];
            if (to == s) watches[to].own({p, digest(s, p)});
            else watches[to].reported(members[s], {p, digest(s, p)});
            for (auto& f : watches[to].take()) told[to].push_back(f);
          }
    const auto truth = [&](std::uint64_t p) {
      std::map<std::uint64_t, std::vector<member_id>> by;
      for (std::size_t m = 0; m < n; ++m) by[digest(m, p)].push_back(members[m].who);
      finding f{undecided, p, {}};
      if (by.size() == 1) f.what = agreed;
      for (auto& [d, who] : by)
        if (2 * who.size() > n && f.what != agreed) f.what = differs;
      for (auto& [d, who] : by)
        if (f.what == undecided || (f.what == differs && 2 * who.size() <= n)) f.odd.insert(f.odd.end(), who.begin(), who.end());
      std::ranges::sort(f.odd);
      return f;
    };
    for (std::size_t m = 0; m < n; ++m) {
      CHECK(watches[m].last() == truth(end));
      for (const auto& f : told[m]) {
        const auto t = truth(f.position);
        if (f.what == differs) {  // nobody of the majority is ever called odd
          REQUIRE(t.what == differs);
          REQUIRE(std::ranges::includes(t.odd, f.odd));
        }
        if (f.what == agreed) REQUIRE(t.what == agreed);
        if (f.what == undecided && !skips) REQUIRE(f == t);
      }
    }
  }
}

TEST_CASE("positions: multiples reached by batches, and those of a larger step are among those of a smaller one") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    std::mt19937 r(seed);
    const std::uint64_t every = 1 + r() % 50;
    points cheap(every), dear(every), late(every);
    std::set<std::uint64_t> of_cheap, of_dear, of_late;
    std::uint64_t position = 0;
    const auto joins = 2000 + r() % 1000;
    bool joined = false;
    const auto bytes = r() % 20'000;
    while (position < 20'000) {
      position += 1 + r() % (2 * every);
      if (!joined && position >= joins) {
        joined = true;
        late.begin(position);
      } else if (joined && late.reached(position)) {
        of_late.insert(position);
        late.taken(position, bytes);
      }
      if (cheap.reached(position)) of_cheap.insert(position), cheap.taken(position, 0);
      if (dear.reached(position)) of_dear.insert(position), dear.taken(position, bytes);
    }
    CHECK(of_cheap.size() > 100);
    CHECK(of_dear.size() >= 1);
    CHECK(std::ranges::includes(of_cheap, of_dear));
    CHECK(std::ranges::includes(of_cheap, of_late));
    if (of_dear.size() > 2) CHECK((of_dear.size() - 2) * bytes <= position * points::bytes_per_message);
  }
}

TEST_CASE("positions: none if nothing is to be compared") {
  points never(0);
  CHECK_FALSE(never.reached(1u << 30));
  never.begin(7);
  never.taken(9, 100);
  CHECK_FALSE(never.reached(1u << 30));
}

TEST_SUITE_END();
