#include "kv_support.hpp"

#include "samples/kv/numbers.hpp"
#include "samples/kv/resp_parser.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>

using namespace kv_test;
using kv::resp_parser;

namespace {

constexpr std::size_t limit = 1000;

/// What comes out of `raw`, given in pieces that end at `cuts`; oversized commands and errors as words of their own.
std::vector<words> parse(std::string_view raw, std::vector<std::size_t> cuts = {}) {
  resp_parser parser(limit);
  std::vector<words> all;
  cuts.push_back(raw.size());
  std::size_t from = 0;
  for (const auto to : cuts) {
    const auto piece = raw.substr(from, to - from);
    from = to;
    if (!piece.empty()) {
      const auto room = parser.room(piece.size());
      REQUIRE(room.size() >= piece.size());
      std::memcpy(room.data(), piece.data(), piece.size());
      parser.fill(piece.size());
    }
    for (bool more = true; more;) {
      switch (parser.next()) {
        case resp_parser::result::need_more: more = false; break;
        case resp_parser::result::command: {
          auto& c = all.emplace_back();
          for (const auto word : parser.argv()) c.emplace_back(word);
          break;
        }
        case resp_parser::result::oversized: all.push_back({"<oversized>"}); break;
        case resp_parser::result::broken: all.push_back({"<broken>", parser.error()}); return all;
      }
    }
  }
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("parser");

TEST_CASE("parser: a pipelined stream means the same wherever it is cut") {
  const auto raw = encode({"SET", "key", "a value\r\nwith a line end"}) + "PING\r\n" + "*0\r\n\r\n" +
                   encode({"SET", "big", std::string(limit + 1, 'x')}) + "set 'a b' \"c\\x41\\n\"\n" +
                   encode({"", "", ""}) + encode({"SET", std::string(limit / 2, 'y'), std::string(limit, 'z')}) +
                   encode({"GET", "key"}) + "*-1\r\nPING\r\n";
  const std::vector<words> expected = {{"SET", "key", "a value\r\nwith a line end"}, {"PING"}, {"<oversized>"},
                                       {"set", "a b", "cA\n"}, {"", "", ""}, {"<oversized>"}, {"GET", "key"}, {"PING"}};
  CHECK(parse(raw) == expected);
  for (std::size_t one = 0; one <= raw.size(); ++one) {
    CAPTURE(one);
    REQUIRE(parse(raw, {one}) == expected);
  }
  for (std::size_t one = 0; one <= raw.size(); one += 7)
    for (std::size_t two = one; two <= raw.size(); two += 11) REQUIRE(parse(raw, {one, two}) == expected);
  std::vector<std::size_t> every(raw.size());
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = i;
  CHECK(parse(raw, every) == expected);
}

TEST_CASE("parser: inline commands are split like a shell does") {
  CHECK(parse("  a   b\tc  \r\n") == std::vector<words>{{"a", "b", "c"}});
  CHECK(parse("set \"\" ''\r\n") == std::vector<words>{{"set", "", ""}});
  CHECK(parse("a \"\\\"\\\\\\r\\t\\xff\\xzz\"\r\n") == std::vector<words>{{"a", "\"\\\r\t\xffxzz"}});
  CHECK(parse("a 'it\\'s'\n") == std::vector<words>{{"a", "it's"}});
  CHECK(parse("a b\"c\"\r\n") == std::vector<words>{{"a", "bc"}});
  for (const auto* bad : {"a \"b\r\n", "a 'b\r\n", "a \"b\"c\r\n", "a 'b'c\r\n"})
    CHECK(parse(bad) == std::vector<words>{{"<broken>", "ERR Protocol error: unbalanced quotes in request"}});
}

TEST_CASE("parser: the number of words alone costs no memory") {
  resp_parser parser(limit);
  const std::string_view raw = "*2000000000\r\n$1\r\na\r\n";
  std::memcpy(parser.room(raw.size()).data(), raw.data(), raw.size());
  parser.fill(raw.size());
  CHECK(parser.next() == resp_parser::result::need_more);
  for (int i = 0; i < 100'000; ++i) {
    const std::string_view word = "$3\r\nabc\r\n";
    std::memcpy(parser.room(word.size()).data(), word.data(), word.size());
    parser.fill(word.size());
    REQUIRE(parser.next() == resp_parser::result::need_more);
  }
  CHECK(parser.capacity() < 4096);
}

TEST_CASE("numbers: integers are read as strictly as Redis reads them") {
  for (const auto* good : {"0", "1", "-1", "9223372036854775807", "-9223372036854775808"})
    CHECK(std::to_string(kv::parse_integer(good).value()) == good);
  for (const auto* bad : {"", "-", "+1", " 1", "1 ", "01", "-0", "-01", "1.0", "0x1", "9223372036854775808", "1e3"})
    CHECK_FALSE(kv::parse_integer(bad).has_value());
}

TEST_CASE("numbers: a hostile pattern takes no exponential time") {
  std::string pattern, text(20'000, 'a');
  for (int i = 0; i < 50; ++i) pattern += "a*";
  const auto before = std::chrono::steady_clock::now();
  CHECK_FALSE(kv::glob_match(pattern + "b", text));
  CHECK(kv::glob_match(pattern + "a", text));
  CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(5));
}

TEST_CASE("render: both protocols of every kind of reply") {
  const auto both = [](std::string_view reply, std::string_view two, std::string_view three) {
    std::string out;
    kv::render(reply, 2, out);
    CHECK(out == two);
    out.clear();
    kv::render(reply, 3, out);
    CHECK(out == three);
    CHECK(kv::element_size(std::string(reply) + "+x\r\n") == reply.size());
    for (std::size_t cut = 0; cut < reply.size(); ++cut) CHECK(kv::element_size(reply.substr(0, cut)) == 0);
  };
  both("_\r\n", "$-1\r\n", "_\r\n");
  both("*-1\r\n", "*-1\r\n", "_\r\n");
  both("%1\r\n$1\r\na\r\n:1\r\n", "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n");
  both("=6\r\ntxt:ab\r\n", "$2\r\nab\r\n", "=6\r\ntxt:ab\r\n");
  both("*3\r\n%0\r\n~1\r\n+a\r\n_\r\n", "*3\r\n*0\r\n*1\r\n+a\r\n$-1\r\n", "*3\r\n%0\r\n~1\r\n+a\r\n_\r\n");
  both("$4\r\n_\r\n%\r\n", "$4\r\n_\r\n%\r\n", "$4\r\n_\r\n%\r\n");
}

TEST_SUITE_END();
