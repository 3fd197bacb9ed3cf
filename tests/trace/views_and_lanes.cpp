// Directed tests of views and lanes: joint quorums, the reports behind a VIEW, what becomes of lanes that end or compete.
#include "framework/protocol/assembler.hpp"
#include "tests/trace/directed.hpp"

#include <algorithm>
#include <array>

using namespace cohort;
using namespace cohort::trace;

namespace {

/// Runs until `done`, delivering what passes; the rest is lost.
bool runs_until(stage& s, duration limit, const std::function<bool()>& done, const std::function<bool(const flying&)>& passes) {
  for (const instant end = s.now + limit; s.now < end && !done();) {
    s.now += 10ms;
    for (unsigned i = 0; i < s.members.size(); ++i)
      if (s.members[i].up) s.pass(i);
    s.deliver(passes);
    s.drop(everything);
  }
  return done();
}

bool votes_in(const view& v, voter_id id) {
  const auto* r = find(v, id);
  return r && r->voter;
}

/// An APPEND with the VIEW that hands the vote to `id`.
bool hands_vote(const flying& f, voter_id id) {
  const auto* a = std::get_if<append>(&f.what);
  return a && std::ranges::any_of(a->entries, [&](const entry& e) { return e.next && votes_in(*e.next, id); });
}

/// Several messages of one pass, also from a process that does not run under its member's name any more.
void hears(stage& s, unsigned at, std::vector<std::pair<voter_id, message>> what) {
  for (auto& [from, m] : what) s.members[at].core->receive(from, std::move(m));
  s.pass(at);
}

/// A process that was paused so long that another one runs under its name. When it wakes, both live.
struct sleeper {
  protocol::core core;
  voter_id id;

  static sleeper replaced(stage& s, unsigned i) {
    sleeper z{std::move(*s.members[i].core), s.members[i].id};
    s.crash(i, false);
    s.start(i);
    return z;
  }
  /// What it sends to that member in answer.
  std::vector<std::pair<voter_id, message>> answers(const stage& s, voter_id from, message what) {
    const auto wall = wall_time(1'700'000'000'000'000) + std::chrono::duration_cast<wall_time>(s.now);
    core.tick(s.now, wall);
    core.receive(from, std::move(what));
    core.tick(s.now, wall);
    core.drain();
    std::vector<std::pair<voter_id, message>> result;
    for (const auto& sent : core.out().sends)
      for (std::uint32_t t = 0; t < sent.target_count; ++t)
        if (core.out().targets[sent.first_target + t] == from.member) result.emplace_back(id, sent.what);
    core.out() = {};
    core.drained();
    return result;
  }
};

/// Three members, one of them replaced; the VIEW that gives the newcomer C the vote is in some logs, and not committed.
struct promotion {
  stage s = stage::founded(3, in_memory());
  unsigned a = static_cast<unsigned>(s.leader()), b = (a + 1) % 3, c = (a + 2) % 3;
  sleeper old = sleeper::replaced(s, c);

  log_index logged_by(unsigned i) const {
    if (!s.inside(i).has_state) return 0;
    const auto last = s.inside(i).log.last_view();
    return votes_in(*last.what, s.members[c].id) ? last.index : 0;
  }
  bool was_elected(unsigned i) const {
    return std::ranges::any_of(s.members[i].events, [](const event& e) { return e.kind == event_kind::elected; });
  }
  /// It reaches `at` and A; no other member hears of it.
  bool reaches(unsigned at) {
    return runs_until(s, 6s, [&] { return logged_by(at) != 0; }, [&](const flying& f) {
      const auto* told = std::get_if<ack>(&f.what);
      const bool of_it = told && logged_by(a) != 0 && told->match >= logged_by(a) && told->match_term == s.status(a).term;
      return !of_it && (f.to == at || !hands_vote(f, s.members[c].id));
    });
  }
};

/// Three members: B was excluded and asks to come back, C's process was replaced and is a learner. Only A is an active voter.
struct rebuilding {
  stage s = stage::founded(3, in_memory());
  unsigned a = static_cast<unsigned>(s.leader()), b = (a + 1) % 3, c = (a + 2) % 3;
  voter_id old_c = s.members[c].id;
  bool ready = false;

  rebuilding() {
    s.isolate(b);
    s.go(4s);
    s.heal();
    const auto no_wish_of_b = [&](const flying& f) { return f.from != b || !is<join>(f); };
    runs_until(s, 1s, [] { return false; }, no_wish_of_b);
    s.crash(c);
    s.start(c);
    runs_until(s, 4s, [] { return false; }, no_wish_of_b);
    const auto& v = *s.inside(a).in_force;
    const auto* newcomer = find(v, s.members[c].id);
    ready = newcomer && newcomer->active && !newcomer->voter && s.status(c).active && !s.status(b).active &&
            !s.inside(a).change.running;
  }
  std::size_t reporters(const view& v) const {
    return static_cast<std::size_t>(std::ranges::count_if(
      v.roster, [&](const auto& r) { return r.voter && s.inside(a).change.reports.contains(r.id); }));
  }
};

}  // namespace

TEST_SUITE("directed") {
  TEST_CASE("C4 (F9): a VIEW is not committed by a quorum of the new voters alone") {
    falls_with(mutation::view_by_new_quorum, [] {
      promotion p;
      if (!p.reaches(p.c)) return false;
      const auto index = p.logged_by(p.c);
      // A and C' hold it and say so: two of {A, B, C'}, one of {A, B, C}.
      runs_until(p.s, 300ms, [] { return false; }, [&](const flying& f) { return f.from != p.b && f.to != p.b; });
      return p.s.status(p.a).commit < index && p.s.status(p.c).commit < index;
    });
  }

  TEST_CASE("C4 (F10): a VIEW is not committed by a quorum of the old voters alone") {
    falls_with(mutation::view_by_old_quorum, [] {
      promotion p;
      if (!p.reaches(p.a)) return false;
      const auto index = p.logged_by(p.a);
      // C's former process wakes, takes what it missed and acks it: two of {A, B, C}, one of {A, B, C'}.
      const auto& log = p.s.inside(p.a).log;
      append missed;
      missed.term = p.s.status(p.a).term;
      missed.prev_index = p.old.core.status().last;
      missed.prev_term = log.term_at(missed.prev_index);
      for (auto i = missed.prev_index + 1; i <= log.last(); ++i) missed.entries.push_back(log.at(i));
      auto answers = p.old.answers(p.s, p.s.members[p.a].id, missed);
      if (p.old.core.status().last != index) return false;
      hears(p.s, p.a, std::move(answers));
      return p.s.status(p.a).commit < index;
    });
  }

  TEST_CASE("E2 (F28): who holds an uncommitted VIEW is not elected by its voters alone") {
    falls_with(mutation::quorum_of_last_view_only, [] {
      promotion p;
      if (!p.reaches(p.c)) return false;
      p.s.isolate(p.a);
      p.s.go(3s);  // C' is a voter of the VIEW and has B's vote: two of {A, B, C'}, one of {A, B, C}
      return !p.was_elected(p.c);
    });
  }

  TEST_CASE("E2 (M31): who holds an uncommitted VIEW is not elected by the voters before it alone") {
    falls_with(mutation::quorum_of_committed_view_only, [] {
      promotion p;
      if (!p.reaches(p.b)) return false;
      p.s.crash(p.a);
      // B reaches C's former process, not the new one: two of {A, B, C}, one of {A, B, C'}.
      for (const instant end = p.s.now + 3s; p.s.now < end;) {
        p.s.now += 10ms;
        p.s.pass(p.b);
        while (!p.s.in_flight.empty()) {
          const flying f = p.s.in_flight.front();
          p.s.in_flight.erase(p.s.in_flight.begin());
          if (f.from == p.b && f.to == p.c) hears(p.s, p.b, p.old.answers(p.s, p.s.members[p.b].id, f.what));
        }
      }
      return !p.was_elected(p.b);
    });
  }

  TEST_CASE("V6 (F34): no VIEW without reports of a quorum of the voters") {
    falls_with(mutation::final_cut_without_quorum, [] {
      rebuilding r;
      if (!r.ready) return false;
      const auto number = r.s.inside(r.a).in_force->number;
      // B asks to come back and its reports get lost. The newcomer's count for nothing: it has no vote yet.
      runs_until(r.s, 1s, [] { return false; }, [&](const flying& f) { return f.from != r.b || !is<report>(f); });
      if (r.s.inside(r.a).log.last_view().what->number != number) return false;
      if (!r.s.inside(r.a).change.reports.contains(r.s.members[r.c].id)) return false;
      r.s.go(2s);
      return votes_in(*r.s.inside(r.a).in_force, r.s.members[r.c].id);
    });
  }

  TEST_CASE("V10 (F30): a quorum of a VIEW's voters has reported, or it could wait for ever") {
    falls_with(mutation::infeasible_view, [] {
      rebuilding r;
      if (!r.ready) return false;
      const auto& a = r.s.inside(r.a);
      if (!runs_until(r.s, 1s, [&] { return a.change.running; },
                      [&](const flying& f) { return !is<report>(f) && !is<wedge>(f); }))
        return false;
      // The newcomer is back under a new incarnation before it reports. C's former process has woken up, reports, and
      // gives A its quorum {A, C}. Of the voters {A, B, C'} none but A has reported.
      const auto newcomer = r.s.members[r.c].id;
      const auto inc = find(*a.in_force, newcomer)->inc + 1;
      ack known;
      known.term = known.match_term = r.s.status(r.a).term;
      known.inc = inc;
      known.match = known.applied = a.applied;
      known.view = a.in_force->number;
      known.have = a.lanes.held(known.view);
      report woken;
      woken.term = r.s.status(r.a).term;
      woken.attempt = a.change.attempt;
      woken.view = a.in_force->number;
      hears(r.s, r.a, {{r.old_c, woken}, {newcomer, join{inc, known.view, true}}, {newcomer, known}});
      if (!a.change.proposed) return false;
      const auto& proposed = *a.log.last_view().what;
      return r.reporters(proposed) >= quorum_size(proposed);
    });
  }

  TEST_CASE("L6 (F22): batches that come after their lane has ended are not kept") {
    falls_with(mutation::late_batches_accepted, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      s.cut(a, c);
      s.cut(c, a);
      s.submit(c, "late");
      // On its way to B until A has excluded C.
      std::vector<flying> late;
      for (const auto& f : s.in_flight)
        if (f.to == b && is<batch>(f)) late.push_back(f);
      // No answer of C by way of B: else B would lead, and nobody would be excluded (V21).
      const auto on_time = [&](const flying& f) { return !(f.from == c && is<batch>(f)) && !is<probe>(f); };
      if (late.empty() || !runs_until(s, 5s, [&] { return s.inside(b).in_force->number == 1; }, on_time)) return false;
      if (s.status(b).payload_bytes != 0) return false;
      for (const auto& f : late) s.inject(c, b, f.what);
      s.deliver([&](const flying& f) { return f.from == c && is<batch>(f); });
      return s.status(b).payload_bytes == 0;
    });
  }

  TEST_CASE("L8, V13 (F46): what lies above the final cut of a lane that ends is void") {
    falls_with(mutation::sealed_lane_not_capped, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      s.cut(a, c);
      s.cut(c, a);
      s.submit(c, "above");
      std::vector<flying> above;
      for (const auto& f : s.in_flight)
        if (f.to == b && is<batch>(f)) above.push_back(f);
      // B gets it when its front is frozen: its report does not tell of it.
      const auto held_up = [&](const flying& f) { return !(f.from == c && is<batch>(f)) && !is<report>(f) && !is<probe>(f); };
      if (above.empty() || !runs_until(s, 5s, [&] { return s.status(b).wedged; }, held_up)) return false;
      for (const auto& f : above) s.inject(c, b, f.what);
      s.deliver([&](const flying& f) { return f.from == c && is<batch>(f); });
      if (s.status(b).payload_bytes == 0) return false;
      const auto on_time = [&](const flying& f) { return !(f.from == c && is<batch>(f)) && !is<probe>(f); };
      if (!runs_until(s, 2s, [&] { return s.inside(b).in_force->number == 1; }, on_time)) return false;
      // A member still in the view that ended may ask for it: nobody gives it away.
      const auto slot_c = slot_of(*s.inside(c).in_force, s.members[c].id, s.status(c).inc);
      s.inject(a, b, pull{0, slot_c, 1, 1, member_id(c), s.status(c).inc});
      s.deliver([&](const flying& f) { return is<pull>(f); });
      const bool given = std::ranges::any_of(s.in_flight, [](const flying& f) { return is<batch>(f); });
      return s.status(b).payload_bytes == 0 && !given && s.members[b].delivered.empty();
    });
  }

  TEST_CASE("L3, I8 (S1): a slot of a VIEW that lost against another one means another lane") {
    falls_with(mutation::lane_by_slot_alone, [] {
      auto s = stage::founded(5, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      // Two VIEWs number 1: A's without E, which only B logs, and the next leader's without A. D's slot in the latter is
      // X's in the former.
      unsigned b = 5, d = 5, e = 5, x = 5;
      const auto slot_without = [](unsigned i, unsigned away) { return i - (i > away ? 1 : 0); };
      for (unsigned i = 0; i < 5 * 5 * 5 * 5; ++i) {
        const unsigned B = i % 5, D = i / 5 % 5, E = i / 25 % 5, X = i / 125;
        if (B == a || D == a || E == a || X == a || B == D || B == E || B == X || D == E || D == X || E == X) continue;
        if (slot_without(D, a) == slot_without(X, E)) b = B, d = D, e = E, x = X;
      }
      if (b == 5) return false;
      s.isolate(e);
      const auto names_view = [](const flying& f) {
        const auto* p = std::get_if<append>(&f.what);
        return p && std::ranges::any_of(p->entries, [](const entry& q) { return q.next != nullptr; });
      };
      if (!runs_until(s, 5s, [&] { return s.inside(b).log.last_view().what->number == 1; },
                      [&](const flying& f) { return f.to == b || !names_view(f); }))
        return false;
      // A dies; B hears wedges of the next leader and reports, but no APPEND reaches it.
      s.crash(a);
      s.heal();
      const auto bad_link = [&](const flying& f) {
        const auto* v = std::get_if<vote>(&f.what);
        return !(f.to == b && is<append>(f)) && !(f.from == b && v && v->request);
      };
      const auto installed = [&] { return s.inside(d).in_force->number == 1 && s.inside(x).in_force->number == 1; };
      if (!runs_until(s, 3s, installed, bad_link)) return false;
      const auto& won = *s.inside(d).in_force;
      if (slot_of(won, s.members[b].id, s.status(b).inc) == no_slot) return false;
      if (s.inside(b).log.last_view().what->number != 1 || s.inside(b).in_force->number != 0) return false;
      s.submit(d, "from d");
      s.deliver(bad_link);
      s.submit(x, "from x");
      s.deliver(bad_link);
      s.drop(everything);
      s.go(2s);
      return s.members[d].delivered.size() == 2 && s.members[b].delivered == s.members[d].delivered;
    });
  }

  TEST_CASE("L11: a large message that somebody came into begins again") {
    falls_with(mutation::interrupted_goes_on, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader()), c = (a + 1) % 3;
      s.crash(c);
      s.go(4s);
      const auto part = std::as_bytes(std::span("part"));
      auto& sender = *s.members[a].core;
      if (sender.submit_part(part, true) != submit_status::taken) return false;
      s.go(1s);
      s.start(c);
      s.go(4s);
      if (!s.status(c).active) return false;
      const bool told = sender.submit_part(part, false) == submit_status::interrupted;
      return told && sender.submit_part(part, true) == submit_status::taken && sender.submit_part(part, false) == submit_status::taken;
    });
  }

  TEST_CASE("L11: parts from before somebody came are delivered to nobody") {
    falls_with(mutation::interrupted_delivered, [] {
      auto options = in_memory();
      options.orders = {order::fifo, order::total};
      auto s = stage::founded(3, options);
      const auto a = static_cast<unsigned>(s.leader()), b = (a + 1) % 3, c = (a + 2) % 3;
      s.crash(c);
      s.go(4s);
      const auto begun = s.inside(b).in_force->number;
      s.start(c);
      s.go(4s);
      if (!s.status(c).active || s.inside(b).in_force->number == begun) return false;
      const auto& v = *s.inside(b).in_force;
      const auto& lane = *s.inside(b).lanes.find(v.number, slot_of(v, s.members[a].id, s.status(a).inc, lane_kind::plain));
      batch end;
      end.view = v.number;
      end.slot = slot_of(v, s.members[a].id, s.status(a).inc, lane_kind::plain);
      end.seq = lane.held() + 1;
      end.stamp = 1;
      end.owner = s.members[a].id.member;
      end.inc = s.status(a).inc;
      end.cls = order::fifo;
      end.part = {1, false, begun};
      static constexpr std::uint32_t size = 3;
      end.what = {nullptr, {&size, 1}, std::as_bytes(std::span("end")).first(3)};
      const auto before = s.members[b].delivered.size();
      s.inject(a, b, end);
      s.settle();
      return lane.held() == end.seq && s.members[b].delivered.size() == before;
    });
  }

  TEST_CASE("S3: a leader that cannot serve a member it needs lets one lead whose log reaches further back") {
    falls_with(mutation::stranded_forever, [] {
      auto options = durable();
      options.checkpoint_entries = 3;
      auto s = stage::founded(5, options);
      const auto q = static_cast<unsigned>(s.leader());
      const unsigned l = (q + 1) % 5, m = (q + 2) % 5, x = (q + 3) % 5, y = (q + 4) % 5;
      const auto say = [&](unsigned i, const char* what) {
        for (int n = 0; n < 12; ++n) s.submit(i, what), s.settle();
      };
      say(q, "all");
      s.crash(l);
      s.go(4s);
      say(q, "without L");
      // M stays active and hears no news. L comes back by a checkpoint of what M lacks, catches up, and leads.
      const auto no_news = [&](const flying& f) {
        const auto* a = std::get_if<append>(&f.what);
        return f.to != m || !a || a->entries.empty();
      };
      for (int n = 0; n < 12; ++n) {
        s.submit(q, "without M");
        runs_until(s, 20ms, [] { return false; }, no_news);
      }
      s.start(l);
      runs_until(s, 1s, [&] { return s.status(l).active && s.status(l).applied == s.status(q).applied; }, no_news);
      s.hand_over(q, member_id(l));
      if (!runs_until(s, 500ms, [&] { return s.status(l).is_leader && s.status(l).commit == s.status(l).last; }, no_news)) return false;
      if (s.status(l).base <= s.status(m).applied) return false;
      // Now nothing is committed without M.
      s.crash(x, false);
      s.crash(y, false);
      s.submit(l, "last");
      s.go(20s);
      return std::ranges::all_of(std::array{l, q, m}, [&](unsigned i) { return !s.members[i].delivered.empty() && s.members[i].delivered.back() == "last"; });
    });
  }

  TEST_CASE("W3 (F47): a witness hears of an entry only when its leader is not alone with the payload") {
    falls_with(mutation::witness_first, [] {
      stage s(3, durable(), {member_id(2)});
      s.go(1s);
      const auto a = static_cast<unsigned>(s.leader());
      s.submit(a, "payload");
      const auto proposed = [&] { return s.status(a).last; };
      runs_until(s, 200ms, [] { return false; }, [&](const flying& f) { return f.from == 2 || f.to == 2; });
      return proposed() > s.status(2).last && s.status(a).commit < proposed();
    });
  }

  TEST_CASE("W3: a member and a witness go on when the member that led dies, and hold on to it while it only restarts") {
    falls_with(mutation::dead_awaited_with_witness, [] {
      stage s(3, durable(), {member_id(2)});
      s.go(1s);
      const auto a = static_cast<unsigned>(s.leader()), b = 1 - a;
      s.submit(a, "with both");
      s.go(500ms);
      s.crash(a);
      s.go(8s);
      s.submit(b, "alone");
      s.go(1s);
      const auto has = [&](unsigned i, const char* text) { return std::ranges::find(s.members[i].delivered, text) != s.members[i].delivered.end(); };
      if (!s.status(b).is_leader || !has(b, "with both") || !has(b, "alone")) return false;
      s.start(a);
      s.go(4s);
      return has(a, "alone");
    });
  }

  TEST_CASE("S4: what is kept for a member that is away is kept for so long after it went, however many views follow") {
    falls_with(mutation::retention_begins_anew, [] {
      auto options = durable();
      options.checkpoint_entries = 5;
      options.fail_after = 600ms;
      options.retain_time = 4s;
      auto s = stage::founded(3, options);
      const auto a = static_cast<unsigned>(s.leader()), c = (a + 1) % 3;
      s.crash(c);
      view_options rules = s.inside(a).in_force->options;
      bool kept = true;
      for (int step = 0; step < 160; ++step) {  // 8 s, and a view every second
        if (step % 20 == 10) {
          rules.lane_window += 1000;
          s.members[a].core->request(change_kind::options, no_member, rules);
        }
        s.submit(a, "x");
        s.go(50ms);
        if (step < 60) kept &= s.status(a).base == 0;
      }
      return kept && s.status(a).is_leader && s.status(a).in_force->number >= 6 && s.status(a).base > 0;
    });
  }

  TEST_CASE("X10: of two who change the same rules at once the second is told that others are in force, and undoes nothing") {
    falls_with(mutation::rules_put_back, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader()), b = (a + 1) % 3;
      const auto before = s.inside(a).in_force->options;
      auto safer = before, slower = before;
      safer.min_copies = 2;
      slower.lane_window *= 2;
      const auto safer_done = s.members[a].core->request(change_kind::options, no_member, safer, before);
      s.go(500ms);  // in force everywhere; who looked at the rules before that asks now
      const auto late = s.members[b].core->request(change_kind::options, no_member, slower, before);
      s.go(500ms);
      const auto told = [&](unsigned who, std::uint64_t id) {
        const auto e = std::ranges::find_if(s.members[who].events, [&](const event& each) {
          return each.number == id && (each.kind == event_kind::change_done || each.kind == event_kind::change_refused);
        });
        REQUIRE(e != s.members[who].events.end());
        return e->kind == event_kind::change_done ? change_refusal::none : static_cast<change_refusal>(e->index);
      };
      CHECK(told(a, safer_done) == change_refusal::none);
      const bool held = told(b, late) == change_refusal::rules_changed && s.inside(a).in_force->options == safer;

      // Both are under way at the same moment: one view takes one of them.
      const auto now = s.inside(a).in_force->options;
      auto third = now, fourth = now;
      third.lane_window *= 2;
      fourth.min_copies = 1;
      const auto first = s.members[a].core->request(change_kind::options, no_member, third, now);
      const auto second = s.members[b].core->request(change_kind::options, no_member, fourth, now);
      s.go(500ms);
      const auto done = (told(a, first) == change_refusal::none) + (told(b, second) == change_refusal::none);
      const auto overtaken = (told(a, first) == change_refusal::rules_changed) + (told(b, second) == change_refusal::rules_changed);
      return held && done == 1 && overtaken == 1;
    });
  }

  TEST_CASE("X1, L10: what was accepted under a larger limit is delivered under a smaller one") {
    falls_with(mutation::bound_of_newest_rules, [] {
      view v;
      v.roster = {{{member_id(0), 100}, 7, true, true}};
      v.options.message_bytes_max = v.largest_message = 1000;
      assembler made(10);
      made.bound_by(v);
      const std::vector<std::byte> bytes(600);
      const auto size = static_cast<std::uint32_t>(bytes.size());
      deliver_batch part;
      part.sender = member_id(0);
      part.inc = 7;
      part.what = {nullptr, {&size, 1}, bytes};
      part.part = {0, true, 0};
      part.seq = 1;
      if (made.take(part)) return false;
      v.number = 1;
      v.options.message_bytes_max = 100;
      made.bound_by(v);
      made.view_installed(v);
      part.what = {nullptr, {&size, 1}, std::span(bytes).first(300)};
      part.part = {1, false, 0};
      part.seq = 2;
      return made.take(part) && part.what.blob.size() == 900;
    });
  }

  TEST_CASE("FC4: what is kept for a learner that does not keep up has a bound") {
    falls_with(mutation::learner_kept, [] {
      auto options = in_memory();
      options.checkpoint_bytes = options.lane_window = 1000;
      auto s = stage::founded(3, options);
      const auto a = static_cast<unsigned>(s.leader()), c = (a + 1) % 3;
      s.crash(c);
      s.start(c);
      const auto no_checkpoint = [](const flying& f) { return !is<chunk>(f); };
      const auto learning = [&] {
        const auto* r = find(*s.inside(a).in_force, s.members[c].id);
        return r && r->active && !r->voter;
      };
      if (!runs_until(s, 3s, learning, no_checkpoint)) return false;
      std::size_t most = 0;
      for (int n = 0; n < 100; ++n) {  // in less than T_fail
        s.submit(a, std::string(400, 'x'));
        runs_until(s, 10ms, [] { return false; }, no_checkpoint);
        most = std::max(most, s.inside(a).lanes.bytes());
      }
      return most > 4000 && most <= 10'000;
    });
  }
}
