// Group calls: who counts and when it is enough, case by case; messages and reports as they travel.
#include "framework/rpc/collator.hpp"
#include "framework/rpc/messages.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

using namespace cohort;
using namespace cohort::rpc;
using namespace std::chrono_literals;

namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto b = std::as_bytes(std::span(text));
  return {b.begin(), b.end()};
}

process p(unsigned member, incarnation inc) { return {member_id(member), inc}; }

/// Three members, of whom the first calls; view 7.
struct room {
  collator c{[](member_id m) { return "n" + std::to_string(to_index(m) + 1); }};
  std::vector<process> view{p(0, 10), p(1, 20), p(2, 30)};
  static constexpr incarnation caller = 10;

  void open(std::uint64_t number, collate how, unsigned count = 1, protocol::instant deadline = 5s) {
    collation o;
    o.how = how;
    o.count = count;
    c.open(number, o, deadline);
  }
  void deliver(std::uint64_t number) { c.delivered(number, {7, 100, 50, wall_time(1), caller}, view); }
  void answer(std::uint64_t number, process from, std::string_view text, view_number in = 7, incarnation to = caller) {
    c.answered(number, {from, to, in, false, bytes_of(text)});
  }
  bool ended() { return !c.ended_calls().empty(); }
  call_report take() {
    REQUIRE(c.ended_calls().size() == 1);
    auto r = std::move(c.ended_calls().front().report);
    c.ended_calls().clear();
    return r;
  }
};

}  // namespace

TEST_SUITE("rpc: table") {
  TEST_CASE("none ends with the delivery, first with one answer, some with so many, majority with more than half") {
    room r;
    r.open(1, collate::none);
    r.deliver(1);
    CHECK(r.take().met());
    r.open(2, collate::first);
    r.deliver(2);
    REQUIRE_FALSE(r.ended());
    r.answer(2, p(2, 30), "c");
    const auto first = r.take();
    CHECK(first.met());
    CHECK(first.view == 7);
    CHECK(first.position == 100);
    REQUIRE(first.any());
    CHECK(first.any()->member == "n3");
    CHECK(first.any()->text() == "c");
    CHECK(first.count(member_standing::awaited) == 2);
    for (auto [how, number] : {std::pair(collate::some, 3), std::pair(collate::majority, 4)}) {
      CAPTURE(to_string(how));
      r.open(number, how, 2);
      r.deliver(number);
      r.answer(number, p(0, 10), "a");
      REQUIRE_FALSE(r.ended());
      r.answer(number, p(1, 20), "b");
      CHECK(r.take().count(member_standing::answered) == 2);
    }
  }

  TEST_CASE("a majority of an even number of members is more than half") {
    room r;
    r.view.push_back(p(3, 40));
    r.open(1, collate::majority);
    r.deliver(1);
    r.answer(1, p(0, 10), "");
    r.answer(1, p(1, 20), "");
    CHECK_FALSE(r.ended());
    r.answer(1, p(3, 40), "");
    CHECK(r.take().met());
  }

  TEST_CASE(
      "an answer that is repeated, of another view, of an old life of the member or to an old life of the caller "
      "counts for nothing") {
    room r;
    r.open(1, collate::majority);
    r.deliver(1);
    r.answer(1, p(1, 20), "b");
    r.answer(1, p(1, 20), "again");
    r.answer(1, p(1, 19), "old life");
    r.answer(1, p(1, 21), "new life");
    r.answer(1, p(2, 30), "old view", 6);
    r.answer(1, p(2, 30), "next view", 8);
    r.answer(1, p(2, 30), "to an old life", 7, 9);
    r.answer(1, p(9, 90), "a stranger");
    REQUIRE_FALSE(r.ended());
    r.answer(1, p(2, 30), "c");
    const auto report = r.take();
    CHECK(report.met());
    CHECK(report.members[0].what == member_standing::awaited);
    CHECK(report.members[1].text() == "b");
    CHECK(report.members[2].text() == "c");
  }

  TEST_CASE("answers that come before the caller's own delivery are judged then") {
    room r;
    r.open(1, collate::some, 2);
    r.answer(1, p(1, 20), "old view", 6);
    r.answer(1, p(1, 20), "b");
    r.answer(1, p(1, 20), "b again");
    r.answer(1, p(2, 30), "c");
    REQUIRE_FALSE(r.ended());
    r.deliver(1);
    const auto report = r.take();
    CHECK(report.members[1].text() == "b");
    CHECK(report.members[2].text() == "c");
    CHECK(report.members[0].what == member_standing::awaited);
  }

  TEST_CASE("all is all that are left; who went is named with what became of it") {
    room r;
    r.open(1, collate::all);
    r.deliver(1);
    r.answer(1, p(0, 10), "a");
    r.c.view_installed({p(0, 10), p(1, 20)}, {});
    REQUIRE_FALSE(r.ended());
    r.answer(1, p(1, 20), "b");
    const auto report = r.take();
    CHECK(report.met());
    CHECK(report.members[2].what == member_standing::failed);
    CHECK(report.members[2].incarnation == 30);

    r.open(2, collate::all);
    r.deliver(2);
    r.answer(2, p(2, 30), "c");
    r.c.view_installed({p(0, 10)}, {member_id(1)});  // n3 answered and went, n2 left
    REQUIRE_FALSE(r.ended());
    r.answer(2, p(0, 10), "a");
    const auto second = r.take();
    CHECK(second.met());
    CHECK(second.members[1].what == member_standing::left);
    CHECK(second.members[2].what == member_standing::answered);
  }

  TEST_CASE("a member that came back under a new life is not waited for and does not count") {
    room r;
    r.open(1, collate::all);
    r.deliver(1);
    r.answer(1, p(0, 10), "a");
    r.answer(1, p(1, 20), "b");
    r.c.view_installed({p(0, 10), p(1, 20), p(2, 31)}, {});
    const auto report = r.take();
    CHECK(report.met());
    CHECK(report.members[2].what == member_standing::failed);
  }

  TEST_CASE("a majority is one of the view that delivered the call, also when members go") {
    room r;
    r.view = {p(0, 10), p(1, 20), p(2, 30), p(3, 40), p(4, 50)};
    r.open(1, collate::majority);
    r.deliver(1);
    r.answer(1, p(0, 10), "a");
    r.c.view_installed({p(0, 10), p(1, 20), p(2, 30)}, {});
    r.answer(1, p(1, 20), "b");
    REQUIRE_FALSE(r.ended());  // two of the three that are left, two of the five that were asked
    r.c.view_installed({p(0, 10), p(1, 20)}, {});
    CHECK(r.take().end == call_end::unmet);
  }

  TEST_CASE("what cannot become enough ends at once") {
    room r;
    r.open(1, collate::some, 3);
    r.deliver(1);
    r.answer(1, p(0, 10), "a");
    r.c.view_installed({p(0, 10), p(1, 20)}, {});
    CHECK(r.take().end == call_end::unmet);
    r.open(2, collate::all);
    r.deliver(2);
    r.c.answered(2, {p(0, 10), 10, 7, true, {}});
    r.answer(2, p(1, 20), "b");
    r.answer(2, p(2, 30), "c");
    const auto report = r.take();
    CHECK(report.end == call_end::unmet);
    CHECK(report.members[0].what == member_standing::too_large);
  }

  TEST_CASE("the caller's own answer is in the report, also where others that are gone end the call at once") {
    room r;
    r.open(1, collate::some, 4);
    r.c.delivered(1, {7, 100, 50, wall_time(1), room::caller}, r.view, collator::answer{p(0, 10), room::caller, 7, false, bytes_of("mine")});
    const auto report = r.take();
    CHECK(report.end == call_end::unmet);
    CHECK(report.members[0].text() == "mine");
  }

  TEST_CASE("time, cancellation, the end of the node and a message that is not delivered end a call once") {
    room r;
    for (std::uint64_t n = 1; n <= 4; ++n) r.open(n, collate::all, 1, std::chrono::seconds(n));
    r.deliver(1);
    r.answer(1, p(1, 20), "b");
    r.c.expire(999ms);
    REQUIRE_FALSE(r.ended());
    CHECK(r.c.next_deadline() == protocol::instant(1s));
    r.c.expire(1s);
    const auto late = r.take();
    CHECK(late.end == call_end::late);
    CHECK(late.members[0].what == member_standing::late);
    CHECK(late.members[1].what == member_standing::answered);
    r.answer(1, p(0, 10), "a");
    CHECK_FALSE(r.ended());

    r.c.expire(1h);  // the others wait for their delivery, which has a bound of its own
    REQUIRE_FALSE(r.ended());
    r.c.cancel(2);
    CHECK(r.take().end == call_end::cancelled);
    r.answer(3, p(2, 30), "c");
    r.c.undelivered(3);
    const auto lost = r.take();
    CHECK(lost.end == call_end::undelivered);
    REQUIRE(lost.members.size() == 1);
    CHECK(lost.members[0].text() == "c");
    CHECK(lost.view == 7);
    r.c.stop();
    CHECK(r.take().end == call_end::stopped);
    CHECK(r.c.empty());
    r.deliver(4);
    CHECK_FALSE(r.ended());
  }

  TEST_CASE("a function of the caller decides; one that throws gives up") {
    room r;
    collation o;
    o.how = collate::custom;
    o.judge = [](const call_report& so_far) {
      for (const auto& m : so_far.members)
        if (m.text() == "yes")
          return judgement::enough;
        else if (m.text() == "never")
          return judgement::give_up;
      return judgement::wait;
    };
    r.c.open(1, o, 5s);
    r.deliver(1);
    r.answer(1, p(0, 10), "no");
    REQUIRE_FALSE(r.ended());
    r.answer(1, p(1, 20), "yes");
    CHECK(r.take().met());
    r.c.open(2, o, 5s);
    r.deliver(2);
    r.answer(2, p(0, 10), "never");
    CHECK(r.take().end == call_end::unmet);
    r.c.open(3, o, 5s);
    r.deliver(3);
    r.c.view_installed({}, {});
    CHECK(r.take().end == call_end::unmet);
    o.judge = [](const call_report&) -> judgement { throw std::runtime_error("no"); };
    r.c.open(4, o, 5s);
    r.deliver(4);
    CHECK(r.take().end == call_end::unmet);
  }

  TEST_CASE("calls and reports are read as they were written, and nothing else is") {
    std::vector<std::byte> out;
    write_call(out, 99, wall_time(1234), bytes_of("hello"));
    CHECK(is_call(out));
    call_message m;
    REQUIRE(read_call(out, m));
    CHECK(m.number == 99);
    CHECK(m.answered_until == wall_time(1234));
    CHECK(std::ranges::equal(m.payload, bytes_of("hello")));
    CHECK_FALSE(is_call(bytes_of("hello, this is no call")));
    CHECK_FALSE(read_call(std::span(out).first(call_head_bytes - 1), m));

    call_report r;
    r.end = call_end::late;
    r.view = 3;
    r.position = 4;
    r.index = 5;
    r.time = wall_time(6);
    r.members = {{"n1", 7, member_standing::answered, bytes_of("x")}, {"n2", 8, member_standing::failed, {}}};
    write_report(out, r);
    call_report back;
    REQUIRE(read_report(out, back));
    CHECK(back.end == call_end::late);
    CHECK(back.view == 3);
    CHECK(back.position == 4);
    CHECK(back.index == 5);
    CHECK(back.time == wall_time(6));
    REQUIRE(back.members.size() == 2);
    CHECK(back.members[0].text() == "x");
    CHECK(back.members[1].member == "n2");
    CHECK(back.members[1].what == member_standing::failed);
    for (std::size_t cut = 0; cut < out.size(); ++cut) CHECK_FALSE(read_report(std::span(out).first(cut), back));
    out.push_back(std::byte{0});
    CHECK_FALSE(read_report(out, back));
  }
}
