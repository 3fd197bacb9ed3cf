#include "persistence/letter_box.hpp"
#include "tests/unit/lone_file.hpp"

#include <doctest/doctest.h>

#include <string>

using cohort::persistence::letter_box;
namespace samples = cohort::persistence::samples;

namespace {

std::span<const std::byte> bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

std::string text(const std::vector<std::byte>& letter) {
  return {reinterpret_cast<const char*>(letter.data()), letter.size()};
}

struct folder : samples::lone_file {
  folder() : lone_file("dead_letters") {}
};

std::string all(const letter_box& box) {
  std::string list;
  for (auto& [number, letter] : box.all()) list += std::to_string(number) + ":" + text(letter) + " ";
  return list;
}

}  // namespace

TEST_SUITE("letters") {
  TEST_CASE("letters survive, dropped ones do not, and no number is given twice") {
    folder at;
    {
      letter_box box(at.file());
      CHECK(box.put(bytes("one")) == 1);
      CHECK(box.put(bytes("two")) == 2);
      CHECK(box.put(bytes("")) == 3);
      CHECK(box.drop(1));
      CHECK_FALSE(box.drop(1));
      CHECK(box.drop(3));
    }
    letter_box box(at.file());
    CHECK(box.trouble() == "");
    CHECK(all(box) == "2:two ");
    CHECK(box.put(bytes("four")) == 4);
    std::size_t damage = 0;
    std::string error;
    CHECK(letter_box::read(at.file(), damage, error).size() == 2);
    CHECK(damage == 0);
    CHECK(error == "");
    CHECK(letter_box::read(at.directory() / "absent", damage, error).empty());
    CHECK(error.find("absent cannot be read") != std::string::npos);
  }

  TEST_CASE("cut off anywhere, the file holds what was whole, and goes on") {
    folder at;
    {
      letter_box box(at.file());
      box.put(bytes("first"));
      box.put(bytes("second"));
    }
    const auto whole = at.content();
    const auto first = 32 + 5;
    for (std::size_t length = 0; length < whole.size(); ++length) {
      at.write(whole.substr(0, length));
      {
        letter_box box(at.file());
        CHECK(box.trouble() == "");
        CHECK(all(box) == (length >= first ? "1:first " : ""));
        box.put(bytes("third"));
      }
      letter_box box(at.file());
      CHECK(all(box) == (length >= first ? "1:first 2:third " : "1:third "));
    }
  }

  TEST_CASE("every flipped byte costs at most its own letter, and is told") {
    folder at;
    {
      letter_box box(at.file());
      box.put(bytes("first"));
      box.put(bytes("second"));
    }
    const auto whole = at.content();
    for (std::size_t i = 0; i < whole.size(); ++i) {
      auto broken = whole;
      broken[i] = static_cast<char>(broken[i] ^ 0x41);
      at.write(broken);
      letter_box box(at.file());
      const bool in_first = i < 32 + 5;
      CAPTURE(i);
      CHECK(all(box) == (in_first ? "2:second " : "1:first "));
      CHECK((box.trouble() != "") == in_first);  // at the end it cannot be told from a torn write
    }
  }

  TEST_CASE("bounds: the oldest go, one that is too large is refused") {
    folder at;
    letter_box box(at.file(), {.letters_max = 3, .bytes_max = 10});
    for (auto t : {"a", "b", "c", "d"}) box.put(bytes(t));
    CHECK(all(box) == "2:b 3:c 4:d ");
    CHECK(box.crowded_out() == 1);
    CHECK(box.put(bytes("123456789")) == 5);
    CHECK(all(box) == "4:d 5:123456789 ");
    CHECK(box.put(bytes("12345678901")) == 0);
    letter_box again(at.file(), {.letters_max = 3, .bytes_max = 10});
    CHECK(all(again) == "4:d 5:123456789 ");
  }

  TEST_CASE("a file of letters that are gone is written anew") {
    folder at;
    const std::string large(100'000, 'x');
    {
      letter_box box(at.file(), {.letters_max = 2});
      for (int i = 0; i < 60; ++i) box.put(bytes(large));
      CHECK(std::filesystem::file_size(at.file()) < 2'000'000);
      box.drop(59);
      box.drop(60);
      for (int i = 0; i < 30; ++i) box.drop(box.put(bytes(large)));
    }
    letter_box box(at.file());
    CHECK(box.all().empty());
    CHECK(box.put(bytes("next")) == 91);
  }

  TEST_CASE("without a file, and with one that cannot be: kept in memory, and told") {
    letter_box none{std::filesystem::path()};
    none.put(bytes("x"));
    CHECK(all(none) == "1:x ");
    CHECK(none.trouble() == "");
    letter_box nowhere(std::filesystem::path("/absent/folder/letters"));
    nowhere.put(bytes("y"));
    CHECK(all(nowhere) == "1:y ");
    CHECK(nowhere.trouble().find("cannot be opened") != std::string::npos);
  }
}
