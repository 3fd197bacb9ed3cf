// Directed tests: rules whose breach random schedules hardly meet. Each holds, and falls when its mistake is planted.
#include "tests/trace/directed.hpp"

#include <algorithm>
#include <utility>

using namespace cohort;
using namespace cohort::trace;

TEST_SUITE("directed") {
  TEST_CASE("C3 (F35): an ack covers verified entries only") {
    falls_with(mutation::ack_unverified, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3;
      // A appends a cut that reaches nobody; B, leading the next term, has another entry at that index.
      const auto term = s.status(a).term;
      s.submit(a, "lost");
      s.drop(everything);
      const auto stale = s.inside(a).log.last();
      append heartbeat;
      heartbeat.term = term + 1;
      heartbeat.prev_index = stale;
      heartbeat.prev_term = term + 1;
      s.inject(b, a, heartbeat);
      s.deliver([&](const flying& f) { return f.from == b; });
      return !(s.inside(a).match_term == term + 1 && s.inside(a).match >= stale);
    });
  }

  TEST_CASE("S3, S5 (F23): an active member never skips deliveries by a checkpoint") {
    falls_with(mutation::active_takes_checkpoint, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      s.isolate(c);
      for (int i = 0; i < 5; ++i) s.submit(a, "m" + std::to_string(i)), s.settle();
      s.heal();
      const auto& inside = s.inside(a);
      const mark at{inside.applied, inside.log.term_at(inside.applied), inside.applied_time, inside.applied_cut,
                    inside.in_force, inside.delivered};
      chunk offer;
      offer.term = s.status(a).term;
      offer.index = at.index;
      struct head {
        std::vector<std::byte> bytes;
        std::uint32_t size;
      };
      auto h = std::make_shared<head>();
      h->bytes = encode_mark(at, 0, simple_sum);
      h->size = static_cast<std::uint32_t>(h->bytes.size());
      offer.data = {h, {&h->size, 1}, h->bytes};
      s.drop(everything);
      s.inject(a, c, offer);
      s.deliver([&](const flying& f) { return f.to == c; });
      s.go(1s);
      return s.members[c].delivered == s.members[a].delivered;
    });
  }

  TEST_CASE("PA1: a restarted process does not vote for its dead life") {
    falls_with(mutation::pa1_voter_by_name, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      s.crash(c, false);
      s.start(c);
      s.isolate(a);
      s.drop(everything);
      // B has its own vote and a forged grant of the process that now runs under C's name: no quorum of {A, B, old C}.
      for (int i = 0; i < 200 && s.inside(b).role != core_role::pre_candidate; ++i) s.go(10ms, false);
      vote grant;
      grant.phase = vote_phase::pre;
      grant.granted = true;
      grant.term = s.status(b).term;
      grant.for_term = s.status(b).term + 1;
      s.drop(everything);
      s.inject(c, b, grant);
      s.deliver([&](const flying& f) { return f.to == b; });
      return s.inside(b).role == core_role::pre_candidate;
    });
  }

  TEST_CASE("PA2: a volatile group that lost all members is not founded again by itself") {
    falls_with(mutation::pa2_founded_again, [] {
      auto s = stage::founded(3, in_memory());
      for (unsigned i = 0; i < 3; ++i) s.crash(i);
      for (unsigned i = 0; i < 3; ++i) s.start(i);
      // The worst case: HELLO told them blank.
      for (unsigned i = 0; i < 3; ++i)
        for (unsigned k = 0; k < 3; ++k)
          if (i != k) s.members[i].core->link_up(s.members[k].id, true);
      s.go(7s);
      bool told = false, founded = false;
      for (unsigned i = 0; i < 3; ++i) {
        founded |= s.status(i).founded;
        told |= std::ranges::any_of(s.members[i].events, [](const auto& e) { return e.kind == event_kind::unfounded_restart; });
      }
      return !founded && told;
    });
  }

  TEST_CASE("V19: whoever dies while only one founder has begun, the others go on and take it in again") {
    for (unsigned victim = 0; victim < 3; ++victim) {
      stage s(3, in_memory());
      unsigned begun = 0;
      for (int i = 0; i < 1000 && begun == 0; ++i) {
        if (s.in_flight.empty()) s.go(10ms, false);
        bool first = true;
        s.deliver([&](const flying&) { return std::exchange(first, false); });
        for (unsigned k = 0; k < 3; ++k) begun += s.status(k).founded;
      }
      REQUIRE(begun == 1);
      s.crash(victim);
      s.go(1s);
      s.start(victim);
      s.go(8s);
      REQUIRE(s.leader() >= 0);
      for (unsigned k = 0; k < 3; ++k) CHECK(s.status(k).active);
    }
  }

  TEST_CASE("PA3: a later leader's wedge is not ended by an entry of its own term") {
    falls_with(mutation::pa3_wedge_term_not_raised, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      const auto term = s.status(a).term;
      // C is wedged in A's term. B wins the next term and wedges C before C knows B's NOOP to be committed.
      s.drop(everything);
      s.inject(a, c, wedge{term, 1, 0});
      s.deliver([&](const flying& f) { return f.to == c; });
      if (!s.status(c).wedged) return false;
      s.crash(a);
      s.drop(everything);
      append noop;
      noop.term = term + 1;
      noop.prev_index = s.inside(c).log.last();
      noop.prev_term = s.inside(c).log.last_term();
      entry e;
      e.index = noop.prev_index + 1;
      e.term = term + 1;
      e.cut = s.inside(c).log.cut_behind(noop.prev_index);
      e.time = s.inside(c).log.last_time();
      noop.entries = {e};
      s.inject(b, c, noop);
      s.deliver([&](const flying& f) { return f.to == c && is<append>(f); });
      s.inject(b, c, wedge{term + 1, 2, 0});
      s.deliver([&](const flying& f) { return f.to == c && is<wedge>(f); });
      append commit;
      commit.term = term + 1;
      commit.prev_index = e.index;
      commit.prev_term = e.term;
      commit.commit = e.index;
      s.inject(b, c, commit);
      s.deliver([&](const flying& f) { return f.to == c && is<append>(f); });
      return s.status(c).applied == e.index && s.status(c).wedged;
    });
  }

  TEST_CASE("PA4: an installed view is known to be committed after a restart of everybody") {
    falls_with(mutation::pa4_view_knowledge_volatile, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      s.crash(c);
      s.go(4s);
      if (s.members[a].views.back() != 1) return false;
      const auto index = s.inside(a).view_index;
      s.crash(a);
      s.start(a);
      return s.status(a).commit >= index && s.inside(a).governing_views().size() == 1;
    });
  }

  TEST_CASE("PA5 (F17): an entry counts at a member when that member's disk holds it, the leader's too") {
    falls_with(mutation::ack_before_fsync, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      for (auto& m : s.members) m.disk_works = false;
      const auto commit = s.status(a).commit;
      s.submit(a, "x");
      s.go(50ms);
      if (s.status(a).commit != commit) return false;
      s.sync((a + 1) % 3);
      s.go(50ms);
      if (s.status(a).commit != commit) return false;  // one disk of three
      s.sync(a);
      s.go(50ms);
      return s.status(a).commit > commit;
    });
  }

  TEST_CASE("PA5: a checkpoint verifies nothing against the leader's log") {
    falls_with(mutation::pa5_checkpoint_sets_match, [] {
      auto o = in_memory();
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      s.submit(a, "x");
      s.settle();
      s.crash(c);
      s.go(1s);
      s.start(c);
      for (int i = 0; i < 400 && !s.inside(c).has_state; ++i) {
        s.now += 5ms;
        s.pass(a);
        s.pass(c);
        s.deliver([&](const flying& f) { return !(f.to == c && is<append>(f)); });
      }
      if (!s.inside(c).has_state) return false;
      return s.inside(c).match == 0;
    });
  }

  TEST_CASE("PA6: joins wait while a transfer makes progress") {
    falls_with(mutation::pa6_joins_not_held, [] {
      auto s = stage::founded(5, in_memory());
      s.checkpoint_chunks = 4;
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 5, c = (a + 2) % 5;
      s.submit(a, "x");
      s.settle();
      s.crash(b);
      s.crash(c);
      s.go(1s);
      s.start(b);
      for (int i = 0; i < 200 && !s.inside(b).incoming.running; ++i) s.go(10ms);
      const auto number = s.inside(a).in_force->number;
      s.start(c);  // asks to join, too
      s.go(500ms);
      return s.inside(b).incoming.running && s.inside(a).in_force->number == number;
    });
  }

  TEST_CASE("PA7: a broken link between two followers does not close their windows") {
    falls_with(mutation::pa7_windows_by_acks_alone, [] {
      auto o = in_memory();
      o.lane_window = 4096;
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      s.cut(b, c);
      s.cut(c, b);
      unsigned taken = 0;
      for (int i = 0; i < 100; ++i) {
        taken += s.submit(b, std::string(1000, 'x')) == submit_status::taken;
        s.go(100ms);
      }
      return taken == 100 && s.members[c].delivered.size() == 100 && s.inside(a).in_force->number == 0;
    });
  }

  TEST_CASE("FC2: cuts keep up with the senders of orders that do not wait for cuts") {
    falls_with(mutation::cuts_by_time_alone, [] {
      auto o = in_memory();
      o.orders.add(order::fifo);
      o.lane_window = 4096;
      o.part_bytes = 2000;
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      unsigned taken = 0;
      for (int i = 0; i < 100; ++i) {  // many windows, and no heartbeat meanwhile
        taken += s.submit(b, std::string(1000, 'x'), order::fifo) == submit_status::taken;
        s.settle();
      }
      return taken == 100 && s.members[c].delivered.size() == 100 && s.members[a].delivered.size() == 100;
    });
  }

  TEST_CASE("W6: a learner does not become a voter while it lacks more than a window") {
    falls_with(mutation::promoted_far_behind, [] {
      auto o = in_memory();
      o.lane_window = 4096;
      o.part_bytes = 2000;
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 2) % 3;
      s.crash(c);
      s.go(4s);
      s.start(c);
      const auto number = s.inside(a).in_force->number;
      const auto some = [&](const auto& fits) {  // answers may be answered for ever
        int left = 100;
        s.deliver([&](const flying& f) { return fits(f) && left-- > 0; });
      };
      for (int i = 0; i < 1000 && s.inside(a).in_force->number == number; ++i) {  // it is admitted
        s.go(10ms, false);
        some([&](const flying& f) { return f.to != c || !s.inside(a).change.running; });
      }
      for (int i = 0; i < 20; ++i) {  // what the others have delivered when it installs that view
        if (s.submit(a, std::string(1000, 'x')) != submit_status::taken) return false;
        some([&](const flying& f) { return f.to != c; });
      }
      for (int i = 0; i < 50; ++i) {
        s.go(10ms, false);
        some([&](const flying& f) { return f.to != c || !is<batch>(f); });
        s.drop([&](const flying& f) { return f.to == c && is<batch>(f); });
      }
      const bool waits = s.status(c).active && s.inside(a).in_force->number == number + 1;
      s.go(2s);  // now it gets what it lacks
      const auto* r = find(*s.inside(a).in_force, s.members[c].id);
      return waits && r && r->voter && s.members[c].delivered.size() >= 20;
    });
  }

  TEST_CASE("PA8: after a restart of all, payload of every logged view's lanes is held") {
    falls_with(mutation::pa8_logged_lanes_dropped, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      s.crash(c);
      s.go(3s);
      s.start(c);
      s.go(2s);  // back with a new incarnation: its lane is known from a logged VIEW only
      s.submit(c, "through the new lane");
      s.settle();
      for (unsigned i = 0; i < 3; ++i) s.crash(i);
      for (unsigned i = 0; i < 3; ++i) s.start(i);
      for (unsigned i = 0; i < 3; ++i) {
        const auto& in = s.inside(i);
        if (!covers(in.lanes.held(in.log.last_view().what->number), in.log.cut_behind(in.log.last()))) return false;
      }
      return true;
    });
  }

  TEST_CASE("PA11: a member seen under a higher incarnation ends its former life at once") {
    falls_with(mutation::pa11_old_life_not_silent, [] {
      auto s = stage::founded(3, durable());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      s.crash(c, false);  // nobody sees a reset
      s.start(c);
      s.go(200ms);        // far less than T_fail
      return s.inside(a).in_force->number >= 1 && s.status(c).active;
    });
  }

  TEST_CASE("PA12: echoes count for the term in which they were sent") {
    falls_with(mutation::pa12_echo_of_any_term, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3;
      append future;
      future.term = s.status(a).term;
      future.send_time = 50s;  // the old leader's clock runs far ahead of the next one's
      s.drop(everything);
      s.inject(a, b, future);
      s.deliver([&](const flying& f) { return f.to == b; });
      s.inject(a, b, append{s.status(a).term + 1, 0, 0, 0, 2s, 0, {}});
      s.deliver([&](const flying& f) { return f.to == b; });
      return s.inside(b).echo_time == instant(2s);
    });
  }

  TEST_CASE("PA21: a sender whose clock runs ahead does not drag the others' stamps along") {
    falls_with(mutation::pa21_stamps_unbounded, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      s.members[b].clock_error = 1h;
      s.submit(b, "from the future");
      s.settle();
      return s.inside(c).largest_stamp >> 12 < 1'700'000'000'000'000u + 60'000'000u;
    });
  }

  TEST_CASE("agreed time: a leader whose clock runs ahead is refused and steps down") {
    falls_with(mutation::clock_ahead_accepted, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      s.members[a].clock_error = 10s;
      s.submit((a + 1) % 3, "x");
      s.go(3s);
      const auto late = std::chrono::microseconds(1'700'000'000'000'000) + 8s;
      return s.leader() >= 0 && s.leader() != static_cast<int>(a) && s.status(0).time < late &&
             s.members[a].delivered == std::vector<std::string>{"x"};
    });
  }

  TEST_CASE("R1: reads wait for an entry of the leader's own term and name its last index") {
    falls_with(mutation::read_at_commit, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      s.submit(a, "x");  // in the log, not known to be committed here
      s.drop(everything);
      const auto before = s.status(a).commit;
      s.read(a, 1);
      return s.inside(a).reads.unconfirmed.front().index > before;
    });
  }

  TEST_CASE("E5: link evidence is waived where leases are on") {
    for (const auto mode : {read_mode::read_index, read_mode::lease}) {
      auto o = in_memory();
      o.reads = mode;
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader());
      s.crash(a, true);
      s.go(100ms);
      CHECK((s.leader() >= 0) == (mode == read_mode::read_index));
      s.go(2s);
      CHECK(s.leader() >= 0);
    }
  }

  TEST_CASE("FC4: a member whose disk stands still is excluded, and comes back when it works again") {
    auto s = stage::founded(3, durable());
    const auto a = static_cast<unsigned>(s.leader());
    const unsigned c = (a + 1) % 3;
    s.members[c].disk_works = false;
    for (int i = 0; i < 40; ++i) s.submit(a, "m"), s.go(100ms);
    CHECK(s.inside(a).in_force->number == 1);
    CHECK(s.members[a].delivered.size() == 40);
    s.members[c].disk_works = true;
    s.sync(c);
    s.go(3s);
    CHECK(s.status(c).active);
    CHECK(s.members[c].delivered.size() == 40);
  }

  TEST_CASE("a leader whose disk stands still lets others lead") {
    auto s = stage::founded(3, durable());
    const auto a = static_cast<unsigned>(s.leader());
    s.members[a].disk_works = false;
    for (int i = 0; i < 60; ++i) s.submit((a + 1) % 3, "m"), s.go(100ms);
    CHECK(s.leader() >= 0);
    CHECK(s.leader() != static_cast<int>(a));
  }

  TEST_CASE("a blank disk under a founder's name enters as a learner and takes over the vote") {
    auto s = stage::founded(3, in_memory());
    const auto a = static_cast<unsigned>(s.leader());
    const unsigned c = (a + 1) % 3;
    s.submit(a, "before");
    s.settle();
    s.crash(c);
    const auto old = s.members[c].id;
    s.start(c);
    s.go(4s);
    const auto& v = *s.inside(a).in_force;
    CHECK(find(v, old) == nullptr);
    REQUIRE(find(v, s.members[c].id));
    CHECK(find(v, s.members[c].id)->voter);
    CHECK(voter_count(v) == 3);
    s.crash(a);  // the newcomer's vote counts: two of three go on
    s.go(2s);
    s.submit(c, "after");
    s.go(1s);
    CHECK(s.members[c].delivered.back() == "after");
  }
}
