// The checkers themselves: each accepts legal histories and catches illegal ones.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "framework/simulation/check/linearizable.hpp"
#include "framework/simulation/check/properties.hpp"
#include "framework/simulation/trace.hpp"
#include "tests/sim/checkers/parts.hpp"
#include "tests/sim/kv_workload.hpp"
#include "tests/sim/runner.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::protocol;
using namespace cohort::sim;

TEST_SUITE("checkers") {
  TEST_CASE("I1: two leaders in a term") {
    auto c = check_election_safety();
    c->happened(a, elected(1));
    c->happened(b, elected(2));
    c->happened(a, elected(3));
    CHECK(good(c));
    c->happened(b, elected(3));
    CHECK_FALSE(good(c));
  }

  TEST_CASE("I3: an index and a term with two contents, or two predecessors") {
    auto legal = check_log_matching();
    legal->sent(a, append_of({{1, 1}, {2, 1}}, 0));
    legal->sent(b, append_of({{2, 1}}, 1));
    legal->sent(b, append_of({{2, 2}}, 1));
    CHECK(good(legal));
    auto predecessor = check_log_matching();
    predecessor->sent(a, append_of({{2, 3}}, 1));
    predecessor->sent(b, append_of({{2, 3}}, 2));
    CHECK_FALSE(good(predecessor));
    auto content = check_log_matching();
    auto other = append_of({{1, 1}}, 0);
    other.entries[0].cut = {1};
    content->sent(a, append_of({{1, 1}}, 0));
    content->sent(b, other);
    CHECK_FALSE(good(content));
  }

  TEST_CASE("I4: a leader that lacks what was committed before its term") {
    const auto verdict = [](std::initializer_list<term_number> leader_log, term_number term) {
      auto c = check_leader_completeness();
      c->passed(a, inside_with_log({1, 1, 2}, 3).in);  // entry 3 counted in term 2
      inside_with_log leader(leader_log, 0);
      leader.in.role = core_role::leader;
      leader.in.promises.term = term;
      c->passed(b, leader.in);
      return good(c);
    };
    CHECK(verdict({1, 1, 2, 3}, 3));
    CHECK(verdict({1, 1}, 2));  // a late election in the counting term may still end
    CHECK_FALSE(verdict({1, 1}, 3));
    CHECK_FALSE(verdict({1, 1, 1}, 3));
  }

  TEST_CASE("I5: two entries committed at an index") {
    auto c = check_agreement();
    c->passed(a, inside_with_log({1, 1}, 2).in);
    c->passed(b, inside_with_log({1, 1, 2}, 2).in);
    CHECK(good(c));
    c->passed(b, inside_with_log({1, 1, 2}, 3).in);
    CHECK(good(c));
    c->passed(a, inside_with_log({1, 1, 3}, 3).in);
    CHECK_FALSE(good(c));
  }

  TEST_CASE("I6: a cut that goes back") {
    const auto verdict = [](sequence first, sequence second) {
      inside_with_log l({}, 0);
      for (const auto n : {first, second}) {
        entry e;
        e.index = l.in.log.last() + 1;
        e.term = 1;
        e.cut = {n, 0, 0};
        l.in.log.append(e, 0);
      }
      l.in.commit = 2;
      auto c = check_cuts();
      c->passed(a, l.in);
      return good(c);
    };
    CHECK(verdict(1, 1));
    CHECK(verdict(1, 2));
    CHECK_FALSE(verdict(2, 1));
  }

  TEST_CASE("I7: an entry without its payload") {
    inside_with_log empty({1}, 0);
    auto c = check_payload_held();
    c->passed(a, empty.in);
    CHECK(good(c));
    entry e;
    e.index = 2;
    e.term = 1;
    e.cut = {1, 0, 0};
    empty.in.log.append(e, 0);
    batch held;
    held.seq = 1;
    held.what = one_message({});
    inside_with_log other({1}, 0);
    other.in.lanes.find(0, 0)->store(held, 0);
    other.in.log.append(e, 0);
    c->passed(a, other.in);
    CHECK(good(c));
    c->passed(a, empty.in);
    CHECK_FALSE(good(c));
  }

  TEST_CASE("I8: two batches with one number") {
    const auto verdict = [](const char* first, const char* second, sequence seq) {
      auto c = check_lane_uniqueness();
      const auto text = [](const char* t) { return one_message(std::as_bytes(std::span(t, 1))); };
      c->persisted(a, {1, persist_batch{{0, 0, 1, 5, text(first), member_id{0}, 7}}});
      c->persisted(b, {1, persist_batch{{0, 0, seq, 5, text(second), member_id{0}, 7}}});
      return good(c);
    };
    CHECK(verdict("x", "x", 1));
    CHECK(verdict("x", "y", 2));
    CHECK_FALSE(verdict("x", "y", 1));
  }

  TEST_CASE("I9: an incarnation that comes back") {
    const auto verdict = [](std::vector<view_ptr> views) {
      auto c = check_incarnations();
      for (const auto& v : views) c->installed(a, install(v));
      return good(c);
    };
    CHECK(verdict({view_of(0, {{0, 1}, {1, 1}}), view_of(1, {{0, 1}, {1, 1}})}));
    CHECK(verdict({view_of(0, {{0, 1}, {1, 1}}), view_of(1, {{0, 1}}), view_of(2, {{0, 1}, {1, 9}})}));
    CHECK_FALSE(verdict({view_of(0, {{0, 1}, {1, 1}}), view_of(1, {{0, 1}}), view_of(2, {{0, 1}, {1, 1}})}));
  }

  TEST_CASE("I10, I16: another message, a gap, a repetition") {
    const auto verdict = [](std::vector<std::pair<const life*, deliver_batch>> all) {
      auto c = check_total_order();
      for (const auto& [who, d] : all) c->delivered(*who, d);
      return good(c);
    };
    CHECK(verdict({{&a, batch_at(1)}, {&b, batch_at(1)}, {&a, batch_at(2, 1, 1)}}));
    CHECK_FALSE(verdict({{&a, batch_at(1)}, {&b, batch_at(1, 1)}}));
    CHECK_FALSE(verdict({{&a, batch_at(1)}, {&a, batch_at(3, 0, 2)}}));
    CHECK_FALSE(verdict({{&a, batch_at(1)}, {&a, batch_at(1)}}));
    CHECK_FALSE(verdict({{&a, batch_at(1)}, {&a, batch_at(2)}}));
  }

  TEST_CASE("I12: delivered in another view, or from somebody outside") {
    const auto verdict = [](view_number v, unsigned sender) {
      auto c = check_sending_view();
      c->installed(a, install(view_of(3, {{0, 1}, {1, 1}})));
      c->delivered(a, batch_at(1, sender, 1, "x", v));
      return good(c);
    };
    CHECK(verdict(3, 1));
    CHECK_FALSE(verdict(2, 1));
    CHECK_FALSE(verdict(3, 2));
  }

  TEST_CASE("I14: two views with one number") {
    auto c = check_view_agreement();
    c->installed(a, install(view_of(1, {{0, 1}})));
    c->installed(b, install(view_of(1, {{0, 1}})));
    c->installed(b, install(view_of(2, {{0, 1}})));
    CHECK(good(c));
    c->installed(b, install(view_of(2, {{0, 2}})));
    CHECK_FALSE(good(c));
  }

  TEST_CASE("I21: view numbers of a life that do not grow") {
    for (const view_number next : {1u, 2u, 3u, 9u}) {
      auto c = check_stable_views();
      c->installed(a, install(view_of(2, {{0, 1}})));
      c->installed(a, install(view_of(next, {{0, 1}})));
      CHECK(good(c) == (next > 2));
    }
    auto c = check_stable_views();
    c->installed(a, install(view_of(2, {{0, 1}})));
    c->installed(b, install(view_of(1, {{0, 1}})));  // each life for itself
    c->restored(a, {});
    c->installed(a, install(view_of(2, {{0, 1}})));  // comes with the checkpoint
    CHECK(good(c));
    c->installed(a, install(view_of(2, {{0, 1}})));
    CHECK_FALSE(good(c));
    c = check_stable_views();
    c->installed(a, install(view_of(2, {{0, 1}})));
    c->restored(a, {});
    c->installed(a, install(view_of(1, {{0, 1}})));
    CHECK_FALSE(good(c));
  }

  TEST_CASE("I21: bad links under which views or leaders do not come to rest") {
    for (const unsigned members : {3u, 4u, 5u})
      for (const int beyond : {-1, 0, 1}) {
        const auto views = static_cast<view_number>(static_cast<int>(4 * members) + beyond);
        const auto leaders = static_cast<term_number>(static_cast<int>(2 * members) + beyond);
        auto c = check_stable_views();
        for (view_number v = 1; v <= 50; ++v) c->installed(a, install(view_of(v, {{0, 1}})));  // faults that come and go
        c->steady(members);
        for (view_number v = 51; v <= 50 + views; ++v) {
          c->installed(a, install(view_of(v, {{0, 1}})));
          c->installed(b, install(view_of(v, {{0, 1}})));  // the same view counts once
        }
        c->steady(0);
        CHECK(good(c) == (beyond <= 0));
        c = check_stable_views();
        for (term_number t = 1; t <= 50; ++t) c->happened(a, elected(t));
        c->steady(members);
        for (term_number t = 51; t <= 50 + leaders; ++t) c->happened(a, elected(t));
        c->steady(0);
        for (term_number t = 100; t <= 150; ++t) c->happened(a, elected(t));
        CHECK(good(c) == (beyond <= 0));
      }
  }

  TEST_CASE("I17: a read of the past") {
    const auto verdict = [](std::uint64_t saw, operation::kind what) {
      auto c = check_reads();
      c->state_reached(a, 5, 0);
      auto o = op(1, what, 0, 0, 1, 2);
      c->called(o);
      c->state_reached(b, 9, 0);
      o.position = saw;
      c->returned(o);
      return good(c);
    };
    CHECK(verdict(5, operation::kind::read));
    CHECK(verdict(6, operation::kind::write));
    CHECK_FALSE(verdict(4, operation::kind::read));
    CHECK_FALSE(verdict(5, operation::kind::write));
  }

  TEST_CASE("I18: a log trimmed above an active member") {
    const auto verdict = [](log_index lagging_at) {
      inside_with_log lagging({1, 1, 1, 1}, 4), leader({1, 1, 1, 1}, 4);
      lagging.in.applied = lagging_at;
      leader.in.applied = 4;
      leader.in.role = core_role::leader;
      for (auto* in : {&lagging.in, &leader.in}) {
        in->my_slot = 0;
        in->promises.inc = 1;
      }
      const auto v = view_of(0, {{0, 1}, {1, 1}, {2, 1}});
      auto c = check_trim();
      c->passed(a, lagging.in);
      const auto cut_to = [&](log_index i) {
        mark m;
        m.index = i;
        m.term = 1;
        m.in_force = v;
        m.cut.assign(3, 0);
        leader.in.log.trim(m);
      };
      cut_to(1);
      c->passed(b, leader.in);
      cut_to(3);
      c->passed(b, leader.in);
      return good(c);
    };
    CHECK(verdict(4));
    CHECK(verdict(3));
    CHECK_FALSE(verdict(2));
  }

  TEST_CASE("bounded memory: what is submitted and not sealed counts, windows and checkpoints bound it") {
    const auto verdict = [](std::size_t held, bool durable, std::uint64_t retained, std::size_t slots) {
      inside_with_log l({1}, 1);
      l.in.has_state = true;
      auto v = std::make_shared<view>(*view_of(0, {{0, 1}, {1, 1}, {2, 1}}));
      v->kinds = slots == 6 ? lane_kinds{3} : lane_kinds{2};
      l.in.in_force = v;
      l.in.options.durable = durable;
      l.in.kept = durable ? inspector::inside::keeping::disk : inspector::inside::keeping::memory;
      l.in.options.retain_bytes = retained;
      l.in.options.lane_window = 1000;
      l.in.options.part_bytes = l.in.options.batch_bytes = 250;
      l.in.options.checkpoint_bytes = 2000;
      l.in.options.journal_backlog_max = 5000;
      l.in.open_bytes = held;
      auto c = check_bounded_memory();
      c->passed(a, l.in);
      return good(c);
    };
    // (3 + 2) lanes of two windows and two parts and batches, and 12 distances of checkpoints.
    constexpr std::size_t bound = 5 * 3000 + 12 * 2000;
    for (const std::size_t held : {std::size_t(0), std::size_t(1), bound / 2, bound - 1, bound}) CHECK(verdict(held, false, 0, 3));
    CHECK(verdict(bound + 5000, true, 0, 3));
    CHECK(verdict(bound + 700, false, 700, 3));
    CHECK(verdict(bound + 5700, true, 700, 3));
    CHECK(verdict(bound + 3 * 3000, false, 0, 6));
    CHECK(verdict(bound + 3 * 3000 + 5000, true, 0, 6));
    for (const std::size_t held : {bound + 1, bound + 2, 2 * bound, 100 * bound}) CHECK_FALSE(verdict(held, false, 0, 3));
    CHECK_FALSE(verdict(bound + 5001, true, 0, 3));
    CHECK_FALSE(verdict(bound + 701, false, 700, 3));
    CHECK_FALSE(verdict(bound + 5701, true, 700, 3));
    CHECK_FALSE(verdict(bound + 3 * 3000 + 1, false, 0, 6));
    CHECK_FALSE(verdict(bound + 3 * 3000 + 5001, true, 0, 6));
    CHECK_FALSE(verdict(~std::size_t(0) / 2, true, 700, 6));
  }

  TEST_CASE("I19: a promise given up, or broken") {
    const auto verdict = [](bool wedged, term_number applied_term, sequence acked) {
      inside_with_log l({applied_term}, 1);
      l.in.applied = 1;
      l.in.my_slot = 0;
      l.in.promises.inc = 1;
      l.in.wedged.on = wedged;
      auto c = check_wedge();
      c->installed(a, install(view_of(0, {{0, 1}, {1, 1}, {2, 1}}), 0));
      report r;
      r.term = 2;
      r.inc = 1;
      r.front = {3, 0, 0};
      c->sent(a, r);
      ack k;
      k.inc = 1;
      k.have = {acked, 0, 0};
      c->sent(a, k);
      c->passed(a, l.in);
      return good(c);
    };
    CHECK(verdict(true, 1, 3));
    CHECK(verdict(false, 3, 4));
    CHECK_FALSE(verdict(false, 2, 3));
    CHECK_FALSE(verdict(true, 1, 4));
  }

  TEST_CASE("DL1: nothing is ordered after its deadline") {
    const auto verdict = [](order cls, int deadline, int time) {
      auto c = check_deadlines();
      auto d = batch_at(1);
      d.cls = cls;
      d.deadline = wall_time(deadline);
      d.time = wall_time(time);
      c->delivered(a, d);
      return good(c);
    };
    for (int i = 1; i <= 10; ++i) {
      CHECK(verdict(order::total, 100 * i, 100 * i - i));
      CHECK(verdict(order::total, 100 * i, 100 * i));
      CHECK(verdict(order::total, 0, 100 * i));      // none
      CHECK(verdict(order::causal, 100, 100 + i));   // each receiver judges for itself, and marks it (DL2)
      CHECK_FALSE(verdict(order::total, 100 * i, 100 * i + i));
    }
  }

  TEST_CASE("O10: what clients were told") {
    const auto verdict = [](operation::outcome told, bool happened, bool twice) {
      auto c = check_outcomes();
      auto o = op(1, operation::kind::write, 1, 0, 1, 2);
      const auto d = batch_at(1, 0, 1, "w");
      o.message_hash = hash_payload(d.what);
      o.position = 1;
      o.result = told;
      c->called(o);
      if (happened) c->delivered(a, d);
      if (twice) c->delivered(a, batch_at(2, 0, 2, "w"));
      c->returned(o);
      c->finished({o});
      return good(c);
    };
    using enum operation::outcome;
    CHECK(verdict(done, true, false));
    CHECK(verdict(lost, false, false));
    CHECK(verdict(open, true, false));
    CHECK_FALSE(verdict(done, false, false));
    CHECK_FALSE(verdict(lost, true, false));
    CHECK_FALSE(verdict(refused, true, false));
    CHECK_FALSE(verdict(done, true, true));
  }

  TEST_CASE("agreed time and digests") {
    auto time = check_agreed_time();
    auto d = batch_at(1);
    d.time = wall_time(5);
    time->delivered(a, d);
    time->delivered(a, d);
    d.time = wall_time(4);
    time->delivered(b, d);
    CHECK(good(time));
    time->delivered(a, d);
    CHECK_FALSE(good(time));
    auto digests = check_state_digests();
    digests->state_reached(a, 1, 7);
    digests->state_reached(b, 1, 7);
    digests->state_reached(b, 2, 8);
    CHECK(good(digests));
    digests->state_reached(a, 2, 9);
    CHECK_FALSE(good(digests));
  }

  TEST_CASE("D9: a promise that is not on disk") {
    const auto verdict = [](std::size_t synced, const message& what) {
      disk storage(1, true, record_checksum);
      life l = life_of(0, 1);
      l.durable = true;
      l.storage = &storage;
      auto c = check_persist_before_send();
      c->started(l, {});
      hard_state h;
      h.term = 3;
      h.vote = {member_id{1}, 1};
      entry e;
      e.index = 1;
      e.term = 2;
      for (const auto& o : {persist_op{1, persist_entry{e}}, persist_op{2, persist_state{h}}}) {
        c->persisted(l, o);
        storage.append(o);
      }
      storage.sync(synced);
      c->sent(l, what);
      return good(c);
    };
    ack k;
    k.match_term = 2;
    k.match = 1;
    CHECK(verdict(1, k));
    CHECK_FALSE(verdict(0, k));
    vote v;
    v.phase = vote_phase::real;
    v.granted = true;
    v.for_term = 3;
    CHECK(verdict(2, v));
    CHECK_FALSE(verdict(1, v));
  }

  TEST_CASE("linearizability of registers") {
    using enum operation::kind;
    const auto verdict = [](std::vector<operation> all, std::uint64_t steps = 10'000) {
      return check_linearizable(all, steps).result;
    };
    CHECK(verdict({op(1, write, 1, 0, 0, 10), op(2, read, 0, 1, 5, 20)}) == linearizability::holds);
    CHECK(verdict({op(1, write, 1, 0, 0, 10), op(2, read, 0, 0, 5, 20)}) == linearizability::holds);
    CHECK(verdict({op(1, write, 1, 0, 0, 4), op(2, read, 0, 0, 5, 20)}) == linearizability::violated);
    CHECK(verdict({op(1, write, 1, 0, 0, -1), op(2, read, 0, 1, 5, 6), op(3, read, 0, 0, 7, 8)}) == linearizability::violated);
    CHECK(verdict({op(1, write, 1, 0, 0, -1), op(2, read, 0, 0, 5, 6), op(3, read, 0, 1, 7, 8)}) == linearizability::holds);
    CHECK(verdict({op(1, swap, 1, 0, 0, 9), op(2, swap, 2, 1, 0, 9)}) == linearizability::holds);
    CHECK(verdict({op(1, swap, 1, 0, 0, 9), op(2, swap, 2, 0, 0, 9)}) == linearizability::violated);
    CHECK(verdict({op(1, write, 1, 0, 0, 10), op(2, read, 0, 1, 5, 20)}, 1) == linearizability::unknown);
  }
}

TEST_SUITE("world") {
  TEST_CASE("the same seed gives the same run, whatever ran before") {
    for (const std::uint64_t seed : {3u, 17u, 40u}) {
      CAPTURE(seed);
      const auto first = run_one(seed, "", mutation::none, false);
      run_one(seed + 1, "", mutation::none, false);
      const auto again = run_one(seed, "", mutation::none, false);
      CHECK(first.trace_hash == again.trace_hash);
      CHECK(first.events == again.events);
      CHECK(run_one(seed + 1000, "", mutation::none, false).trace_hash != first.trace_hash);
    }
  }

  TEST_CASE("the number of processes changes nothing") {
    const auto hash = [](unsigned jobs) {
      std::uint64_t h = 0;
      run_options o;
      o.first = 1;
      o.last = 12;
      o.jobs = jobs;
      run_seeds(o, [&](const outcome& one) { h = mix(mix(h, one.seed), one.trace_hash); });
      return h;
    };
    CHECK(hash(1) == hash(3));
  }

  TEST_CASE("a planted mistake is found and told") {
    const auto o = run_one(2, "leases", mutation::ack_before_fsync, false);
    CAPTURE(o.broken);
    CHECK_FALSE(o.broken.empty());
  }

  TEST_CASE("a disk forgets what was not synced, from a record on, and nothing else") {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
      CAPTURE(seed);
      sim::random chance(seed);
      disk d(1, true, record_checksum);
      hard_state h;
      for (journal_position p = 1; p <= 20; ++p) {
        h.term = p;
        d.append({p, persist_state{h}});
        if (p == 12) d.sync(12);
      }
      d.crash(chance);
      const auto found = d.recover();
      CHECK(found.damage.empty());
      CHECK(d.testifies().promises.term >= 12);
      CHECK(d.testifies().promises.term <= 20);
    }
  }
}
