// Checkers of what lies below the applications' view: leaders, logs, cuts, payload, disks, reads. Each is shown ten legal and ten
// violating histories at least, every one as short as it can be.
#include "framework/simulation/check/linearizable.hpp"
#include "framework/simulation/trace.hpp"
#include "tests/sim/checkers/parts.hpp"
#include "tests/sim/kv_workload.hpp"

#include <doctest/doctest.h>

#include <map>
#include <sstream>

using namespace cohort;
using namespace cohort::sim;

namespace {

template <class Verdict, class Case>
void judge(Verdict verdict, const std::vector<Case>& legal, const std::vector<Case>& violating) {
  CHECK(legal.size() >= 10);
  CHECK(violating.size() >= 10);
  for (std::size_t i = 0; i < legal.size(); ++i) {
    INFO("legal ", i);
    CHECK(verdict(legal[i]));
  }
  for (std::size_t i = 0; i < violating.size(); ++i) {
    INFO("violating ", i);
    CHECK_FALSE(verdict(violating[i]));
  }
}

/// `a`, `b`: a life of two members; `A`: the next life of the first one.
const life& life_named(char c) {
  static const life later = life_of(0, 3);
  return c == 'a' ? a : c == 'b' ? b : later;
}

std::vector<std::string> words(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> all;
  for (std::string w; in >> w;) all.push_back(w);
  return all;
}

std::uint64_t number_in(const std::string& w, std::size_t at) { return std::stoull(w.substr(at)); }

payload text(const char* t) { return one_message(std::as_bytes(std::span(t, std::char_traits<char>::length(t)))); }

}  // namespace

TEST_SUITE("checkers") {
  TEST_CASE("I1: election safety, histories") {
    // a3: a is elected in term 3
    const auto verdict = [](const std::string& history) {
      auto c = check_election_safety();
      for (const auto& w : words(history)) c->happened(life_named(w[0]), elected(number_in(w, 1)));
      return good(c);
    };
    judge<decltype(verdict), std::string>(
      verdict, {"", "a1", "a1 b2", "a1 b2 a3", "b5", "a1 a2 a3", "b9 a1", "a1 b3 b7 a9", "a2 b1 a4 b3", "a1 b2 A3", "A7 a6 b8"},
      {"a1 b1", "b1 a1", "a1 A1", "a1 b2 a2", "b3 a3", "a1 b2 a3 b3", "a5 b6 A5", "a1 b1 a2", "b7 a8 b9 A8", "a2 b3 a4 A4", "a1 a1"});
  }

  TEST_CASE("I3: log matching, histories") {
    // a0:1.1.2x5: a sends entries 1 and 2, of terms 1 and 2, behind one of term 0; the last one's content is 5
    const auto verdict = [](const std::string& history) {
      auto c = check_log_matching();
      for (const auto& w : words(history)) {
        append m;
        m.prev_term = number_in(w, 1);
        auto at = w.find(':') + 1;
        entry e;
        e.index = number_in(w, at);
        while ((at = w.find('.', at)) != std::string::npos) {
          e.term = number_in(w, ++at);
          m.entries.push_back(e);
          ++e.index;
        }
        if (const auto content = w.find('x'); content != std::string::npos) m.entries.back().cut = {number_in(w, content + 1)};
        c->sent(life_named(w[0]), m);
      }
      return good(c);
    };
    judge<decltype(verdict), std::string>(
      verdict,
      {"a0:1.1 b0:1.1", "a0:1.1.1 b1:2.1", "a0:1.1 a1:2.1 a1:3.1", "a0:1.1 b0:1.2", "a0:1.1.1 b1:2.2", "a0:1.1x5 b0:1.1x5",
       "a0:1.1x5 b0:1.2x6", "a2:5.3 b2:5.3", "a0:1.1.2.3 b1:2.2.3", "a0:1.2 b0:1.3 a2:2.2 b3:2.3", "a4:9.4.5 A4:9.4.6"},
      {"a0:1.1x5 b0:1.1x6", "a1:2.3 b2:2.3", "a0:1.1.2 b0:2.2", "a3:9.4 b2:9.4", "a0:1.1x5 a0:1.1x6", "a0:2.1 a1:2.1",
       "a1:2.2x3 b1:2.2x4", "a1:2.1.1x9 b1:3.1x8", "a1:2.3.4 b2:3.4", "a0:1.1.2.2 b1:3.2", "a0:1.1x5 b0:1.2x6 A0:1.1x7"});
  }

  TEST_CASE("I4: leader completeness, histories") {
    struct leads {
      std::vector<term_number> log;
      term_number term;
    };
    const auto verdict = [](const leads& l) {
      auto c = check_leader_completeness();
      c->passed(a, inside_with_log({1, 1, 2}, 3).in);  // entry 3 counted in term 2
      inside_with_log leader({}, 0);
      for (const auto t : l.log) {
        entry e;
        e.index = leader.in.log.last() + 1;
        e.term = t;
        e.cut.assign(3, 0);
        leader.in.log.append(e, 0);
      }
      leader.in.role = core_role::leader;
      leader.in.promises.term = l.term;
      c->passed(b, leader.in);
      return good(c);
    };
    judge<decltype(verdict), leads>(verdict,
                                    {{{1, 1, 2}, 3}, {{1, 1, 2, 3}, 3}, {{1, 1, 2, 2}, 9}, {{1, 1, 2, 3, 4}, 4}, {{1, 1}, 2}, {{1}, 2},
                                     {{}, 2}, {{1, 1}, 1}, {{1}, 1}, {{1, 1, 1, 1}, 2}, {{1, 1, 2, 7}, 7}},
                                    {{{1, 1}, 3}, {{1, 1, 1}, 3}, {{1}, 3}, {{}, 3}, {{1, 1, 3}, 3}, {{1, 1, 1, 3}, 4}, {{1, 3}, 3},
                                     {{1, 1}, 9}, {{1, 1, 4, 4}, 4}, {{1, 1, 1, 1, 1}, 5}, {{2, 2, 2}, 3}});
  }

  TEST_CASE("I5: agreement, histories") {
    // a:1.1.2/2: a has entries of terms 1, 1, 2, and two of them are committed
    const auto verdict = [](const std::string& history) {
      auto c = check_agreement();
      for (const auto& w : words(history)) {
        inside_with_log l({}, number_in(w, w.find('/') + 1));
        for (auto at = w.find(':'); at != std::string::npos; at = w.find('.', at + 1)) {
          if (at + 1 >= w.size() || w[at + 1] == '/') break;
          entry e;
          e.index = l.in.log.last() + 1;
          e.term = number_in(w, at + 1);
          e.cut.assign(3, 0);
          l.in.log.append(e, 0);
        }
        c->passed(life_named(w[0]), l.in);
      }
      return good(c);
    };
    judge<decltype(verdict), std::string>(
      verdict,
      {"a:1/1", "a:1/1 b:1/1", "a:1.1/2 b:1.1.2/2", "a:1.1/2 b:1.1.2/3", "a:1.2/0 b:1.3/0", "a:1.2/1 b:1.3/1", "a:1.2/1 b:1.3/2 a:1.3/2",
       "a:2/1 b:2.2.2/3 A:2.2/2", "a:1.1.3/3 b:1/1", "a:4.4/2 b:4.4.5/3 a:4.4.5.6/4", "a:/0 b:7/1"},
      {"a:1/1 b:2/1", "a:1.2/2 b:1.3/2", "a:1.1/2 b:1.1.2/3 a:1.1.3/3", "a:3/1 A:4/1", "a:1.1.1/3 b:1.1.2/3", "a:1.2/2 b:1.1.1/2",
       "b:5/1 a:4.5/2", "a:1/1 b:1.2/2 a:1.3/2", "a:2.2/2 b:2.3/2", "a:1.1.1.1/4 b:1.1.1.2/4", "a:1.4/2 b:1/1 A:1.2/2"});
  }

  TEST_CASE("I6: cuts, histories") {
    const auto verdict = [](const std::vector<frontier>& all) {
      inside_with_log l({}, 0);
      for (const auto& cut : all) {
        entry e;
        e.index = l.in.log.last() + 1;
        e.term = 1;
        e.cut = cut;
        l.in.log.append(e, 0);
      }
      l.in.commit = l.in.log.last();
      auto c = check_cuts();
      c->passed(a, l.in);
      return good(c);
    };
    judge<decltype(verdict), std::vector<frontier>>(
      verdict,
      {{}, {{0, 0, 0}}, {{1, 0, 0}}, {{1, 0, 0}, {1, 0, 0}}, {{1, 0, 0}, {2, 0, 0}}, {{1, 0, 0}, {1, 1, 0}}, {{1, 2, 3}, {4, 5, 6}},
       {{0, 0, 1}, {0, 1, 1}, {1, 1, 1}}, {{9, 0, 0}, {9, 0, 0}, {9, 0, 8}}, {{5, 5, 5}, {5, 5, 5}, {5, 6, 5}}, {{1, 0, 0}, {1000000, 0, 0}}},
      {{{2, 0, 0}, {1, 0, 0}}, {{1, 0, 0}, {0, 1, 0}}, {{1, 1, 1}, {1, 1, 0}}, {{1, 1, 1}, {0, 0, 0}}, {{5, 0, 0}, {6, 0, 0}, {5, 0, 0}},
       {{0, 3, 0}, {9, 2, 9}}, {{0, 0, 1}, {0, 0, 0}}, {{1, 2, 3}, {4, 5, 2}}, {{9, 9, 9}, {9, 9, 9}, {9, 8, 9}}, {{1, 0, 0}, {2, 0, 0}, {3, 0, 0}, {2, 0, 0}},
       {{7, 7, 7}, {6, 7, 8}}});
  }

  TEST_CASE("I7: payload, histories") {
    struct lane_and_cut {
      frontier held, cut;
    };
    const auto verdict = [](const lane_and_cut& l) {
      inside_with_log core({1}, 0);
      for (slot s = 0; s < 3; ++s)
        for (sequence q = 1; q <= l.held[s]; ++q) {
          batch held;
          held.slot = s;
          held.seq = q;
          held.what = one_message({});
          core.in.lanes.find(0, s)->store(held, 0);
        }
      entry e;
      e.index = 2;
      e.term = 1;
      e.cut = l.cut;
      core.in.log.append(e, 0);
      auto c = check_payload_held();
      c->passed(a, core.in);
      return good(c);
    };
    judge<decltype(verdict), lane_and_cut>(
      verdict,
      {{{0, 0, 0}, {0, 0, 0}}, {{1, 0, 0}, {1, 0, 0}}, {{2, 0, 0}, {1, 0, 0}}, {{1, 1, 1}, {1, 1, 1}}, {{5, 4, 3}, {5, 4, 3}}, {{9, 9, 9}, {0, 0, 0}},
       {{0, 0, 7}, {0, 0, 7}}, {{0, 3, 0}, {0, 2, 0}}, {{1, 2, 3}, {0, 2, 3}}, {{4, 0, 4}, {4, 0, 1}}},
      {{{0, 0, 0}, {1, 0, 0}}, {{0, 0, 0}, {0, 1, 0}}, {{0, 0, 0}, {0, 0, 1}}, {{1, 0, 0}, {2, 0, 0}}, {{5, 4, 3}, {5, 4, 4}}, {{5, 4, 3}, {6, 4, 3}},
       {{9, 0, 9}, {9, 1, 9}}, {{0, 3, 0}, {0, 4, 0}}, {{1, 1, 1}, {2, 2, 2}}, {{0, 0, 7}, {7, 0, 0}}});
  }

  TEST_CASE("I8: lane uniqueness, histories") {
    struct two {
      batch first, second;
      bool sent = false;  ///< else journaled
    };
    const auto made = [](auto change) {
      batch x{0, 0, 1, 5, text("x"), member_id{0}, 7};
      change(x);
      return x;
    };
    const auto as = [&](auto change, bool sent = false) { return two{made([](batch&) {}), made(change), sent}; };
    const auto verdict = [](const two& t) {
      auto c = check_lane_uniqueness();
      for (const auto* x : {&t.first, &t.second}) {
        if (t.sent) c->sent(x == &t.first ? a : b, *x);
        else c->persisted(x == &t.first ? a : b, {1, persist_batch{*x}});
      }
      return good(c);
    };
    judge<decltype(verdict), two>(
      verdict,
      {as([](batch&) {}), as([](batch&) {}, true), as([](batch& x) { x.seq = 2; }), as([](batch& x) { x.seq = 2, x.what = text("y"); }),
       as([](batch& x) { x.inc = 8, x.what = text("y"); }), as([](batch& x) { x.owner = member_id{1}, x.what = text("y"); }),
       as([](batch& x) { x.cls = order::fifo, x.what = text("y"); }),  // in the other lane
       as([](batch& x) { x.seq = 9, x.stamp = 1; }), as([](batch& x) { x.slot = 2; }), as([](batch& x) { x.inc = 6, x.stamp = 9; }, true)},
      {as([](batch& x) { x.what = text("y"); }), as([](batch& x) { x.what = text("y"); }, true), as([](batch& x) { x.what = text("xx"); }),
       as([](batch& x) { x.what = text(""); }), as([](batch& x) { x.stamp = 6; }), as([](batch& x) { x.stamp = 4; }, true),
       as([](batch& x) { x.cls = order::causal; }), as([](batch& x) { x.view = 1; }), as([](batch& x) { x.tdep = 3; }),
       as([](batch& x) { x.deps = {1}; }), as([](batch& x) { x.view = 2, x.what = text("y"); }, true)});
  }

  TEST_CASE("I17: reads, histories") {
    // +7: the state of message 7 is reached somewhere; r1, w1: operation 1, a read or a write, is called; r1=5: it saw that, or is there
    const auto verdict = [](const std::string& history) {
      auto c = check_reads();
      for (const auto& w : words(history)) {
        if (w[0] == '+') {
          c->state_reached(a, number_in(w, 1), 0);
          continue;
        }
        auto o = op(number_in(w, 1), w[0] == 'r' ? operation::kind::read : operation::kind::write, 0, 0, 1, 2);
        const auto saw = w.find('=');
        if (saw == std::string::npos) {
          c->called(o);
        } else {
          o.position = number_in(w, saw + 1);
          c->returned(o);
        }
      }
      return good(c);
    };
    judge<decltype(verdict), std::string>(
      verdict,
      {"r1 r1=0", "+5 r1 r1=5", "+5 r1 r1=9", "r1 +5 r1=0", "+5 r1 +9 r1=5", "+5 r1 +9 r1=7", "+5 w1 w1=6", "w1 w1=1", "+3 r1 r2 r2=3 r1=3",
       "+3 w1 +7 r2 w1=4 r2=7", "+8 +4 r1 r1=8"},
      {"+5 r1 r1=4", "+5 r1 r1=0", "+5 r1 +9 r1=4", "+5 w1 w1=5", "+5 w1 w1=1", "w1 w1=0", "+3 r1 +7 r2 r1=3 r2=6", "+8 +4 r1 r1=7",
       "+1 +2 +3 r1 r1=2", "+9 r1 w2 w2=9 r1=9", "+6 r1 r1=6 +7 r2 r2=6"});
  }

  TEST_CASE("I18: trimming, histories") {
    struct trimming {
      log_index lagging_at;
      std::vector<log_index> bases;
      bool active = true, leads = true;
    };
    const auto verdict = [](const trimming& t) {
      inside_with_log lagging({1, 1, 1, 1, 1, 1}, 6), leader({1, 1, 1, 1, 1, 1}, 6);
      lagging.in.applied = t.lagging_at;
      leader.in.applied = 6;
      if (t.leads) leader.in.role = core_role::leader;
      lagging.in.my_slot = t.active ? 0 : no_slot;
      leader.in.my_slot = 1;
      lagging.in.promises.inc = leader.in.promises.inc = 1;
      auto c = check_trim();
      c->passed(a, lagging.in);
      for (const auto base : t.bases) {
        mark m;
        m.index = base;
        m.term = 1;
        m.in_force = view_of(0, {{0, 1}, {1, 1}, {2, 1}});
        m.cut.assign(3, 0);
        leader.in.log.trim(m);
        c->passed(b, leader.in);
      }
      return good(c);
    };
    judge<decltype(verdict), trimming>(
      verdict,
      {{6, {1, 3}}, {3, {1, 3}}, {5, {1, 2, 5}}, {2, {1, 2}}, {1, {1}}, {0, {3}}, {4, {2, 3, 4}}, {1, {1, 4}, false}, {0, {2, 6}, false},
       {2, {1, 3}, true, false}, {6, {1, 2, 3, 4, 5, 6}}},
      {{2, {1, 3}}, {1, {1, 2}}, {0, {1, 2}}, {4, {2, 3, 5}}, {3, {1, 6}}, {2, {2, 3}}, {5, {1, 2, 3, 4, 5, 6}}, {1, {1, 3, 5}}, {3, {3, 4}},
       {0, {1, 6}}});
  }

  TEST_CASE("I19: wedge promises, histories") {
    struct promised {
      bool wedged;
      term_number applied_term;
      frontier acked;
      frontier reported_again = {3, 2, 1};
    };
    const auto verdict = [](const promised& p) {
      inside_with_log l({p.applied_term}, 1);
      l.in.applied = 1;
      l.in.my_slot = 0;
      l.in.promises.inc = 1;
      l.in.wedged.on = p.wedged;
      auto c = check_wedge();
      c->installed(a, install(view_of(0, {{0, 1}, {1, 1}, {2, 1}}), 0));
      report r;
      r.term = 2;
      r.inc = 1;
      r.front = {3, 2, 1};
      c->sent(a, r);
      r.front = p.reported_again;
      c->sent(a, r);
      ack k;
      k.inc = 1;
      k.have = p.acked;
      c->sent(a, k);
      c->passed(a, l.in);
      return good(c);
    };
    judge<decltype(verdict), promised>(
      verdict,
      {{true, 1, {3, 2, 1}}, {true, 1, {0, 0, 0}}, {true, 2, {3, 2, 1}}, {true, 1, {2, 2, 1}}, {false, 3, {4, 2, 1}}, {false, 3, {3, 2, 1}},
       {false, 9, {9, 9, 9}}, {true, 3, {4, 4, 4}}, {true, 1, {3, 0, 1}}, {true, 2, {1, 1, 1}, {2, 2, 1}}},
      {{false, 2, {3, 2, 1}}, {false, 1, {3, 2, 1}}, {false, 1, {0, 0, 0}}, {true, 1, {4, 2, 1}}, {true, 1, {3, 3, 1}}, {true, 1, {3, 2, 2}},
       {true, 2, {9, 9, 9}}, {false, 2, {4, 2, 1}}, {true, 1, {3, 2, 1}, {4, 2, 1}}, {true, 2, {0, 0, 0}, {3, 2, 2}}});
  }

  TEST_CASE("O10: outcomes, histories") {
    // 1: operation 1 is called; 1d4: it is done, at position 4; l lost, r refused, ? open for ever; <1 it is delivered; $ the end
    const auto verdict = [](const std::string& history) {
      auto c = check_outcomes();
      std::map<std::uint64_t, operation> all;
      std::map<std::uint64_t, deliver_batch> messages;
      std::uint64_t position = 0;
      for (const auto& w : words(history)) {
        if (w[0] == '<') {
          auto d = messages.at(number_in(w, 1));
          d.position = d.seq = ++position;
          c->delivered(a, d);
          continue;
        }
        const auto number = number_in(w, 0);
        auto [known, fresh] = all.try_emplace(number, op(number, operation::kind::write, number, 0, 1, -1));
        auto& o = known->second;
        if (fresh) {
          messages[number] = batch_at(0, 0, 1, std::to_string(number).c_str());
          o.message_hash = hash_payload(messages[number].what);
          c->called(o);
        }
        if (w.size() < 2) continue;
        using enum operation::outcome;
        o.result = w[1] == 'd' ? done : w[1] == 'l' ? lost : w[1] == 'r' ? refused : open;
        if (w[1] == 'd') o.position = number_in(w, 2);
        if (w[1] != '?') c->returned(o);
      }
      std::vector<operation> ended;
      for (const auto& [number, o] : all) ended.push_back(o);
      c->finished(ended);
      return good(c);
    };
    judge<decltype(verdict), std::string>(
      verdict,
      {"1", "1 <1 1d1", "1 1l", "1 1r", "1 1?", "1 <1 1?", "1 2 <1 <2 1d1 2d2", "1 2 <2 <1 2d1 1d2", "1 2 <2 2d1 1l", "1 1l 2 <2 2d1",
       "1 2 3 <3 <1 1d2 3d1 2r"},
      {"1 1d1", "1 <1 1l", "1 1l <1", "1 <1 1r", "1 1r <1", "1 <1 <1 1d1", "1 <1 1d2", "1 2 <2 1d1 2d1", "1 2 <1 <2 1d2 2d1", "1 2 <1 1d1 2d2",
       "1 <1 1d1 <1"});
  }

  TEST_CASE("agreed time, histories") {
    // a5: a delivers at agreed time 5; a|5: enters a view at it
    const auto verdict = [](const std::string& history) {
      auto c = check_agreed_time();
      for (const auto& w : words(history)) {
        if (w[1] == '|') {
          auto v = install(view_of(1, {{0, 1}}));
          v.time = wall_time(number_in(w, 2));
          c->installed(life_named(w[0]), v);
        } else {
          auto d = batch_at(1);
          d.time = wall_time(number_in(w, 1));
          c->delivered(life_named(w[0]), d);
        }
      }
      return good(c);
    };
    judge<decltype(verdict), std::string>(
      verdict, {"", "a5", "a5 a5", "a5 a6", "a5 b4", "a5 b4 a6 b4", "a|5 a5", "a5 a|5 a9", "a5 A4", "b1 b2 b3 a1 a1", "a|1 b|2 a|3 b|3"},
      {"a5 a4", "a5 b4 a4", "a|5 a4", "a5 a|4", "a|5 a|4", "b9 b8", "a1 a2 a1", "a5 b5 b6 a6 b5", "a5 A5 A4", "a7 a|8 a7", "b|3 a4 b2"});
  }

  TEST_CASE("digests of states, histories") {
    // a3:7: a has applied three messages, and its state is 7
    const auto verdict = [](const std::string& history) {
      auto c = check_state_digests();
      for (const auto& w : words(history)) c->state_reached(life_named(w[0]), number_in(w, 1), number_in(w, w.find(':') + 1));
      return good(c);
    };
    judge<decltype(verdict), std::string>(
      verdict,
      {"", "a1:7", "a1:7 b1:7", "a1:7 a2:8 b2:8", "a1:7 b1:7 b2:8 a2:8", "a9:1 b9:1 A9:1", "a1:7 a2:7", "a1:1 b2:2 a2:2 b1:1", "a5:0 b5:0",
       "a1:7 A1:7 A2:9 b2:9", "b4:4 b5:5 a5:5"},
      {"a1:7 b1:8", "a1:7 a1:8", "a1:7 b2:8 a2:9", "a9:1 b9:1 A9:2", "a1:7 A1:8", "a5:0 b5:1", "a1:1 a2:2 b1:1 b2:1", "b3:9 a3:8 b4:1",
       "a1:7 b1:7 b2:8 a2:9", "a2:2 b1:1 b2:3", "A7:1 a7:0"});
  }

  TEST_CASE("D9: persist before send, histories") {
    struct leaving {
      std::size_t synced;
      message what;
    };
    const auto acked = [](term_number term, log_index match, term_number match_term = 2) {
      ack k;
      k.term = term;
      k.match_term = match_term;
      k.match = match;
      return message(k);
    };
    const auto voted = [](vote_phase phase, bool request, bool granted, term_number term) {
      vote v;
      v.phase = phase;
      v.request = request;
      v.granted = granted;
      v.term = v.for_term = term;
      return message(v);
    };
    const auto joined = [](incarnation inc, incarnation refused = 0) {
      join j;
      j.inc = inc;
      j.burnt = refused;
      return message(j);
    };
    // To be written: entry 1 of term 2; then term 3, a vote in it, and incarnation 9.
    const auto verdict = [](const leaving& l) {
      disk storage(1, true, record_checksum);
      life who = life_of(0, 1);
      who.durable = true;
      who.storage = &storage;
      auto c = check_persist_before_send();
      c->started(who, {});
      hard_state h;
      h.term = 3;
      h.vote = {member_id{1}, 1};
      h.inc = 9;
      entry e;
      e.index = 1;
      e.term = 2;
      for (const auto& o : {persist_op{1, persist_entry{e}}, persist_op{2, persist_state{h}}}) {
        c->persisted(who, o);
        storage.append(o);
      }
      storage.sync(l.synced);
      c->sent(who, l.what);
      return good(c);
    };
    using enum vote_phase;
    judge<decltype(verdict), leaving>(
      verdict,
      {{0, acked(0, 0)}, {1, acked(0, 1)}, {2, acked(3, 1)}, {2, acked(2, 1)}, {0, voted(real, false, false, 3)}, {2, voted(real, false, true, 3)},
       {2, voted(real, true, false, 3)}, {0, voted(pre, false, true, 3)}, {0, voted(pre, true, false, 4)}, {2, joined(9)}, {2, joined(4)}, {0, joined(7, 8)}},
      {{0, acked(0, 1)}, {1, acked(3, 1)}, {0, acked(3, 0)}, {2, acked(3, 2)}, {2, acked(4, 1)}, {0, voted(real, false, true, 3)},
       {1, voted(real, false, true, 3)}, {1, voted(real, true, false, 3)}, {2, voted(real, true, false, 4)}, {2, voted(real, false, true, 4)},
       {1, joined(9)}, {2, joined(10)}});
  }

  TEST_CASE("linearizability, histories") {
    using enum operation::kind;
    using history = std::vector<operation>;
    const auto verdict = [](const history& all) { return check_linearizable(all, 10'000).result == linearizability::holds; };
    judge<decltype(verdict), history>(
      verdict,
      {{op(1, write, 1, 0, 0, 10), op(2, read, 0, 1, 5, 20)},
       {op(1, write, 1, 0, 0, 10), op(2, read, 0, 0, 5, 20)},
       {op(1, read, 0, 0, 0, 1)},
       {op(1, write, 1, 0, 0, -1), op(2, read, 0, 0, 5, 6), op(3, read, 0, 1, 7, 8)},
       {op(1, swap, 1, 0, 0, 9), op(2, swap, 2, 1, 0, 9)},
       {op(1, write, 1, 0, 0, 1), op(2, write, 2, 0, 2, 3), op(3, read, 0, 2, 4, 5)},
       {op(1, write, 1, 0, 0, 9), op(2, write, 2, 0, 0, 9), op(3, read, 0, 1, 10, 11)},
       {op(1, write, 1, 0, 0, 9), op(2, write, 2, 0, 0, 9), op(3, read, 0, 2, 10, 11)},
       {op(1, write, 1, 0, 0, -1), op(2, write, 2, 0, 1, 2), op(3, read, 0, 2, 3, 4), op(4, read, 0, 1, 5, 6)},
       {op(1, swap, 1, 0, 0, 1), op(2, swap, 2, 1, 2, 3), op(3, read, 0, 2, 4, 5)},
       {op(1, write, 1, 0, 0, 20), op(2, read, 0, 0, 1, 2), op(3, read, 0, 1, 3, 4), op(4, read, 0, 1, 5, 6)}},
      {{op(1, write, 1, 0, 0, 4), op(2, read, 0, 0, 5, 20)},
       {op(1, write, 1, 0, 0, -1), op(2, read, 0, 1, 5, 6), op(3, read, 0, 0, 7, 8)},
       {op(1, swap, 1, 0, 0, 9), op(2, swap, 2, 0, 0, 9)},
       {op(1, read, 0, 5, 0, 1)},
       {op(1, write, 1, 0, 0, 1), op(2, write, 2, 0, 2, 3), op(3, read, 0, 1, 4, 5)},
       {op(1, write, 1, 0, 5, 9), op(2, read, 0, 1, 0, 4)},
       {op(1, write, 1, 0, 0, 9), op(2, write, 2, 0, 0, 9), op(3, read, 0, 1, 10, 11), op(4, read, 0, 2, 12, 13)},
       {op(1, swap, 1, 0, 0, 1), op(2, swap, 2, 0, 2, 3)},
       {op(1, write, 1, 0, 0, 20), op(2, read, 0, 1, 1, 2), op(3, read, 0, 0, 3, 4)},
       {op(1, swap, 1, 2, 0, 1), op(2, swap, 2, 1, 2, 3)},
       {op(1, write, 1, 0, 0, 1), op(2, read, 0, 1, 2, 3), op(3, read, 0, 0, 4, 5)}});
  }
}
