// What becomes of each request of a session, one rule after the other.
#include "tests/unit/session_support.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

TEST_SUITE("session: table") {
  TEST_CASE("a request is executed once, and its answer given as often as it is asked for") {
    sessions_under_test t;
    const auto s = t.open(1);
    CHECK(t.last.what == session_outcome::replied);
    CHECK(s.birth == 1);
    auto r = t.call(s, 1, "a");
    CHECK(r.what == session_outcome::replied);
    CHECK(!r.repeated);
    CHECK(text_of(r.payload) == "a#1");
    CHECK(r.position == 2);
    CHECK(r.index == 12);
    CHECK(r.view == 3);
    CHECK(r.time == 1000s);
    t.now += 1s;
    r = t.call(s, 1, "a");
    CHECK(r.repeated);
    CHECK(text_of(r.payload) == "a#1");
    CHECK(r.position == 2);
    CHECK(r.time == 1000s);
    CHECK(t.times("a") == 1);
    CHECK(t.open(1) == s);  // asked again since the answer was lost
    CHECK(t.renew(s) == session_outcome::replied);
  }

  TEST_CASE("numbers come in any order; acknowledged ones are forgotten, also by late copies with an older mark") {
    sessions_under_test t;
    const auto s = t.open(1);
    for (std::uint64_t n : {3, 1, 7, 2}) CHECK(text_of(t.call(s, n, std::to_string(n)).payload) == std::to_string(n) + "#1");
    CHECK(t.call(s, 8, "8", 4).what == session_outcome::replied);
    CHECK(t.call(s, 3, "3").what == session_outcome::forgotten);
    CHECK(t.call(s, 7, "7").repeated);
    CHECK(t.call(s, 5, "5").what == session_outcome::replied);
    CHECK(t.call(s, 200, "200", 200).what == session_outcome::replied);  // past all that has a place
    CHECK(t.call(s, 7, "7").what == session_outcome::forgotten);
    CHECK(t.call(s, 199, "199").what == session_outcome::forgotten);
    for (std::uint64_t n : {1, 2, 3, 5, 7, 8, 200}) CHECK(t.times(std::to_string(n)) == 1);
    CHECK(t.times("199") == 0);
    CHECK(t.call(s, 0, "0", 0).what == session_outcome::malformed);
    CHECK(t.call(s, 201, "201", 202).what == session_outcome::malformed);
    CHECK(t.times("201") == 0);
  }

  TEST_CASE("sessions do not see each other's numbers, and plain messages pass") {
    sessions_under_test t;
    const auto a = t.open(1), b = t.open(2);
    CHECK(!t.call(a, 1, "x").repeated);
    CHECK(!t.call(b, 1, "x").repeated);
    CHECK(t.times("x") == 2);
    CHECK(text_of(t.apply(bytes_of("x")).payload) == "x#3");
    std::vector<std::byte> inner, outer;
    write_close(inner, a);  // an application's own bytes that look like a request
    write_plain(outer, inner);
    CHECK(text_of(t.apply(outer).payload).ends_with("#1"));
    CHECK(t.call(a, 1, "x").repeated);
    CHECK(text_of(t.ask("x").payload) == "3");
    inner.pop_back();
    CHECK(t.apply(inner).what == session_outcome::malformed);
  }

  TEST_CASE("a call carries half of its session's id, and only that session takes it") {
    sessions_under_test t;
    // Ids of one lower half: what tells them apart is where they were opened.
    const auto open = [&](std::uint64_t high) {
      session_name name{{high, 77}, 0};
      std::vector<std::byte> message;
      write_open(message, name, {});
      name.birth = t.apply(message).birth;
      return name;
    };
    const auto first = open(1), second = open(2);
    const auto other = t.open(9);
    for (int restarts = 0; restarts < 2; ++restarts) {
      const std::uint64_t number = 1 + static_cast<std::uint64_t>(restarts);
      CHECK(text_of(t.call(first, number, "a" + std::to_string(restarts)).payload) == "a" + std::to_string(restarts) + "#1");
      CHECK_FALSE(t.call(second, number, "b").repeated);
      CHECK(t.call(first, number, "never").repeated);
      CHECK(t.call({{1, 78}, first.birth}, 5, "guessed").what == session_outcome::no_session);
      CHECK(t.call({first.id, other.birth}, 5, "guessed").what == session_outcome::no_session);
      CHECK(t.call({first.id, 0}, 5, "guessed").what == session_outcome::no_session);
      t.restart_from(t.checkpoint());
    }
    CHECK(t.close(first) == session_outcome::replied);
    CHECK(t.call(first, 9, "late").what == session_outcome::no_session);
    CHECK(t.call(second, 9, "b").what == session_outcome::replied);
    for (const auto* text : {"guessed", "late", "never"}) CHECK(t.times(text) == 0);
  }

  TEST_CASE("requests of several sessions follow each other in every order, and each counts in its own") {
    sessions_under_test t;
    // Ids that are alike at their beginning, births of one byte and of two.
    std::vector<session_name> all;
    for (std::uint64_t i = 0; i < 4; ++i) {
      if (i == 2) t.position = 1000;
      session_name name{{i, 0x1100000000000000 * (i % 2) + 0x55}, 0};
      std::vector<std::byte> message;
      write_open(message, name, {});
      name.birth = t.apply(message).birth;
      all.push_back(name);
    }
    std::vector<std::uint64_t> next(all.size(), 1);
    for (unsigned step = 0; step < 200; ++step) {
      const auto which = (step * 7 / 3 + step / 11) % all.size();
      CAPTURE(step);
      const auto number = next[which]++;
      const auto text = std::to_string(which) + '.' + std::to_string(number);
      CHECK(text_of(t.call(all[which], number, text, number > 3 ? number - 3 : 1).payload) == text + "#1");
      CHECK(t.call(all[which], number, "again").repeated);
      if (step % 50 == 49) t.restart_from(t.checkpoint());
    }
    // What was cut off behind its beginning, just after a whole one of the same session.
    std::vector<std::byte> message;
    write_call(message, all[0], 500, 1, {});
    CHECK(t.call(all[0], next[0], "whole").what == session_outcome::replied);
    for (std::size_t cut = 1; cut <= 4; ++cut)
      CHECK(t.apply(std::span(message).first(message.size() - cut)).what == session_outcome::malformed);
    // One that ended is gone for the request behind, too; the same id opened again is another.
    CHECK(t.close(all[0]) == session_outcome::replied);
    CHECK(t.call(all[0], next[0], "whole").what == session_outcome::no_session);
    std::vector<std::byte> again;
    write_open(again, {all[0].id, 0}, {});
    const session_name reborn{all[0].id, t.apply(again).birth};
    CHECK(t.call(reborn, next[0], "other life").what == session_outcome::replied);
    CHECK(t.call(all[0], next[0] + 1, "first life").what == session_outcome::no_session);
    CHECK(t.times("first life") == 0);
    CHECK(t.times("again") == 0);
  }

  TEST_CASE("numbers of every size travel, and what is cut or says nonsense is malformed") {
    sessions_under_test t;
    const auto s = t.open(1);
    std::vector<std::byte> message;
    for (unsigned bits = 0; bits < 64; ++bits) {
      const auto number = (std::uint64_t{1} << bits) - (bits % 2);
      if (number == 0) continue;
      CAPTURE(number);
      for (const auto back : {std::uint64_t{0}, std::min<std::uint64_t>(number - 1, 1000)}) {
        write_call(message, s, number, number - back, bytes_of("x"));
        CHECK(t.apply(message).what != session_outcome::malformed);
      }
    }
    write_call(message, s, ~std::uint64_t{0}, ~std::uint64_t{0}, bytes_of("y"));
    CHECK(t.apply(message).what == session_outcome::replied);
    write_call(message, s, 5, 6, bytes_of("x"));
    CHECK(t.apply(message).what == session_outcome::malformed);
    write_call(message, s, 0, 0, bytes_of("x"));
    CHECK(t.apply(message).what == session_outcome::malformed);
    write_call(message, s, ~std::uint64_t{0}, 1, {});
    for (std::size_t size = 3; size < message.size(); ++size) {
      CAPTURE(size);
      CHECK(t.apply(std::span(message).first(size)).what == session_outcome::malformed);
    }
    auto longer = message;
    longer[11] = std::byte{0xff};  // a number whose end does not come
    std::fill(longer.begin() + 11, longer.end(), std::byte{0xff});
    CHECK(t.apply(longer).what == session_outcome::malformed);
  }

  TEST_CASE("where only the caller's member answers, the others execute and keep the answer all the same") {
    auto inside = std::make_unique<tally>();
    auto& app = *inside;
    const auto machine = with_sessions(std::move(inside), false);
    delivery d;
    std::vector<std::byte> message;
    const auto answer = [&](bool own) {
      reply r;
      d.payload = message;
      d.own = own;
      ++d.position;
      machine->apply(d, r);
      return text_of(r.bytes());
    };
    session_name name{{1, 2}, 0};
    write_open(message, name, {});
    session_reply r;
    const auto opened = answer(true);
    REQUIRE(read_reply(bytes_of(opened), r));
    name.birth = r.birth;
    write_call(message, name, 1, 1, bytes_of("x"));
    CHECK(answer(false).empty());
    CHECK(app.times["x"] == 1);
    const auto again = answer(true);
    REQUIRE(read_reply(bytes_of(again), r));
    CHECK(r.repeated);
    CHECK(text_of(r.payload) == "x#1");
    CHECK(app.times["x"] == 1);
  }

  TEST_CASE("what is full refuses and executes nothing; acknowledging makes room") {
    sessions_under_test t;
    const auto s = t.open(1, {.open_requests_max = 4, .answer_bytes_max = 200});
    CHECK(t.call(s, 5, "far").what == session_outcome::too_far);
    CHECK(t.call(s, 1, std::string(200, 'x')).what == session_outcome::replied);
    CHECK(t.call(s, 2, "full").what == session_outcome::answers_full);
    CHECK(t.call(s, 1, std::string(200, 'x')).repeated);
    CHECK(t.times("full") == 0);
    CHECK(t.call(s, 2, "full", 2).what == session_outcome::replied);
    CHECK(t.call(s, 5, "far", 2).what == session_outcome::replied);
    CHECK(t.times("far") == 1);

    const auto big = t.open(2, {.table_bytes_max = 100});
    CHECK(t.call(big, 1, "of all").what == session_outcome::answers_full);

    sessions_under_test few;
    const session_limits limits{.sessions_max = 3, .sessions_per_owner_max = 2};
    const auto first = few.open(1, limits, 7);
    few.open(2, limits, 7);
    few.open(3, limits, 7);
    CHECK(few.last.what == session_outcome::sessions_full);
    few.open(4, limits, 8);
    CHECK(few.last.what == session_outcome::replied);
    few.open(5, limits, 9);
    CHECK(few.last.what == session_outcome::sessions_full);
    CHECK(few.close(first) == session_outcome::replied);
    few.open(3, limits, 7);
    CHECK(few.last.what == session_outcome::replied);
  }

  TEST_CASE("a session ends by agreed time, counted from its last request; a new one of its name knows nothing of it") {
    sessions_under_test t;
    const auto s = t.open(1, {.lifetime = 10s});
    CHECK(t.call(s, 1, "a").what == session_outcome::replied);
    t.now += 9s;
    CHECK(t.call(s, 1, "a").repeated);
    t.now += 9999ms;
    CHECK(t.renew(s) == session_outcome::replied);
    t.now += 10s;
    CHECK(t.call(s, 1, "a").what == session_outcome::no_session);
    CHECK(t.renew(s) == session_outcome::no_session);
    const auto again = t.open(1, {.lifetime = 10s});
    CHECK(again.birth != s.birth);
    CHECK(t.call(s, 1, "a").what == session_outcome::no_session);  // of the life before
    CHECK(t.times("a") == 1);
    CHECK(t.call(again, 1, "a").what == session_outcome::replied);
    CHECK(t.close(s) == session_outcome::no_session);
    CHECK(t.close(again) == session_outcome::replied);
    CHECK(t.call(again, 2, "b").what == session_outcome::no_session);
    t.now += 100s;
    CHECK(text_of(t.apply(bytes_of("plain")).payload) == "plain#1");
  }

  TEST_CASE("a cancelled request was executed or never is") {
    sessions_under_test t;
    const auto s = t.open(1);
    CHECK(t.cancel(s, 1).what == session_outcome::cancelled);
    CHECK(t.call(s, 1, "late").what == session_outcome::cancelled);
    CHECK(t.times("late") == 0);
    CHECK(t.call(s, 2, "early").what == session_outcome::replied);
    const auto r = t.cancel(s, 2);
    CHECK(r.what == session_outcome::replied);
    CHECK(text_of(r.payload) == "early#1");
    CHECK(t.cancel(s, 1).what == session_outcome::cancelled);
    CHECK(t.cancel(s, 0).what == session_outcome::forgotten);
  }

  TEST_CASE("a question is answered with the state's place, or refused by a replica that is behind") {
    sessions_under_test t;
    const auto s = t.open(1);
    const auto done = t.call(s, 1, "a");
    auto r = t.ask("a", done.index, 1000s);
    CHECK(r.what == session_outcome::replied);
    CHECK(text_of(r.payload) == "1");
    CHECK(r.index == done.index);
    CHECK(r.position == 2);
    CHECK(t.ask("a", done.index + 1).what == session_outcome::behind);
    CHECK(t.ask("a", 0, 1000s + 1us).what == session_outcome::behind);
  }

  TEST_CASE("a checkpoint holds sessions, answers, limits and times") {
    sessions_under_test t;
    const auto s = t.open(1, {.lifetime = 10s, .open_requests_max = 4}, 5);
    CHECK(t.call(s, 1, "a").what == session_outcome::replied);
    CHECK(t.call(s, 3, "c").what == session_outcome::replied);
    CHECK(t.cancel(s, 2).what == session_outcome::cancelled);
    const auto kept = t.checkpoint();
    sessions_under_test other;
    other.restart_from(kept);
    CHECK(other.checkpoint() == kept);
    other.position = t.position;
    other.now = t.now + 9s;
    CHECK(other.call(s, 1, "a").repeated);
    CHECK(text_of(other.last.payload) == "a#1");
    CHECK(other.last.position == 2);
    CHECK(other.call(s, 2, "b").what == session_outcome::cancelled);
    CHECK(other.call(s, 5, "e").what == session_outcome::too_far);
    CHECK(other.times("a") == 1);
    other.now += 10s;
    CHECK(other.call(s, 1, "a").what == session_outcome::no_session);
    for (std::size_t cut = 0; cut < kept.size(); cut += 7) CHECK_THROWS_AS(other.restart_from(kept.substr(0, cut)), truncated_checkpoint);
    std::string wrong = kept;
    wrong[0] = 9;
    CHECK_THROWS_AS(other.restart_from(wrong), truncated_checkpoint);
  }

  TEST_CASE("a checkpoint holds answers of every length, of one log entry and of several, however their numbers came") {
    sessions_under_test t;
    const auto s = t.open(1, {.answer_bytes_max = 1u << 20});
    std::map<std::uint64_t, std::string> answers;
    const auto call = [&](std::uint64_t number, std::size_t length) {
      REQUIRE(t.call(s, number, std::string(length, 'x') + std::to_string(number)).what == session_outcome::replied);
      answers[number] = text_of(t.last.payload);
    };
    for (const bool one_entry : {true, false}) {
      t.one_entry = one_entry;
      const std::uint64_t from = one_entry ? 1 : 200;
      for (const std::size_t length : {0, 1, 12, 13, 14, 15, 100, 1023, 1024, 1025, 5000}) call(from + 2 * length % 97, length);
    }
    const auto kept = t.checkpoint();
    sessions_under_test other;
    other.restart_from(kept);
    CHECK(other.checkpoint() == kept);
    for (const auto& [number, answer] : answers) {
      const auto at_first = t.call(s, number, "again");
      const auto r = other.call(s, number, "again");
      CHECK(r.repeated);
      CHECK(text_of(r.payload) == answer);
      CHECK(r.position == at_first.position);
      CHECK(r.index == at_first.index);
      CHECK(r.view == at_first.view);
    }
    // Slots are used again, with longer and shorter answers than before.
    for (std::uint64_t n = 1; n <= 40; ++n) {
      const auto number = 300 + n;
      CHECK(text_of(other.call(s, number, std::string(n * n, 'y'), number).payload) == std::string(n * n, 'y') + "#1");
    }
    for (std::size_t cut = 0; cut < kept.size(); cut += 131) CHECK_THROWS_AS(other.restart_from(kept.substr(0, cut)), truncated_checkpoint);
  }

  TEST_CASE("a checkpoint of format 1 is read") {
    text_sink out;
    for (const std::uint64_t f : {1, 9, 19, 3, 1'000'000'000}) out.write_u64(f);  // format; newest position, entry, view, time
    for (const std::uint64_t f : {1'000'000'000, 1}) out.write_u64(f);            // now; sessions
    for (const std::uint64_t f : {7, 8, 1, 0, 1'060'000'000, 60'000, 1024, 1 << 20, 1 << 28, 100, 100, 2}) out.write_u64(f);
    out.write_u64(2);
    for (const std::uint64_t f : {2, 1, 5, 15, 3, 1'000'000'000}) out.write_u64(f);
    out.write_bytes("b#1");
    for (const std::uint64_t f : {4, 2, 6, 16, 3, 1'000'000'000, 0}) out.write_u64(f);
    out.write_u64(0);  // the tally's
    sessions_under_test t;
    t.restart_from(out.text);
    t.position = 9;
    const session_name s{{7, 8}, 1};
    CHECK(t.call(s, 2, "b", 2).repeated);
    CHECK(text_of(t.last.payload) == "b#1");
    CHECK(t.last.position == 5);
    CHECK(t.last.index == 15);
    CHECK(t.call(s, 4, "d", 2).what == session_outcome::cancelled);
    CHECK(t.call(s, 3, "c", 2).what == session_outcome::replied);
    sessions_under_test other;
    other.restart_from(t.checkpoint());
    CHECK(other.checkpoint() == t.checkpoint());
    for (std::size_t cut = 0; cut < out.text.size(); cut += 5) CHECK_THROWS_AS(other.restart_from(out.text.substr(0, cut)), truncated_checkpoint);
  }
}
