// A member that comes while the group works (S7, W6), and what it costs the others.
#include "tests/trace/directed.hpp"

namespace cohort::trace {

namespace {

/// Three members; the process of C was replaced and is a learner that has its state. Until it is `fed` it gets none of the payload
/// that lies between the checkpoint and the view that admits it, so that it cannot come to that view.
struct learner {
  stage s;
  unsigned a = static_cast<unsigned>(s.leader()), c = (a + 2) % 3;
  std::size_t behind = 0;  ///< batches that it lacks
  bool ready = false;

  explicit learner(core_options o) : s(stage::founded(3, o)) {
    for (int i = 0; i < 30; ++i) {
      s.submit(a, std::string(400, 'x'));
      s.settle();
    }
    s.want_checkpoint(a);
    submit(5);
    s.crash(c);
    s.start(c);
    for (const auto end = s.now + 3s; s.now < end && !ready;) {
      pass_time();
      const auto* r = entry();
      ready = r && r->active && !r->voter && s.status(c).founded && !s.status(c).active;
    }
  }
  const roster_entry* entry() const { return find(*s.inside(a).in_force, s.members[c].id); }
  bool feeds(const flying& f) const { return (f.to == c && is<batch>(f)) || (f.from == c && is<pull>(f)); }
  bool passes(const flying& f) const { return !feeds(f); }

  void submit(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      behind += s.submit(a, std::string(400, 'x')) == submit_status::taken;
      s.deliver([&](const flying& f) { return passes(f); });
    }
  }
  void pass_time() {
    s.go(10ms, false);
    s.deliver([&](const flying& f) { return passes(f); });
    s.drop(everything);
  }
  /// So many batches reach it at most. Those that did.
  std::size_t feed(duration limit, std::size_t most) {
    std::size_t got = 0;
    for (const auto end = s.now + limit; s.now < end;) {
      s.go(10ms, false);
      s.deliver([&](const flying& f) {
        if (f.to != c || !is<batch>(f)) return true;
        got += got < most;
        return got < most;
      });
      s.drop(everything);
      if (const auto* r = entry(); r && r->voter) break;
    }
    return got;
  }
};

/// A sends ten messages in 10 ms, of which C takes less once it was replaced.
struct loaded {
  stage s = stage::founded(3, options());
  unsigned a = static_cast<unsigned>(s.leader()), c = (a + 2) % 3;

  static core_options options() {
    auto o = in_memory();
    o.checkpoint_bytes = 1'000'000;
    o.lane_window = 16'000;
    o.part_bytes = 2000;
    return o;
  }
  const roster_entry* entry() const { return find(*s.inside(a).in_force, s.members[c].id); }
  bool votes() const { return entry() && entry()->voter; }

  /// Of the ten, those that A took. What C does not take stays on its link.
  std::size_t step(std::size_t takes) {
    s.go(10ms, false);
    const bool shut = takes == 0;
    const auto passes = [&](const flying& f) {
      if (f.to != c) return true;
      return is<batch>(f) ? takes > 0 && takes-- > 0 : !shut || !is<chunk>(f);
    };
    std::size_t sent = 0;
    while (sent < 10 && s.submit(a, std::string(400, 'x')) == submit_status::taken) {
      ++sent;
      s.deliver(passes);
    }
    s.deliver(passes);
    return sent;
  }
  /// C is replaced, and lacks some windows when it begins to be fed.
  bool learns() {
    for (int i = 0; i < 100; ++i)
      if (step(100) != 10) return false;
    s.crash(c);
    for (int i = 0; i < 5; ++i) step(0);
    s.start(c);
    for (int i = 0; i < 50; ++i) step(0);
    return entry() && entry()->active && !entry()->voter && !s.status(c).founded;
  }
};

core_options with_checkpoints() {
  auto o = in_memory();
  o.checkpoint_bytes = 8000;
  return o;
}

}  // namespace

TEST_SUITE("directed") {
  TEST_CASE("W6: a learner that has not come to the view is sent no batches unasked") {
    falls_with(mutation::learner_fed_early, [] {
      learner l(with_checkpoints());
      std::size_t unasked = 0;
      for (int i = 0; i < 20 && l.ready; ++i) {
        l.behind += l.s.submit(l.a, std::string(400, 'x')) == submit_status::taken;
        l.s.deliver([&](const flying& f) {
          unasked += f.to == l.c && is<batch>(f);
          return l.passes(f);
        });
        l.s.drop(everything);
      }
      l.feed(3s, 1000);
      return l.ready && unasked == 0 && l.entry()->voter;
    });
  }

  TEST_CASE("FC4: a learner may take longer than T_fail to read its state") {
    falls_with(mutation::learner_taken_for_stuck, [] {
      learner l(with_checkpoints());
      l.submit(20);
      const auto admitted = l.s.inside(l.a).in_force->number;
      for (const auto end = l.s.now + 2 * l.s.options.fail_after; l.s.now < end;) l.pass_time();
      const bool waits = l.ready && l.entry() && l.s.inside(l.a).in_force->number == admitted;
      l.feed(3s, 1000);
      return waits && l.entry() && l.entry()->voter;
    });
  }

  TEST_CASE("L7: who lags far behind is sent nothing twice") {
    falls_with(mutation::pulled_twice, [] {
      learner l(with_checkpoints());
      l.submit(200);
      l.s.drop(everything);
      const auto got = l.feed(3s, 1000);
      return l.ready && l.behind == 205 && l.entry()->voter && got >= l.behind && got < l.behind + 10;
    });
  }

  TEST_CASE("L7: what was asked for and lost is asked for again") {
    learner l(with_checkpoints());
    l.submit(200);
    l.s.drop(everything);
    REQUIRE(l.ready);
    int sent = 0;
    const auto before = l.s.members[l.c].delivered.size();
    for (const auto end = l.s.now + 10s; l.s.now < end && l.s.members[l.c].delivered.size() < before + l.behind;) {
      l.s.go(10ms, false);
      l.s.deliver([&](const flying& f) { return f.to != l.c || !is<batch>(f) || ++sent % 7 != 0; });
      l.s.drop(everything);
    }
    CHECK(l.entry()->voter);
    CHECK(l.s.members[l.c].delivered.size() == before + l.behind);
  }

  TEST_CASE("FC5: a sender that is faster than a learner makes room for it") {
    const auto converges = [] {
      loaded l;
      if (!l.learns()) return false;
      std::size_t steps = 0, sent = 0;
      for (; steps < 1000 && !l.votes(); ++steps) sent += l.step(9);
      const bool close = l.s.status(l.c).applied + 80 >= l.s.status(l.a).applied;  // W6, whatever has been trimmed meanwhile
      return l.votes() && close && sent >= 75 * steps / 10;
    };
    falls_with(mutation::pace_not_kept, converges);
    falls_with(mutation::served_answered_too, converges);
  }

  TEST_CASE("FC5: and keeps four fifths of its pace, however slow the learner is") {
    loaded l;
    REQUIRE(l.learns());
    std::size_t sent = 0;
    for (int i = 0; i < 100; ++i) sent += l.step(1);
    CHECK(sent >= 750);
    CHECK(sent <= 900);
    CHECK_FALSE(l.votes());
  }

  TEST_CASE("S9: the state is given at a pace while the group works, and at once while it rests") {
    falls_with(mutation::chunks_given_at_once, [] {
      auto o = with_checkpoints();
      o.chunk_bytes_per_second = 10u << 20;  // 40 chunks
      auto s = stage::founded(3, o);
      s.checkpoint_chunks = 1000;
      const auto a = static_cast<unsigned>(s.leader()), c = (a + 2) % 3;
      for (int i = 0; i < 30; ++i) {
        s.submit(a, std::string(400, 'x'));
        s.settle();
      }
      s.want_checkpoint(a);
      std::uint32_t asked = 0;
      const auto given = [&] {
        return std::ranges::count_if(s.members[a].events, [](const event& e) { return e.kind == event_kind::chunk_wanted; });
      };
      const auto run = [&](int steps, bool works) {
        const auto before = given();
        for (int i = 0; i < steps; ++i) {
          s.go(10ms);
          if (works) s.submit(a, std::string(400, 'x'));
          for (; asked < given() + s.options.chunk_window; ++asked) s.inject(c, a, pull_chunk{s.status(a).checkpoint, asked + 1});
          s.settle();
        }
        return given() - before;
      };
      const auto working = run(100, true);
      s.go(1500ms);
      const auto resting = run(10, false);
      return working >= 35 && working <= 50 && resting == 80;
    });
  }

  TEST_CASE("V3: a wedge that comes before its view is answered when that is installed") {
    falls_with(mutation::early_wedge_forgotten, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      const wedge early{s.status(a).term, 77, s.status(b).in_force->number + 1};
      s.inject(a, b, early);
      s.settle();
      const bool waits = !s.status(b).wedged;
      s.crash(c);
      std::size_t answers = 0;
      for (int i = 0; i < 500; ++i) {
        s.go(10ms, false);
        s.deliver([&](const flying& f) {
          const auto* r = std::get_if<report>(&f.what);
          answers += f.from == b && f.to == a && r && r->attempt == early.attempt && r->view == early.view;
          return true;
        });
      }
      return waits && answers == 1 && s.inside(b).in_force->number == early.view;
    });
  }

  TEST_CASE("S2: nobody makes another checkpoint while one is fetched") {
    falls_with(mutation::fed_made_to_wait, [] {
      auto o = durable();
      o.checkpoint_entries = 20;
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader()), c = (a + 2) % 3;
      const auto say = [&](int messages) {
        for (int i = 0; i < messages; ++i) {
          if (const auto made = s.status(a).checkpoint) s.inject(c, a, pull_chunk{made, 1});
          s.submit(a, std::string(400, 'x'));
          s.settle();
        }
      };
      s.checkpoint_chunks = 1;
      say(30);
      const auto made = s.status(a).checkpoint;
      say(60);
      const bool waited = s.status(a).checkpoint == made;
      s.go(3s);
      s.submit(a, "x");
      s.settle();
      return made > 0 && waited && s.status(a).checkpoint > made;
    });
  }

  TEST_CASE("S2: a group in memory keeps no checkpoint but for whom it is made, and trims without one") {
    falls_with(mutation::released_in_use, [] {
      auto s = stage::founded(3, with_checkpoints());
      const auto a = static_cast<unsigned>(s.leader()), c = (a + 2) % 3;
      for (int i = 0; i < 100; ++i) {
        s.submit(a, std::string(400, 'x'));
        s.settle();
      }
      s.go(1s);
      CHECK(s.status(a).checkpoint == 0);
      CHECK(s.status(a).base > 0);
      CHECK(s.status(a).payload_bytes < 3 * s.options.checkpoint_bytes);
      s.crash(c);
      s.start(c);
      for (const auto end = s.now + 3s; s.now < end && !s.status(c).active;) s.go(10ms);
      const bool given = s.status(c).active && s.status(a).checkpoint > 0;
      s.go(3s);
      CHECK(s.status(a).checkpoint == 0);
      return given && s.status(c).checkpoint == 0;
    });
  }

  TEST_CASE("S2: a checkpoint from below the log is given to nobody") {
    falls_with(mutation::trimmed_checkpoint_given, [] {
      auto o = with_checkpoints();
      o.lane_window = 1000;
      o.part_bytes = 500;
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader()), c = (a + 2) % 3;
      s.want_checkpoint(a);
      s.submit(a, "x");
      s.settle();
      for (int i = 0; i < 1000 && s.status(a).base <= s.status(a).checkpoint; ++i) {
        s.submit(a, std::string(400, 'x'));
        s.settle();
      }
      if (s.status(a).checkpoint == 0 || s.status(a).base <= s.status(a).checkpoint) return false;
      s.crash(c);
      s.start(c);
      for (const auto end = s.now + 10s; s.now < end && !s.status(c).active;) s.go(10ms);
      return s.status(c).active;
    });
  }
}

}  // namespace cohort::trace
