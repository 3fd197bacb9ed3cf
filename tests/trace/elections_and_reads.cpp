// Directed tests of elections, leases and the order inside a cut. What falls is what a client or an operator would see.
#include "tests/trace/directed.hpp"

#include <algorithm>

using namespace cohort;
using namespace cohort::trace;

namespace {

bool has(const stage::member& m, const std::string& text) { return std::ranges::count(m.delivered, text) == 1; }

/// A read that was answered, but not from a state that reaches `index`: somebody was told of a write before the read
/// was asked for, and the read does not know it (I17).
bool stale(const stage::member& m, std::uint64_t tag, log_index index) {
  return std::ranges::any_of(m.reads, [&](const auto& r) { return r.tag == tag && !r.refused && r.index < index; });
}

bool answered(const stage::member& m, std::uint64_t tag) {
  return std::ranges::any_of(m.reads, [&](const auto& r) { return r.tag == tag && !r.refused; });
}

/// The leader holds a lease from B alone, for it has lost C; then B changes sides. B must not help C to lead while it
/// may have given a lease, whether it remembers that or was restarted.
bool lease_holds(bool restart) {
  auto s = stage::founded(3, leased());
  const auto a = static_cast<unsigned>(s.leader());
  const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
  s.isolate(c);
  s.go(200ms);
  const auto about_to_ask = [&] { return s.inside(c).election_at <= s.now + 20ms; };
  for (int i = 0; i < 150 && !about_to_ask(); ++i) s.go(10ms);
  REQUIRE(about_to_ask());
  REQUIRE(s.leader() == static_cast<int>(a));
  s.heal();
  s.isolate(a);
  if (restart) {
    s.crash(b);
    s.start(b);
  }
  s.drop(everything);
  // C stands, and leads if B is willing. Its client writes at once.
  for (int i = 0; i < 5 && !s.status(c).is_leader; ++i) {
    s.go(10ms, false);
    s.deliver(is<vote>);
  }
  CHECK(std::ranges::any_of(s.members[c].events, [](const auto& e) { return e.kind == event_kind::election_started; }));
  if (s.status(c).is_leader) s.submit(c, "new");
  s.settle();
  const auto told = has(s.members[c], "new") ? s.status(c).applied : 0;
  s.read(a, 1);
  CHECK(answered(s.members[a], 1));  // the lease is not over
  return !stale(s.members[a], 1, told);
}

/// The others elect a leader while the one that is cut off may still count on its old lease, and write. It answers nothing that
/// does not know of that.
bool nothing_stale_beside(stage& s, unsigned cut_off, duration within) {
  const auto end = s.now + within;
  unsigned other = cut_off;
  while (s.now < end && other == cut_off) {
    s.now += 5ms;
    for (unsigned k = 0; k < 3; ++k) {
      if (k == cut_off) continue;
      s.pass(k);
      if (s.status(k).is_leader) other = k;
    }
    s.settle();
  }
  if (other == cut_off || s.submit(other, "new") != submit_status::taken) return false;
  s.settle();
  if (!has(s.members[other], "new") || s.now >= end || !s.status(cut_off).is_leader) return false;
  s.read(cut_off, 1);
  return !stale(s.members[cut_off], 1, s.status(other).applied);
}

/// The cut of a new leader covers two lanes at once: that of B, which comes first among the lanes, and that of C, of which
/// B had received something when it sent. B's clock may have been set back, by as much as the others' clocks allow, and B
/// may have been restarted. (No delivery was the cause here: what a member was *delivered* lies in an earlier cut anyway.)
bool effect_follows_cause(std::chrono::microseconds error, bool restart) {
  auto s = stage::founded(3, durable());
  if (restart) {
    const unsigned b = s.leader() == 0 ? 1 : 0;
    s.crash(b);
    s.members[b].clock_error = error;
    s.start(b);
    s.go(3s);
    REQUIRE(s.status(b).active);
  }
  const auto a = static_cast<unsigned>(s.leader());
  const unsigned b = a == 0 ? 1 : 0, c = 3 - a - b;
  s.members[b].clock_error = error;
  s.isolate(a);
  s.drop(everything);
  REQUIRE(s.submit(c, "cause") == submit_status::taken);
  s.deliver(is<batch>);
  REQUIRE(s.submit(b, "effect") == submit_status::taken);
  s.settle();
  s.go(2s);
  const auto& m = s.members[c];
  REQUIRE(m.delivered.size() == 2);
  REQUIRE(s.members[b].delivered == m.delivered);
  return m.delivered.front() == "cause";
}

}  // namespace

TEST_SUITE("elections and reads") {
  TEST_CASE("E5: who has heard from a leader does not elect another while that one's lease may last") {
    falls_with(mutation::no_stickiness, [] { return lease_holds(false); });
  }

  TEST_CASE("E5: who was just started may have given a lease in its former life, and elects nobody yet") {
    falls_with(mutation::vote_right_after_boot, [] { return lease_holds(true); });
  }

  TEST_CASE("R2: a lease counts from the sending of the heartbeat, however late the answer comes") {
    falls_with(mutation::lease_from_receipt, [] {
      auto s = stage::founded(3, leased());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3;
      const auto answer = [&](const flying& f) {
        return f.from == b && f.to == a && is<ack>(f) &&
               std::get<ack>(f.what).echo_time > s.inside(a).known_peer(s.members[b].id)->echo;
      };
      // A's heartbeat reaches the others; B's answer stays under way, and A's process stands still.
      for (int i = 0; i < 20 && std::ranges::none_of(s.in_flight, answer); ++i) {
        s.settle();
        s.now += 10ms;
        for (unsigned k = 0; k < 3; ++k) s.pass(k);
        s.deliver([&](const flying& f) { return f.from == a && is<append>(f); });
      }
      const auto found = std::ranges::find_if(s.in_flight, answer);
      REQUIRE(found != s.in_flight.end());
      const auto late = *found;
      s.drop(everything);
      s.isolate(a);
      const unsigned c = 3 - a - b;
      for (int i = 0; i < 200 && !s.status(b).is_leader && !s.status(c).is_leader; ++i) {
        s.now += 10ms;
        s.pass(b);
        s.pass(c);
        s.settle();
      }
      const unsigned n = s.status(b).is_leader ? b : c;
      REQUIRE(s.submit(n, "new") == submit_status::taken);
      s.settle();
      REQUIRE(has(s.members[n], "new"));
      const auto told = s.status(n).applied;
      s.heal();
      s.drop(everything);
      s.inject(b, a, late.what);
      s.deliver([&](const flying& f) { return f.to == a; });
      s.read(a, 1);
      s.go(2s);
      CHECK(answered(s.members[a], 1));
      return !stale(s.members[a], 1, told);
    });
  }

  TEST_CASE("X2, R2: a leader that lengthens its lease counts on it with those alone who vote by it") {
    falls_with(mutation::lease_by_old_rules, [] {
      auto o = leased();
      o.election_min = 200ms;
      auto s = stage::founded(3, o);
      const auto a = static_cast<unsigned>(s.leader()), b = (a + 1) % 3, c = (a + 2) % 3;
      auto rules = s.inside(a).in_force->options;
      rules.election_min = 800ms;
      s.members[a].core->request(change_kind::options, no_member, rules);
      // B installs the VIEW, C never gets it, and only C goes on hearing the leader.
      const auto has_view = [](const flying& f) {
        const auto* m = std::get_if<append>(&f.what);
        return m && std::ranges::any_of(m->entries, [](const entry& e) { return e.kind == entry_kind::view; });
      };
      const auto without_view = [&] {  // C hears its leader, and never gets the entry
        for (auto& f : s.in_flight)
          if (f.to == c && has_view(f)) std::get<append>(f.what).entries.clear();
      };
      for (int i = 0; i < 400 && s.inside(b).in_force->number == 0; ++i) {
        s.now += 5ms;
        for (unsigned k = 0; k < 3; ++k) s.pass(k);
        without_view();
        s.deliver([&](const flying& f) { return !(f.to == c && has_view(f)); });
      }
      if (s.inside(a).in_force->number != 1 || s.inside(b).in_force->number != 1 || s.inside(c).in_force->number != 0) return false;
      s.cut(a, b);
      s.cut(b, a);
      s.cut(b, c);
      s.cut(c, b);
      // Until B is about to stand, after the patience of C that has just heard, and before the longer lease is over.
      for (int i = 0; i < 400 && s.inside(b).election_at > s.now + 350ms; ++i) {
        s.now += 5ms;
        for (unsigned k = 0; k < 3; ++k) s.pass(k);
        without_view();
        s.deliver([&](const flying& f) { return !(f.to == c && has_view(f)); });
      }
      s.drop(everything);
      s.heal();
      s.isolate(a);
      return nothing_stale_beside(s, a, 780ms);
    });
  }

  TEST_CASE("R1: a new leader answers no read before an entry of its own term is committed") {
    falls_with(mutation::read_before_own_commit, [] {
      auto s = stage::founded(3, leased());
      const auto x = static_cast<unsigned>(s.leader());
      s.isolate(x);
      // One of the others asks for votes. It is given one, which stays under way; then its process stands still.
      const auto grant = [](const flying& f) {
        const auto* v = std::get_if<vote>(&f.what);
        return v && !v->request && v->phase == vote_phase::real && v->granted;
      };
      for (int i = 0; i < 200 && std::ranges::none_of(s.in_flight, grant); ++i) {
        s.go(10ms, false);
        s.deliver([&](const flying& f) { return is<vote>(f) && !grant(f); });
      }
      const auto found = std::ranges::find_if(s.in_flight, grant);
      REQUIRE(found != s.in_flight.end());
      const auto late = *found;
      const unsigned a = late.to, b = late.from;
      // The other two find each other, one leads in the next term, and its client is told of a write.
      s.heal();
      s.isolate(a);
      s.drop(everything);
      const auto leads = [&](unsigned i) { return s.status(i).is_leader && s.status(i).term > std::get<vote>(late.what).term; };
      for (int i = 0; i < 200 && !leads(b) && !leads(x); ++i) {
        s.now += 10ms;
        s.pass(b);
        s.pass(x);
        s.settle();
      }
      REQUIRE((leads(b) || leads(x)));
      const unsigned n = leads(b) ? b : x;
      s.submit(n, "new");
      s.settle();
      REQUIRE(has(s.members[n], "new"));
      const auto told = s.status(n).applied;
      // A goes on and finds the vote: it leads, in a term that is over, and has its word for a lease alone.
      s.heal();
      s.inject(b, a, late.what);
      s.deliver([&](const flying& f) { return f.to == a; });
      REQUIRE(s.status(a).is_leader);
      s.read(a, 1);
      s.drop(everything);
      s.go(2s);
      CHECK(answered(s.members[a], 1));
      return !stale(s.members[a], 1, told);
    });
  }

  TEST_CASE("E6: a leader that is cut off says so, and one that hears nobody makes room") {
    falls_with(mutation::no_check_quorum, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      s.isolate(a);
      s.read(a, 1);
      s.go(4s);
      const bool refused = s.members[a].reads.size() == 1 && s.members[a].reads.front().refused;
      return !s.status(a).is_leader && !s.status(a).primary && s.submit(a, "x") == submit_status::no_quorum && refused;
    });
    falls_with(mutation::no_check_quorum, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
      // The others hear its heartbeats and stay with it, but what they send is lost.
      s.cut(b, a);
      s.cut(c, a);
      CHECK(s.submit(b, "x") == submit_status::taken);
      s.go(5s);
      return has(s.members[b], "x") && has(s.members[c], "x");
    });
  }

  TEST_CASE("E3 (F44): a member that was cut off comes back without deposing the leader") {
    falls_with(mutation::no_pre_vote, [] {
      auto s = stage::founded(3, in_memory());
      const auto a = static_cast<unsigned>(s.leader());
      const unsigned c = (a + 1) % 3;
      const auto term = s.status(a).term;
      s.isolate(c);
      s.go(10s);
      CHECK(s.leader() == static_cast<int>(a));
      const bool quiet = s.status(c).term == term;
      s.heal();
      s.go(3s);
      const auto& told = s.members[a].events;
      const bool deposed = std::ranges::any_of(told, [](const auto& e) { return e.kind == event_kind::stepped_down; });
      CHECK(quiet == !deposed);
      return !deposed && s.leader() == static_cast<int>(a) && s.status(a).term == term && s.status(c).active;
    });
  }

  TEST_CASE("E4: two that ask for votes in one term do not both lead") {
    falls_with(mutation::vote_twice, [] {
      auto s = stage::founded(3, in_memory());
      const auto c = static_cast<unsigned>(s.leader());
      const unsigned a = (c + 1) % 3, b = (c + 2) % 3;
      const auto term = s.status(c).term;
      s.isolate(c);
      // A and B do not reach each other either, until all three are without a leader. Then both ask C.
      s.isolate(a);
      s.go(1200ms);
      s.heal();
      s.cut(a, b);
      s.cut(b, a);
      const auto asks = [&](unsigned i) {
        return std::ranges::any_of(s.in_flight, [&](const flying& f) { return f.from == i && f.to == c && is<vote>(f); });
      };
      for (int i = 0; i < 100 && !(asks(a) && asks(b)); ++i) {
        s.go(10ms, false);
        s.drop([&](const flying& f) { return f.from == c; });
      }
      REQUIRE((asks(a) && asks(b)));
      s.deliver(is<vote>);
      const auto leads = [&](unsigned i) { return s.status(i).is_leader && s.status(i).term == term + 1; };
      CHECK((leads(a) || leads(b)));
      const bool both = leads(a) && leads(b);
      // C would follow both, and each of them would tell its client of a first message.
      s.submit(a, "of A");
      s.submit(b, "of B");
      s.settle();
      s.go(100ms);
      CHECK((s.members[a].delivered.size() + s.members[b].delivered.size()) > 0);
      const bool agree = s.members[a].delivered.empty() || s.members[b].delivered.empty() ||
                         s.members[a].delivered.front() == s.members[b].delivered.front();
      CHECK(both == !agree);
      return agree;
    });
  }

  TEST_CASE("L4, C10: what a member sends sorts behind what it had received, whatever its clock and its place") {
    falls_with(mutation::order_by_slot, [] { return effect_follows_cause(0us, false); });
    falls_with(mutation::stamp_restarts, [] { return effect_follows_cause(0us, false); });
    falls_with(mutation::stamp_restarts, [] { return effect_follows_cause(-400ms, false); });
    falls_with(mutation::stamp_restarts, [] { return effect_follows_cause(-400ms, true); });
  }
}
