// Groups that nodes begin and cease to host while they are linked.
#include "transport/hello.hpp"
#include "transport_nodes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

using namespace transport_nodes;
using namespace std::chrono_literals;

namespace {

group_config created(std::uint32_t index, std::uint64_t identity, std::uint64_t hash = 7) {
  return {index, "late#" + std::to_string(index), hash, identity, false};
}

const std::vector<member_id> to_b{member_id{1}}, to_a{member_id{0}};

/// So many turns, however busy the machine is.
void turn(loop& l, int times) {
  for (int i = 0; i < times; ++i) l.run_once(1ms);
}

struct two {
  loop l;
  std::vector<endpoint_config> configs = cluster(2);
  node a{l, configs[0]}, b{l, configs[1]};
  void start() {
    REQUIRE(a.start() == "");
    REQUIRE(b.start() == "");
    REQUIRE(run_until(l, [&] { return a.linked(1) && b.linked(0); }));
  }
  static std::size_t ups(const node& n, std::uint32_t group) {
    return static_cast<std::size_t>(std::ranges::count(n.ups, group, &node::up::group));
  }
  bool both_up(std::uint32_t group, std::size_t times = 1) { return ups(a, group) == times && ups(b, group) == times; }
};

}  // namespace

TEST_SUITE("hosting") {
  TEST_CASE("a link serves a group as soon as both ends host it, and until one does not") {
    two s;
    s.start();
    s.a.link->host(created(1023, 50));
    run_for(s.l, 20ms);
    CHECK(two::ups(s.a, 1023) == 0);
    s.a.link->send(1023, to_b, protocol::join{});
    REQUIRE(run_until(s.l, [&] { return s.b.link->stats().unknown_frames == 1; }));
    s.b.link->host(created(1023, 60));
    REQUIRE(run_until(s.l, [&] { return s.both_up(1023); }));
    CHECK(s.b.ups.back().peer == protocol::voter_id{member_id{0}, 50});
    CHECK_FALSE(s.b.ups.back().blank);
    s.a.link->send(1023, to_b, protocol::join{});
    REQUIRE(run_until(s.l, [&] { return s.b.messages.size() == 1; }));
    CHECK(s.b.messages[0].from.identity == 50);

    s.b.link->drop(1023);
    CHECK(s.b.parted.size() == 1);
    REQUIRE(run_until(s.l, [&] { return s.a.parted.size() == 1; }));
    CHECK(s.a.parted[0] == std::pair<std::uint32_t, member_id>(1023, member_id{1}));
    s.a.link->send(1023, to_b, protocol::join{});
    REQUIRE(run_until(s.l, [&] { return s.b.link->stats().unknown_frames == 2; }));
    s.b.link->send(1023, to_a, protocol::join{});
    REQUIRE(run_until(s.l, [&] { return s.a.link->stats().unknown_frames == 1; }));
    CHECK(s.a.messages.empty());
    CHECK(s.a.downs.empty());
    CHECK(s.b.downs.empty());
  }

  TEST_CASE("groups that follow each other at one place are told apart, however far behind the other end is") {
    two s;
    s.start();
    constexpr auto number = [](std::uint32_t life) { return group_number(1023, life); };
    s.a.link->host(created(number(0), 50));
    s.b.link->host(created(number(0), 60));
    REQUIRE(run_until(s.l, [&] { return s.both_up(number(0)); }));
    // A is two ahead: B's old one hears no more of it, and the newer ones are none of B's.
    for (std::uint32_t life = 0; life < 2; ++life) {
      s.a.link->drop(number(life));
      s.a.link->host(created(number(life + 1), 50));
    }
    REQUIRE(run_until(s.l, [&] { return s.b.parted.size() == 1; }));
    CHECK(s.b.parted[0].first == number(0));
    s.a.link->send(number(2), to_b, protocol::join{});
    REQUIRE(run_until(s.l, [&] { return s.b.link->stats().unknown_frames == 1; }));
    CHECK(s.b.messages.empty());
    s.b.link->drop(number(0));
    s.b.link->host(created(number(2), 61));
    REQUIRE(run_until(s.l, [&] { return s.both_up(number(2)); }));
    s.a.link->send(number(2), to_b, protocol::join{});
    REQUIRE(run_until(s.l, [&] { return s.b.messages.size() == 1; }));
    CHECK(s.b.messages[0].group == number(2));
    // Thousands come and go.
    for (std::uint32_t life = 2; life < 3000; ++life) {
      s.a.link->drop(number(life));
      s.a.link->host(created(number(life + 1), 50));
      if (life % 50 == 0) run_for(s.l, 1ms);
    }
    s.b.kill();
    REQUIRE(s.b.restart() == "");
    s.b.link->host(created(number(3000), 62));
    REQUIRE(run_until(s.l, [&] { return two::ups(s.a, number(3000)) == 1 && two::ups(s.b, number(3000)) == 1; }));
    CHECK(s.a.count(link_event_kind::malformed) == 0);
    CHECK(s.b.count(link_event_kind::malformed) == 0);
  }

  TEST_CASE("what changes while HELLO is on its way is told behind it") {
    two s;
    REQUIRE(s.a.start() == "");
    s.a.link->host(created(1023, 50));
    REQUIRE(s.b.start() == "");
    // More groups than there are places have come and gone at one of them.
    constexpr auto present = group_number(1022, 1500);
    for (std::uint32_t life = 0; life < 1500; ++life)
      for (auto* n : {&s.a, &s.b}) {
        n->link->host(created(group_number(1022, life), 50));
        n->link->drop(group_number(1022, life));
      }
    s.a.link->host(created(present, 50));
    s.b.link->host(created(present, 60));
    int turns = 0;
    // At each moment of the greeting another group comes, and goes at the other end.
    REQUIRE(run_until(s.l, [&] {
      if (turns < 40) {
        const auto g = static_cast<std::uint32_t>(1000 - turns);
        s.a.link->host(created(g, 50));
        s.b.link->host(created(g, 60));
        if (turns % 3 == 0) s.a.link->drop(g);
        ++turns;
      }
      return turns == 40 && s.a.linked(1) && s.b.linked(0);
    }));
    s.b.link->host(created(1023, 60));
    for (std::uint32_t g = 1000; g > 960; --g) {
      CAPTURE(g);
      const bool both = (1000 - g) % 3 != 0;
      s.a.messages.clear();
      const auto unknown = s.a.link->stats().unknown_frames;
      turn(s.l, 10);
      s.b.link->send(g, to_a, protocol::join{});
      REQUIRE(run_until(s.l, [&] { return s.a.messages.size() + s.a.link->stats().unknown_frames - unknown == 1; }));
      CHECK((s.a.messages.size() == 1) == both);
    }
    CHECK(run_until(s.l, [&] { return two::ups(s.a, 1023) == 1; }));
    CHECK(s.a.count(link_event_kind::malformed) + s.b.count(link_event_kind::malformed) == 0);
    CHECK(s.both_up(present));  // that another one had its place is told once more, and is none of its concern
  }

  TEST_CASE("a group that is set up differently is not served, and said; the link stays") {
    two s;
    s.start();
    s.a.link->host(created(1023, 50, 7));
    s.b.link->host(created(1023, 60, 8));
    REQUIRE(run_until(s.l, [&] { return s.a.count(link_event_kind::refused) == 1 && s.b.count(link_event_kind::refused) == 1; }));
    CHECK(s.a.text(link_event_kind::refused).find("late#1023 is set up differently on node n2") != std::string::npos);
    CHECK(two::ups(s.a, 1023) == 0);
    CHECK(s.a.linked(1));
    CHECK(s.a.downs.empty());
  }

  TEST_CASE("nodes that host and drop, die and come back: each link serves what both ends host") {
    for (unsigned seed = 1; seed <= 12; ++seed) {
      CAPTURE(seed);
      std::mt19937 random(seed);
      two s;
      s.configs[0].retry_max = s.configs[1].retry_max = 20ms;
      s.a.config = s.configs[0];
      s.b.config = s.configs[1];
      s.start();
      std::map<node*, std::set<std::uint32_t>> hosts{{&s.a, {}}, {&s.b, {}}};
      std::uint32_t next = 1023;
      for (int step = 0; step < 60; ++step) {
        auto& who = random() % 2 ? s.a : s.b;
        auto& mine = hosts[&who];
        auto& theirs = hosts[&who == &s.a ? &s.b : &s.a];
        const auto what = random() % 12;
        if (what < 6) {
          auto g = next;
          for (const auto other : theirs)
            if (!mine.contains(other) && random() % 2) g = other;
          if (g == next) --next;
          mine.insert(g);
          who.link->host(created(g, &who == &s.a ? 50 : 60));
        } else if (what < 9 && !mine.empty()) {
          const auto g = *std::next(mine.begin(), static_cast<std::ptrdiff_t>(random() % mine.size()));
          mine.erase(g);
          theirs.erase(g);  // its number is not used again
          s.a.link->drop(g);
          s.b.link->drop(g);
        } else if (what == 9) {
          who.kill();
          REQUIRE(who.restart() == "");
          for (const auto g : mine) who.link->host(created(g, &who == &s.a ? 50 : 60));
        }
        if (random() % 3 == 0) run_for(s.l, std::chrono::milliseconds(random() % 4));
      }
      REQUIRE(run_until(s.l, [&] { return s.a.linked(1) && s.b.linked(0); }));
      turn(s.l, 60);
      REQUIRE(run_until(s.l, [&] { return s.a.linked(1) && s.b.linked(0); }));
      turn(s.l, 10);
      for (std::uint32_t g = 1023; g > next; --g) {
        CAPTURE(g);
        const auto both = hosts[&s.a].contains(g) && hosts[&s.b].contains(g);
        for (auto* to : {&s.a, &s.b}) {
          auto& from = to == &s.a ? s.b : s.a;
          to->messages.clear();
          const auto unknown = to->link->stats().unknown_frames;
          from.link->send(g, to == &s.a ? to_a : to_b, protocol::join{});
          REQUIRE(run_until(s.l, [&] { return to->messages.size() + to->link->stats().unknown_frames - unknown == 1; }));
          CHECK(to->messages.empty() == !both);
        }
      }
    }
  }

  TEST_CASE("a frame of groups is bounded and checked") {
    hosted few{{created(1023, 50), created(1022, 51)}, {1, 2, 3}}, out;
    std::string why;
    const auto f = encode_hosted(member_id{3}, few);
    REQUIRE(decode_hosted(f.bytes, out, why));
    REQUIRE(out.added.size() == 2);
    CHECK(out.added[1].name == "late#1022");
    CHECK(out.added[1].identity == 51);
    CHECK(out.dropped == few.dropped);
    const auto refused = [&](const hosted& what, const std::string& text) {
      hosted none;
      CHECK_FALSE(decode_hosted(encode_hosted(member_id{3}, what).bytes, none, why));
      CHECK(why.find(text) != std::string::npos);
    };
    refused({std::vector<group_config>(groups_max + 1, created(1, 2)), {}}, "too many groups");
    refused({{}, std::vector<std::uint32_t>(groups_max + 1)}, "too many groups");
    refused({{{1, "", 1, 1, false}}, {}}, "name is none");
    refused({{{1, "a\nb", 1, 1, false}}, {}}, "name is none");
    for (std::size_t size = frame_header_bytes; size + 8 <= f.bytes.size(); size += 8) {
      hosted cut;
      (void)decode_hosted(f.bytes.first(size), cut, why);  // may be shorter, must not crash
    }
    // Whoever sends such a frame is not listened to any more.
    two s;
    s.start();
    const auto bad = encode_hosted(member_id{0}, {std::vector<group_config>(groups_max + 1, created(1, 2)), {}});
    REQUIRE(s.a.link->send(member_id{1}, bad));
    REQUIRE(run_until(s.l, [&] { return s.b.count(link_event_kind::malformed) == 1; }));
  }
}
