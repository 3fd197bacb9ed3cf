// X3: a running group goes to its disks and leaves them.
#include "tests/trace/directed.hpp"

#include <algorithm>

using namespace cohort;
using namespace cohort::trace;

namespace {

void ask_for(stage& s, bool durable) {
  const auto leader = static_cast<unsigned>(s.leader());
  auto rules = s.inside(leader).in_force->options;
  rules.durable = durable;
  s.members[leader].core->request(change_kind::options, no_member, rules);
}

bool all_in_view(const stage& s, view_number number) {
  return std::ranges::all_of(s.members, [&](const auto& m) { return m.views.back() == number; });
}

unsigned holders(const stage& s, const std::string& text) {
  return static_cast<unsigned>(
      std::ranges::count_if(s.members, [&](const auto& m) { return std::ranges::count(m.delivered, text) != 0; }));
}

void restart_all(stage& s) {
  for (unsigned i = 0; i < 3; ++i) s.crash(i);
  for (unsigned i = 0; i < 3; ++i) s.start(i);
  s.go(3s);
}

}  // namespace

TEST_SUITE("directed") {
  TEST_CASE("X3: who has not everything on its disk does not acknowledge that the group is journaled") {
    falls_with(mutation::copy_not_awaited, [] {
      auto s = stage::founded(3, in_memory());
      REQUIRE(s.submit(0, "before") == submit_status::taken);
      s.go(100ms);
      REQUIRE(holders(s, "before") == 3);
      for (auto& m : s.members) m.disk_works = false;
      ask_for(s, true);
      s.go(500ms);
      const bool waited = all_in_view(s, 0);
      for (auto& m : s.members) m.disk_works = true;
      s.go(500ms);
      CHECK(all_in_view(s, 1));
      return waited;
    });
  }

  TEST_CASE("X3: two disks of three carry a group over, and what was delivered before with it") {
    auto s = stage::founded(3, in_memory());
    REQUIRE(s.submit(0, "before") == submit_status::taken);
    s.go(100ms);
    const auto slow = static_cast<unsigned>((s.leader() + 1) % 3);
    s.members[slow].disk_works = false;
    ask_for(s, true);
    s.go(500ms);
    REQUIRE(all_in_view(s, 1));
    CHECK(!s.inside(slow).secured());
    REQUIRE(s.submit(slow, "behind") == submit_status::taken);
    s.go(100ms);
    REQUIRE(holders(s, "behind") == 3);
    std::vector<voter_id> before;
    for (const auto& m : s.members) before.push_back(m.id);
    s.crash(slow);
    s.members[slow].disk_works = true;
    for (unsigned i = 0; i < 3; ++i)
      if (i != slow) s.crash(i);
    for (auto& m : s.members) m.delivered.clear();
    for (unsigned i = 0; i < 3; ++i) s.start(i);
    for (unsigned i = 0; i < 3; ++i) CHECK((s.members[i].id == before[i]) == (i != slow));
    s.go(3s);
    CHECK(s.inside(0).in_force->options.durable);
    for (unsigned i = 0; i < 3; ++i) CHECK(s.status(i).active);
    CHECK(s.inside(0).delivered == s.inside(1).delivered);
    CHECK(s.inside(0).delivered >= 2);
  }

  TEST_CASE("X3: what a disk held before the group left it does not vote again") {
    falls_with(mutation::retirement_not_written, [] {
      auto s = stage::founded(3, durable());
      REQUIRE(s.submit(0, "on disk") == submit_status::taken);
      s.go(100ms);
      ask_for(s, false);
      s.go(500ms);
      REQUIRE(all_in_view(s, 1));
      for (const auto& m : s.members) REQUIRE(inspector::of(*m.core).kept == inspector::inside::keeping::memory);
      REQUIRE(s.submit(0, "in memory") == submit_status::taken);
      s.go(100ms);
      const auto one = static_cast<unsigned>((s.leader() + 1) % 3);
      const auto former = s.members[one].id;
      s.crash(one);
      s.start(one);
      const bool another = s.members[one].id != former && !s.status(one).founded;
      s.go(3s);
      CHECK(s.status(one).active);
      return another;
    });
  }

  TEST_CASE("X3: until a disk says that it counts no more, its member promises nothing that is not on it") {
    auto s = stage::founded(3, durable());
    ask_for(s, false);
    const auto one = static_cast<unsigned>((s.leader() + 1) % 3);
    // Everybody installs the VIEW; this member's disk stops right there.
    for (int i = 0; i < 100 && s.inside(one).in_force->number == 0; ++i) {
      s.now += 10ms;
      for (unsigned k = 0; k < 3; ++k) s.pass(k);
      s.settle();
      s.members[one].disk_works = s.inside(one).in_force->number == 0;
    }
    REQUIRE(s.inside(one).in_force->number == 1);
    s.members[one].disk_works = true;
    s.go(200ms);
    CHECK(s.inside(one).kept == inspector::inside::keeping::memory);
  }

  TEST_CASE("X3: to the disks, to memory and back, with a restart of one and of all") {
    auto s = stage::founded(3, in_memory());
    for (int turn = 1; turn <= 2; ++turn) {
      REQUIRE(s.submit(0, "before" + std::to_string(turn)) == submit_status::taken);
      ask_for(s, true);
      s.go(500ms);
      REQUIRE(s.inside(0).in_force->options.durable);
      const auto number = s.inside(0).delivered;
      restart_all(s);
      for (unsigned i = 0; i < 3; ++i) {
        REQUIRE(s.status(i).active);
        CHECK(s.inside(i).delivered >= number);
      }
      REQUIRE(s.leader() >= 0);
      ask_for(s, false);
      s.go(500ms);
      REQUIRE(!s.inside(0).in_force->options.durable);
      const auto one = static_cast<unsigned>((s.leader() + 1) % 3);
      s.crash(one);
      s.start(one);
      CHECK(!s.status(one).founded);
      s.go(3s);
      REQUIRE(s.status(one).active);
      REQUIRE(s.leader() >= 0);
    }
  }

  TEST_CASE("X3: a group does not leave its disks while voters are away") {
    auto s = stage::founded(3, durable());
    const auto gone = static_cast<unsigned>((s.leader() + 1) % 3);
    s.crash(gone);
    s.go(3s);
    const auto leader = static_cast<unsigned>(s.leader());
    const auto number = s.inside(leader).in_force->number;
    REQUIRE(number == 1);
    ask_for(s, false);
    s.go(500ms);
    CHECK(s.inside(leader).in_force->number == number);
    const auto& told = s.members[leader].events;
    const auto refused = std::ranges::find(told, event_kind::change_refused, &event::kind);
    REQUIRE(refused != told.end());
    CHECK(static_cast<change_refusal>(refused->index) == change_refusal::voters_away);
  }
}
