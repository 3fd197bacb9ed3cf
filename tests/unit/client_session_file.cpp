#include "tests/unit/client_stage.hpp"

#include "transport/client/session_file.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <stdexcept>

#include <unistd.h>

using cohort::client_detail::session_file;

namespace {

constexpr std::size_t record_bytes = 48;

struct place {
  std::filesystem::path folder = cohort::test::fast_folder() / ("cohort-session-file-" + std::to_string(::getpid()) + '-' + std::to_string(std::random_device{}()));
  std::string path = folder / "s";
  place() { std::filesystem::create_directory(folder); }
  ~place() {
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  session_file open() const { return {path, "g"}; }
  void spoil(std::size_t at) const {
    std::fstream f(path, std::ios::in | std::ios::out | std::ios::binary);
    f.seekp(static_cast<std::streamoff>(at));
    f.put('?');
  }
  std::size_t size() const { return std::filesystem::file_size(path); }
};

using numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_SUITE("client: session file") {
  TEST_CASE("what was flushed is there again") {
    place p;
    {
      auto f = p.open();
      CHECK(f.next() == 1);
      f.opened({1, 2, 3, 1});
      f.given(1, {11, 3});
      f.given(4, {44, 3});
      f.given(9, {99, 3});
      f.flush();
      f.acknowledged(4);
      f.acknowledged(4);
      f.acknowledged(7);
      f.flush();
      f.given(10, {100, 3});  // not flushed
    }
    for (int i = 0; i < 3; ++i) {
      auto f = p.open();
      CHECK(f.next() == 10);
      CHECK(f.unacknowledged() == numbers{1, 9});
      REQUIRE(f.find(9));
      CHECK(f.find(9)->digest == 99);
      CHECK(f.find(9)->birth == 3);
      CHECK(f.lowest_of(3) == 1);
      CHECK(f.lowest_of(4) == 0);
      CHECK(!f.find(4));
      CHECK(f.lowest(1) == 1);
      CHECK(f.lowest(2) == 9);
      CHECK(f.lowest(10) == 10);
      REQUIRE(f.before().size() == 1);
      CHECK(f.before()[0].birth == 3);
    }
    {
      auto f = p.open();
      CHECK(!f.before()[0].ended);
      f.closed(f.before()[0]);
      f.opened({4, 5, 6, 10});
      f.ended();
      f.flush();
    }
    p.open();
    auto f = p.open();
    REQUIRE(f.before().size() == 1);
    CHECK(f.before()[0].ended);
    CHECK(f.before()[0].first == 10);
  }

  TEST_CASE("a flush that was cut short is not there; what was there once and is not any more is said") {
    place p;
    auto write = [&] {
      std::filesystem::remove(p.path);
      auto f = p.open();
      f.opened({1, 2, 3, 1});
      f.given(1, {11, 3});
      f.flush();  // records 1 and 2 behind the head
      f.given(2, {22, 3});
      f.given(3, {33, 3});
      f.given(4, {44, 3});
      f.flush();  // 3, 4 and 5
      f.given(5, {55, 3});
      f.flush();  // 6
    };
    write();
    REQUIRE(p.size() == 7 * record_bytes);
    for (auto cut = p.size() - 1; cut >= record_bytes; cut -= 20) {
      CAPTURE(cut);
      write();
      std::filesystem::resize_file(p.path, cut);
      const auto whole = cut / record_bytes;
      auto f = p.open();
      CHECK(f.unacknowledged().size() == (whole <= 2 ? 0 : whole - 2));
      CHECK(f.before().size() == (whole >= 2 ? 1 : 0));
    }
    for (std::size_t hit = 0; hit < 7; ++hit) {
      CAPTURE(hit);
      write();
      p.spoil(hit * record_bytes + 20);
      if (hit == 6) {
        CHECK(p.open().unacknowledged() == numbers{1, 2, 3, 4});  // the last flush was cut short, for all that can be known
      } else {
        CHECK_THROWS_WITH_AS(p.open(), doctest::Contains("damaged"), std::runtime_error);
      }
    }
    write();
    std::filesystem::resize_file(p.path, 6 * record_bytes);
    p.spoil(3 * record_bytes);  // a flush of several records, of which the disk got the later ones
    CHECK(p.open().unacknowledged() == numbers{1});
    std::filesystem::resize_file(p.path, 10);
    CHECK_THROWS_AS(p.open(), std::runtime_error);
  }

  TEST_CASE("it does not grow with what is over") {
    place p;
    auto f = p.open();
    f.opened({1, 2, 3, 1});
    for (std::uint64_t n = 1; n <= 40'000; ++n) {
      f.given(n, {n, 3});
      if (n > 3) f.acknowledged(n - 3);
      if (n % 100 == 0) f.flush();
    }
    f.flush();
    CHECK(p.size() < 20'000 * record_bytes);
    CHECK(f.unacknowledged() == numbers{39'998, 39'999, 40'000});
    CHECK_THROWS_AS(p.open(), std::runtime_error);  // it is the same one that has it, although the file is another by now
  }
}
