// Heartbeats between nodes: what counts, and what is forgotten.
#include "framework/protocol/pulse.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

using namespace cohort;
using namespace cohort::protocol;
using namespace std::chrono_literals;

namespace {

constexpr member_id a{0}, b{1}, c{2};

struct side final : pulse_host {
  explicit side(std::size_t groups = 4, pulse_options o = {}) : node(o, groups, *this) {}
  void touch(std::uint32_t group) override { touched.push_back(group); }
  pulses node;
  std::vector<std::uint32_t> touched;
};

vouch leads(term_number t, std::uint64_t to = ~std::uint64_t(0)) { return {vouch_kind::leads, t, to}; }
vouch follows(term_number t, member_id of) { return {vouch_kind::follows, t, std::uint64_t{1} << to_index(of)}; }

void up(side& l, side& r) {
  l.node.link_up(b);
  r.node.link_up(a);
}
/// One pulse each way.
void beat(side& l, side& r, instant now) {
  r.node.receive(a, l.node.compose(b, now), now);
  l.node.receive(b, r.node.compose(a, now), now);
}

}  // namespace

TEST_SUITE("protocol: pulse") {
  TEST_CASE("Q2, Q4: a word is told with its term, and lives with the pulses") {
    side l, r;
    up(l, r);
    l.node.say(2, leads(7));
    r.node.say(2, follows(7, a));
    r.node.say(3, follows(9, c));  // nothing to a
    beat(l, r, 10ms);
    beat(l, r, 20ms);
    beat(l, r, 30ms);
    const auto at_r = r.node.contact(a, 2);
    CHECK(at_r.kind == vouch_kind::leads);
    CHECK(at_r.term == 7);
    CHECK(at_r.heard == 30ms);
    CHECK(at_r.live);
    const auto at_l = l.node.contact(b, 2);
    CHECK(at_l.kind == vouch_kind::follows);
    CHECK(at_l.echo == 30ms);
    CHECK(at_l.live);
    CHECK(l.node.contact(b, 3).kind == vouch_kind::none);
    CHECK(l.node.contact(b, 1).kind == vouch_kind::none);
    CHECK(l.node.contact(b, 1'000'000).kind == vouch_kind::none);
    CHECK(l.node.contact(c, 2).kind == vouch_kind::none);
  }

  TEST_CASE("Q2: a leader's word goes only to those it names, and is taken back from others") {
    side l, r;
    up(l, r);
    l.node.say(0, leads(1, 0b01));
    beat(l, r, 1ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);
    l.node.say(0, leads(1, 0b10));
    beat(l, r, 2ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::leads);
    l.node.say(0, leads(1, 0b01));
    beat(l, r, 3ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);
  }

  TEST_CASE("Q2: what is said of a group counts for no other one that has its place") {
    side l, r;
    up(l, r);
    constexpr auto first = group_number(2, 0), second = group_number(2, 1);
    l.node.say(first, leads(7));
    beat(l, r, 1ms);
    CHECK(r.node.contact(a, first).kind == vouch_kind::leads);
    CHECK(r.node.contact(a, second).kind == vouch_kind::none);
    l.node.say(first, {});
    l.node.say(second, leads(7));
    r.touched.clear();
    beat(l, r, 2ms);
    CHECK(r.node.contact(a, first).kind == vouch_kind::none);
    CHECK(r.node.contact(a, second).kind == vouch_kind::leads);
    CHECK(std::ranges::count(r.touched, first) == 1);
    CHECK(std::ranges::count(r.touched, second) == 1);
    l.node.say(first, {});  // late: it is not that one's word
    beat(l, r, 3ms);
    CHECK(r.node.contact(a, second).kind == vouch_kind::leads);
    // One that was not withdrawn is, before another one speaks.
    l.node.say(group_number(2, 2), follows(9, b));
    beat(l, r, 4ms);
    CHECK(r.node.contact(a, second).kind == vouch_kind::none);
    CHECK(r.node.contact(a, group_number(2, 2)).term == 9);
    // It is, also where the next one says nothing.
    l.node.say(group_number(2, 3), leads(1, 0b1));
    beat(l, r, 5ms);
    CHECK(r.node.contact(a, group_number(2, 2)).kind == vouch_kind::none);
    side late;  // a link that comes later hears the last word alone
    l.node.link_up(c);
    late.node.link_up(a);
    l.node.say(group_number(2, 3), leads(10));
    late.node.receive(a, l.node.compose(c, 6ms), 6ms);
    CHECK(late.node.contact(a, group_number(2, 3)).term == 10);
  }

  TEST_CASE("Q3: a pulse that stands on unknown changes does not count, nor does a late one") {
    side l, r;
    up(l, r);
    l.node.say(0, leads(1));
    beat(l, r, 10ms);
    beat(l, r, 20ms);  // l knows that r knows
    l.node.say(0, {});
    auto lost = l.node.compose(b, 30ms);  // carries the change, and arrives late
    r.node.receive(a, l.node.compose(b, 40ms), 40ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);  // repeated until it is acknowledged
    l.node.say(0, leads(2));
    auto next = l.node.compose(b, 50ms);
    auto without = next;
    without.first_change += 2;  // as if the receiver had acknowledged what it has not
    without.changes.clear();
    r.node.receive(a, without, 50ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);
    r.node.receive(a, lost, 60ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);
    r.node.receive(a, l.node.compose(b, 70ms), 70ms);
    CHECK(r.node.contact(a, 0).term == 2);
    CHECK(r.node.contact(a, 0).heard == 70ms);
  }

  TEST_CASE("Q3: more changes than fit vouch for nothing until all have come") {
    pulse_options o;
    o.changes_max = 3;
    side l(10, o), r(10, o);
    up(l, r);
    for (std::uint32_t g = 0; g < 7; ++g) l.node.say(g, leads(1));
    for (int i = 1; i <= 2; ++i) {
      beat(l, r, instant(i * 10ms));
      CHECK(r.node.contact(a, 0).kind == vouch_kind::leads);
      CHECK(r.node.contact(a, 0).heard == instant::min());
    }
    beat(l, r, 30ms);
    CHECK(r.node.contact(a, 6).kind == vouch_kind::leads);
    CHECK(r.node.contact(a, 6).heard == 30ms);
  }

  TEST_CASE("Q5, Q6: groups are told before a word is taken back, and of silence") {
    side l, r;
    up(l, r);
    l.node.say(1, leads(1));
    l.node.say(2, leads(1));
    beat(l, r, 10ms);
    beat(l, r, 20ms);
    beat(l, r, 30ms);
    r.touched.clear();
    l.node.say(1, {});
    beat(l, r, 40ms);
    CHECK(r.touched == std::vector<std::uint32_t>{1});
    r.touched.clear();
    r.node.check(100ms);
    CHECK(r.touched.empty());
    CHECK(r.node.next_deadline() <= 40ms + pulse_options{}.silence_max);
    r.node.check(40ms + pulse_options{}.silence_max);
    CHECK(r.touched == std::vector<std::uint32_t>{2});
    CHECK_FALSE(r.node.contact(a, 2).live);
    CHECK(r.node.contact(a, 2).heard == 40ms);
  }

  TEST_CASE("Q6: a link that carries one way is a dead one") {
    side l, r;
    up(l, r);
    l.node.say(0, leads(1));
    for (int i = 1; i <= 3; ++i) beat(l, r, instant(i * 10ms));
    CHECK(r.node.contact(a, 0).live);
    instant now = 30ms;
    for (; r.node.contact(a, 0).live && now < 2s; now += 50ms) {  // l hears nothing any more
      r.node.receive(a, l.node.compose(b, now), now);
      r.node.check(now);
    }
    CHECK(now - 30ms <= pulse_options{}.echo_age_max + 100ms);
  }

  TEST_CASE("Q1: nothing of an earlier link holds on the next one") {
    side l, r;
    up(l, r);
    l.node.say(0, leads(1));
    for (int i = 1; i <= 3; ++i) beat(l, r, instant(i * 10ms));
    const auto old = l.node.compose(b, 35ms);
    r.node.link_down(a);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);
    r.node.receive(a, old, 36ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);
    side again;  // the process behind the link is another one
    r.node.link_up(a);
    again.node.link_up(b);
    for (int i = 4; i <= 6; ++i) beat(again, r, instant(i * 10ms));
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);
    l.node.link_down(b);
    up(l, r);
    beat(l, r, 70ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::leads);  // told anew
  }

  TEST_CASE("a hostile peer's numbers do no harm") {
    side l, r;
    up(l, r);
    pulse p;
    p.number = 1;
    p.first_change = 0;
    p.changes = {{0, vouch_kind::leads, 1}};
    r.node.receive(a, p, 1ms);
    CHECK(r.node.contact(a, 0).kind == vouch_kind::none);
    p.number = 2;
    p.first_change = 1;
    p.known = ~std::uint64_t(0);
    p.echo_time = 1000s;
    p.changes = {{~0u, vouch_kind::leads, 1}, {1, vouch_kind::follows, 5}};
    r.node.receive(a, p, 2ms);
    CHECK(r.node.contact(a, 1).kind == vouch_kind::follows);
    CHECK(r.node.contact(a, 1).echo <= 2ms);
    r.node.receive(member_id{500}, p, 3ms);
    r.node.link_up(member_id{500});
    CHECK_FALSE(r.node.linked(member_id{500}));
  }
}
