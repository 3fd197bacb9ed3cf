#include "framework/resilience/deaths.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <random>
#include <string>

using namespace cohort;
using namespace cohort::resilience;

namespace {

death ended(std::uint64_t identity, std::uint64_t serial, wall_time time = wall_time(1000)) {
  return {.what = death::kind::input,
          .word = {1, 2, serial},
          .time = time,
          .process = "till",
          .from = "customer",
          .number = 7,
          .position = 12,
          .activation = 3,
          .identity = identity,
          .body_bytes = 5,
          .excerpt = "12345",
          .how = "by signal " + std::to_string(serial)};
}

}  // namespace

TEST_SUITE("resilience: deaths") {
  TEST_CASE("an end is counted once, by input, and the newest one says how") {
    death_table t;
    CHECK(t.add(1, ended(50, 1)));
    CHECK(t.add(2, ended(50, 2)));
    CHECK_FALSE(t.add(3, ended(50, 2)));  // told again (LW4)
    CHECK(t.knows(ended(50, 2)));
    CHECK(t.add(4, ended(60, 3)));
    CHECK(t.of(50).lives == 2);
    CHECK(t.of(50).how == "by signal 2");
    CHECK_FALSE(t.of(50).put_aside);
    CHECK(t.of(60).lives == 1);
    CHECK(t.of(70).lives == 0);
    CHECK(t.all().size() == 3);
  }

  TEST_CASE("who is executed to its end is innocent; so is who ended a process long ago") {
    death_table t;
    t.add(1, ended(50, 1, wall_time(100)));
    t.add(2, ended(50, 2, wall_time(200)));
    t.add(3, ended(60, 3, wall_time(300)));
    CHECK(t.expire(wall_time(200)) == std::vector<std::uint64_t>{1});
    CHECK(t.of(50).lives == 1);
    CHECK(t.forget(50) == std::vector<std::uint64_t>{2});
    CHECK(t.of(50).lives == 0);
    CHECK(t.forget(50).empty());
    t.remove(3);
    t.remove(3);
    CHECK(t.all().empty());
    CHECK(t.of(60).lives == 0);
  }

  TEST_CASE("that it is put aside is no end") {
    death_table t;
    t.add(1, ended(50, 1));
    t.add(
        2,
        {.what = death::kind::put_aside, .word = {0, 0, 50}, .time = wall_time(1), .process = "till", .identity = 50});
    CHECK(t.of(50).lives == 1);
    CHECK(t.of(50).put_aside);
    CHECK(t.of(50).how == "by signal 1");
    CHECK(t.forget(50).size() == 2);
    CHECK_FALSE(t.of(50).put_aside);
  }

  TEST_CASE("that it threw is no end, and says what") {
    death_table t;
    t.add(1, {.what = death::kind::threw, .word = {0, 0, 50}, .time = wall_time(1), .process = "till", .identity = 50, .how = "no"});
    CHECK(t.of(50).lives == 0);
    CHECK(t.of(50).put_aside);
    CHECK(t.of(50).threw);
    CHECK(t.of(50).how == "no");
  }

  TEST_CASE("places of a journal are judged by their own ends, and forgotten together; a count of ends is not forgotten") {
    death_table t;
    const auto place = [&](std::uint64_t number, death::kind what, std::uint64_t position, std::uint64_t identity,
                           const char* process = "till") {
      t.add(number, {.what = what, .word = {1, 1, number}, .time = wall_time(1), .process = process, .position = position,
                     .identity = identity, .how = "by signal 6"});
    };
    CHECK_FALSE(t.worst_place("till"));
    place(1, death::kind::redo, 4, 70);
    place(2, death::kind::redo, 3, 60);
    place(3, death::kind::redo, 3, 60);
    place(4, death::kind::redo, 9, 80, "other");
    place(5, death::kind::checkpoint, 3, 90);
    place(6, death::kind::input, 4, 50);
    t.add(7, {.what = death::kind::tally, .time = wall_time(1), .number = 5});
    const auto worst = t.worst_place("till");
    REQUIRE(worst);
    CHECK(worst->position == 3);
    CHECK(worst->what.lives == 2);
    CHECK(worst->what.how == "by signal 6");
    CHECK(t.of(90).lives == 1);
    CHECK(t.forget_places("till") == std::vector<std::uint64_t>{1, 2, 3, 5});
    CHECK_FALSE(t.worst_place("till"));
    CHECK(t.worst_place("other"));
    CHECK(t.of(50).lives == 1);
    t.expire(wall_time(2));
    REQUIRE(t.all().size() == 1);
    CHECK(t.all().begin()->second.number == 5);
  }

  TEST_CASE("a death is read as it was written, and nothing else is one") {
    const auto d = ended(50, 1);
    const auto bytes = encode(d);
    const auto read = decode_death(bytes);
    REQUIRE(read);
    CHECK(read->what == d.what);
    CHECK(read->word == d.word);
    CHECK(read->time == d.time);
    CHECK(read->process == d.process);
    CHECK(read->from == d.from);
    CHECK(read->number == d.number);
    CHECK(read->position == d.position);
    CHECK(read->activation == d.activation);
    CHECK(read->identity == d.identity);
    CHECK(read->body_bytes == d.body_bytes);
    CHECK(read->excerpt == d.excerpt);
    CHECK(read->how == d.how);
    for (std::size_t n = 0; n < bytes.size(); ++n) CHECK_FALSE(decode_death(bytes.substr(0, n)));
    CHECK_FALSE(decode_death(bytes + "x"));
    std::mt19937_64 chance(3);
    for (int i = 0; i < 2000; ++i) {
      auto other = bytes;
      other[chance() % other.size()] = static_cast<char>(chance());
      (void)decode_death(other);  // whatever it is: it ends
    }
  }
}
