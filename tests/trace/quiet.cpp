// Directed tests of quiet groups (rules Q1 to Q9).
#include "tests/trace/directed.hpp"

#include <algorithm>

using namespace cohort;
using namespace cohort::trace;

namespace {

struct listener final : pulse_host {
  void touch(std::uint32_t) override { ++touches; }
  int touches = 0;
};

/// Q6: what relies on a peer is given a pass when that falls silent.
bool silence_wakes() {
  listener nobody, sleeper;
  pulses here({}, 1, nobody), there({}, 1, sleeper);
  const member_id a{0}, b{1};
  here.link_up(b);
  there.link_up(a);
  here.say(0, {vouch_kind::leads, 1, ~std::uint64_t(0)});
  for (int i = 1; i <= 3; ++i) {
    there.receive(a, here.compose(b, instant(i * 10ms)), instant(i * 10ms));
    here.receive(b, there.compose(a, instant(i * 10ms)), instant(i * 10ms));
  }
  const bool live = there.contact(a, 0).live;
  sleeper.touches = 0;
  there.check(1s);
  return live && sleeper.touches == 1;
}

/// Q2: a leader has itself vouched for to those it feeds, not to a process that no view knows.
bool strangers_hear_nothing() {
  auto s = stage::founded(3, in_memory());
  const auto a = static_cast<unsigned>(s.leader());
  const unsigned b = (a + 1) % 3;
  const auto told = [&] { return (s.members[a].core->vouched().to >> b & 1) != 0; };
  if (!told()) return false;
  s.crash(b);
  s.start(b);
  return !told();
}

/// A word was taken back in a change that never came; the next pulse builds on it.
bool gap_is_noticed() {
  listener nobody;
  pulses here({}, 1, nobody), there({}, 1, nobody);
  const member_id a{0}, b{1};
  here.link_up(b);
  there.link_up(a);
  here.say(0, {vouch_kind::leads, 1, ~std::uint64_t(0)});
  there.receive(a, here.compose(b, 10ms), 10ms);
  auto next = here.compose(b, 20ms);
  next.first_change = 3;
  next.changes.clear();
  there.receive(a, next, 20ms);
  return there.contact(a, 0).heard == 10ms;
}

/// Q4: followers of an earlier term say nothing of this one.
bool term_is_compared() {
  auto s = stage::founded(3, in_memory());
  const auto a = static_cast<unsigned>(s.leader());
  s.isolate(a);
  s.read(a, 1);
  s.now += 20ms;
  const auto term = s.status(a).term;
  for (unsigned i = 0; i < 3; ++i)
    if (i != a) s.members[a].core->contact(s.members[i].id.member, {vouch_kind::follows, term - 1, s.now, s.now, true});
  s.pass(a);
  return s.members[a].reads.empty();
}

/// The same, in this term: read index needs no message of the group's own.
bool echo_confirms() {
  auto s = stage::founded(3, in_memory());
  const auto a = static_cast<unsigned>(s.leader());
  s.isolate(a);
  s.read(a, 1);
  s.now += 20ms;
  for (unsigned i = 0; i < 3; ++i)
    if (i != a) s.members[a].core->contact(s.members[i].id.member, {vouch_kind::follows, s.status(a).term, s.now, s.now, true});
  s.pass(a);
  return s.members[a].reads.size() == 1 && !s.members[a].reads.front().refused;
}

void vouch_all(stage& s, unsigned a) {
  for (unsigned i = 0; i < 3; ++i) {
    if (i == a) continue;
    s.members[a].core->contact(s.members[i].id.member, {vouch_kind::follows, s.status(a).term, s.now, s.now, true});
    s.members[i].core->contact(s.members[a].id.member, {vouch_kind::leads, s.status(a).term, s.now, s.now, true});
  }
}

bool all_rest(const stage& s) {
  return std::ranges::all_of(s.members, [](auto& m) { return m.core->next_deadline() == never; });
}

/// Until nobody has anything to wait for.
void rest(stage& s, unsigned a) {
  for (int i = 0; i < 30 && !all_rest(s); ++i) {
    s.now += 10ms;
    for (unsigned k = 0; k < 3; ++k) s.members[k].core->tick(s.now, wall_time(s.now.count() / 1000));
    vouch_all(s, a);
    for (unsigned k = 0; k < 3; ++k) s.pass(k);
    s.settle();
  }
}

/// V22, Q6: a leader that rested while its process stood still blames nobody whose pulses it has not read yet.
bool stalled_node_blames_nobody() {
  auto s = stage::founded(3, in_memory());
  const auto a = static_cast<unsigned>(s.leader());
  rest(s, a);
  listener nobody;
  pulses node({}, 1, nobody);
  const auto b = static_cast<member_id>((a + 1) % 3);
  node.link_up(b);
  node.check(s.now);
  node.sent(s.now);
  const auto before = s.now;
  s.now += 10s;
  node.check(s.now);
  const auto awake = node.contact(b, 0).awake;
  s.members[a].core->tick(s.now, wall_time(s.now.count() / 1000));
  const auto term = s.status(a).term;
  s.members[a].core->contact(s.members[(a + 1) % 3].id.member, {vouch_kind::follows, term, s.now, s.now, true, awake});
  s.members[a].core->contact(s.members[(a + 2) % 3].id.member, {vouch_kind::follows, term, before, before, false, awake});
  s.pass(a);
  return !s.status(a).wedged;
}

/// Q8: a member that was quiet with its group for long is not taken for one that makes no progress.
bool quiet_is_not_stuck() {
  auto s = stage::founded(3, in_memory());
  const auto a = static_cast<unsigned>(s.leader());
  const unsigned b = (a + 1) % 3, c = (a + 2) % 3;
  rest(s, a);
  s.now += 10s;  // nobody has a pass
  for (unsigned i = 0; i < 3; ++i) s.members[i].core->tick(s.now, wall_time(s.now.count() / 1000));
  vouch_all(s, a);
  s.submit(a, "x");
  s.pass(a);
  s.cut(a, c);
  s.cut(b, c);
  s.settle();  // committed by b, c has not even heard of it
  s.pass(a);
  return !s.status(a).wedged;
}

/// Q9: a batch is sent again when a pulse that left behind it was echoed, and not before.
bool only_lost_is_resent() {
  auto s = stage::founded(3, in_memory());
  const auto a = static_cast<unsigned>(s.leader());
  const unsigned c = (a + 2) % 3;
  vouch_all(s, a);
  s.submit(a, "x");
  s.pass(a);
  const auto sent = s.now;
  const auto batch_to_c = [&](const flying& f) { return f.to == c && std::holds_alternative<batch>(f.what); };
  s.drop(batch_to_c);
  s.settle();
  const auto resent = [&](instant echo) {
    s.now += 300ms;
    s.members[a].core->tick(s.now, wall_time(s.now.count() / 1000));
    for (unsigned i = 0; i < 3; ++i)
      if (i != a) s.members[a].core->contact(s.members[i].id.member, {vouch_kind::follows, s.status(a).term, s.now, echo, true});
    s.pass(a);
    return std::ranges::any_of(s.in_flight, batch_to_c);
  };
  return !resent(sent - 1ms) && resent(s.now);
}

/// Q9: heartbeats of a busy group's leader to a member, in half a second of passes.
int heartbeats(bool vouched) {
  auto s = stage::founded(3, in_memory());
  const auto a = static_cast<unsigned>(s.leader());
  const unsigned c = (a + 2) % 3;
  int count = 0;
  for (int i = 0; i < 50; ++i) {
    s.now += 10ms;
    s.members[a].core->tick(s.now, wall_time(s.now.count() / 1000));
    if (vouched) vouch_all(s, a);
    s.pass(a);
    count += static_cast<int>(std::ranges::count_if(s.in_flight, [&](const flying& f) { return f.to == c && std::holds_alternative<append>(f.what); }));
    s.drop(everything);
  }
  return count;
}

}  // namespace

TEST_CASE("Q9: what may still be under way is not sent again, what was lost is") {
  falls_with(mutation::slow_looks_lost, only_lost_is_resent);
}

TEST_CASE("Q9: pulses are heartbeats also of groups that are busy") {
  CHECK(heartbeats(false) >= 9);
  CHECK(heartbeats(true) <= 3);
}

TEST_CASE("Q3: a pulse that stands on changes which never came does not count") {
  falls_with(mutation::pulse_gap_counted, gap_is_noticed);
}

TEST_CASE("Q4: what a node says counts for the term it names") {
  CHECK(echo_confirms());
  falls_with(mutation::pulse_of_any_term, term_is_compared);
}

TEST_CASE("Q6: silence wakes who relied on the peer") { falls_with(mutation::pulse_silence_unnoticed, silence_wakes); }

TEST_CASE("Q2: a process that no view knows is not told of a leader") {
  falls_with(mutation::pulse_to_strangers, strangers_hear_nothing);
}

TEST_CASE("V22: a group that rested while its node stood still blames nobody") {
  falls_with(mutation::stall_not_noticed, stalled_node_blames_nobody);
}

TEST_CASE("Q8: who was quiet with its group is not excluded when it wakes") {
  falls_with(mutation::quiet_looks_stuck, quiet_is_not_stuck);
}

TEST_CASE("Q6, Q7: a group that is vouched for has no deadline, and one that is not has") {
  auto s = stage::founded(3, in_memory());
  const auto a = static_cast<unsigned>(s.leader());
  rest(s, a);
  CHECK(all_rest(s));
  const auto silent = [&](unsigned at, unsigned of, vouch_kind kind) {
    s.members[at].core->contact(s.members[of].id.member, {kind, s.status(a).term, s.now, s.now, false});
    s.pass(at);
    return s.members[at].core->next_deadline();
  };
  CHECK(silent(a, (a + 1) % 3, vouch_kind::follows) <= s.now + s.options.heartbeat);
  CHECK(silent((a + 1) % 3, a, vouch_kind::leads) <= s.now + s.options.election_max);
}
