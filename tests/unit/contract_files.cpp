// Contracts in configuration files: every field, every mistake with its line.
#include "actors/group_settings.hpp"
#include "actors/node_settings.hpp"

#include "framework/contract/fields.hpp"

#include <doctest/doctest.h>

#include <unistd.h>
#include <cstdlib>
#include <fstream>
#include <string>
#include <tuple>

using namespace cohort;
using namespace cohort::detail;
using namespace std::chrono_literals;

namespace {

const std::string node_part =
    "[node]\n"
    "name = \"n1\"\n"
    "data = \"d\"\n"
    "[members]\n"
    "n1 = \"127.0.0.1:7101\"\n"
    "n2 = \"127.0.0.1:7102\"\n"
    "n3 = \"127.0.0.1:7103\"\n";

/// Of the text behind eight lines of node and members: so [groups...] stands in line 8.
group_table groups_of(const std::string& text) {
  const auto file = config_file::parse(node_part + text, "n.toml");
  return read_groups(file.root());
}

std::string refusal(const std::string& text) {
  try {
    groups_of(text);
  } catch (const config_error& e) {
    return e.what();
  }
  return "accepted";
}

/// What a node would say to the file.
std::string start(const std::string& text) {
  char name[] = "/tmp/cohort-contract-XXXXXX";
  const int fd = ::mkstemp(name);
  REQUIRE(fd >= 0);
  ::close(fd);
  std::ofstream(name) << node_part + text;
  std::string said = "started";
  try {
    read_node_file(name);
  } catch (const config_error& e) {
    said = e.what();
  }
  ::unlink(name);
  for (std::size_t at; (at = said.find(name)) != said.npos;) said.erase(at, std::string(name).size());
  return said;
}

/// A value other than the default, for each type of field.
template <class T>
T another(T value) {
  if constexpr (std::is_same_v<T, bool>)
    return !value;
  else if constexpr (std::is_same_v<T, order_set>)
    return {order::fifo, order::total};
  else if constexpr (std::is_same_v<T, std::chrono::milliseconds>)
    return value + 1ms;
  else if constexpr (std::is_enum_v<T>)
    return static_cast<T>((static_cast<unsigned>(value) + 1) % contracts::words_count<T>);
  else
    return value + 1;
}

}  // namespace

TEST_SUITE_BEGIN("files");

TEST_CASE("files: every field is read, from what every field is written as") {
  contract all;
  std::string text = "[groups.g]\n";
  contracts::for_each_field([&](const auto& f) {
    all.*f.member = another(all.*f.member);
    text += f.name + (" = " + contracts::written(all.*f.member)) + '\n';
    const auto alone =
        groups_of("[groups.g]\n" + (f.name + (" = " + contracts::written(all.*f.member))) + '\n').at("g").how;
    INFO(f.name);
    CHECK(alone.*f.member == all.*f.member);
  });
  const auto read = groups_of(text).at("g");
  CHECK_MESSAGE(read.how == all, difference(read.how, all));
  CHECK(read.line == 8);
  CHECK(read.field_lines.at("orders") == 9);
  CHECK(read.field_lines.size() == std::tuple_size_v<decltype(contracts::fields)>);
  CHECK(groups_of("[groups.g]\n").at("g").how == contract{});
  CHECK(groups_of("").empty());
}

TEST_CASE("files: an order that is named alone is the default, and without total order reads are local") {
  const auto g = groups_of("[groups.g]\norders = [\"causal\"]\n").at("g").how;
  CHECK(g.default_order == order::causal);
  CHECK(g.reads == reads::local);
  CHECK(groups_of("[groups.g]\norders = [\"causal\", \"total\"]\n").at("g").how.default_order == order::total);
  CHECK(groups_of("[groups.g]\norders = [\"causal\"]\nreads = \"lease\"\n").at("g").how.reads == reads::lease);
}

TEST_CASE("files: times and sizes have units") {
  std::chrono::milliseconds time{};
  std::uint64_t bytes = 0;
  for (const auto& [text, expected] : {std::tuple{"250 ms", 250ms},
                                       {"250ms", 250ms},
                                       {"2 s", 2000ms},
                                       {"3 min", 180000ms},
                                       {"1 h", 3600000ms},
                                       {"0 ms", 0ms}}) {
    CHECK(parse_time(text, time));
    CHECK(time == expected);
  }
  for (const auto& [text, expected] :
       {std::tuple{"7 B", 7ull}, {"64KiB", 65536ull}, {"8 MiB", 8ull << 20}, {"64 GiB", 64ull << 30}}) {
    CHECK(parse_bytes(text, bytes));
    CHECK(bytes == expected);
  }
  for (const auto* text : {"", "5", "ms", "-1 ms", "1.5 s", "5 msec", "99999999999999999999 ms", "9999999999999999 h"})
    CHECK(!parse_time(text, time));
  for (const auto* text : {"", "5", "5 MB", "-1 B", "99999999999999 GiB"}) CHECK(!parse_bytes(text, bytes));
  CHECK(groups_of("[groups.g]\nlane_window = 1000000\n").at("g").how.lane_window == 1000000);
}

TEST_CASE("files: each mistake is named with its line and what would be right") {
  for (const auto& [text, expected] : {
           std::tuple{"[groups.g]\nelection_mni = \"1 s\"\n",
                      "n.toml:9: unknown key \"election_mni\" in [groups.g]; did you mean \"election_min\"?"},
           {"[groups.g]\nelection_min = 500\n",
            "n.toml:9: [groups.g] election_min must be text with one of ms, s, min and h, like election_min = \"250 "
            "ms\""},
           {"[groups.g]\nlane_window = \"8 MB\"\n",
            "n.toml:9: [groups.g] lane_window must be a number of bytes, or text with one of"},
           {"[groups.g]\norders = \"total\"\n", "n.toml:9: [groups.g] orders must be a list of texts"},
           {"[groups.g]\norders = [\"total\", \"casual\"]\n",
            "n.toml:9: [groups.g] orders: \"casual\" is unknown; did you mean \"causal\"?"},
           {"[groups.g]\nmodel = \"crashed\"\n",
            "n.toml:9: [groups.g] model = \"crashed\" is unknown; did you mean \"crash\"?"},
           {"[groups.g]\nshrink = \"yes\"\n", "n.toml:9: [groups.g] shrink must be true or false, without quotes"},
           {"[groups.g]\nwitnesses = -1\n", "n.toml:9: [groups.g] witnesses must be a whole number"},
           {"[groups.g.x]\na = 1\n", "unknown key \"x\" in [groups.g]"},
           {"[groups]\ng = 1\n", "n.toml:9: g must be a section, written as [groups.g]"},
           {"[groups.stock]\n[groups.g]\ndepends_on = [\"stcok\"]\n",
            "n.toml:10: [groups.g] depends_on \"stcok\", which is no group of this file; did you mean \"stock\"?"},
       }) {
    CAPTURE(std::string(text));
    const auto said = refusal(text);
    CHECK_MESSAGE(said.find(expected) != said.npos, said);
  }
}

TEST_CASE("files: what the rules refuse is told with the line of the field at fault, all of it at once") {
  CHECK(start("") == "started");
  CHECK(start("[groups.g]\nelection_min = \"500 ms\"\nreads = \"lease\"\n") == "started");
  CHECK(start("[groups.g]\ndurability = \"volatile\"\ntrust_domains = 2\n") == "started");  // a warning is no refusal
  const auto said = start(
      "[groups.g]\nheartbeat = \"100 ms\"\nreads = \"lease\"\nlease = \"295 ms\"\n[groups.h]\nmodel = \"timing\"\n");
  CAPTURE(said);
  CHECK(said.find(":9: [groups.g] E7: election_min of 300 ms is below 4 heartbeats of 100 ms; one late packet would "
                  "unseat a leader; raise it "
                  "to 400 ms; the nearest legal contract has ") != said.npos);
  CHECK(said.find("\n:11: [groups.g] G8: a lease of 295 ms") != said.npos);
  CHECK(said.find("\n:13: [groups.h] G7: ") != said.npos);
  CHECK(said.find("\n:13: [groups.h] model: the timing model is not built yet") != said.npos);
  CHECK(start("[gruops.g]\n").find("unknown section [gruops] in the file; did you mean \"groups\"?") !=
        std::string::npos);
}

TEST_CASE("files: a chain of groups is as strong as its weakest (G20)") {
  const auto file = config_file::parse(
      "[members]\na = \"h:1\"\nb = \"h:2\"\nc = \"h:3\"\nd = \"h:4\"\n"
      "[groups.front]\nmodel = \"byzantine\"\nlinks = \"authenticated\"\ndepends_on = [\"middle\"]\n"
      "[groups.middle]\ndepends_on = [\"back\", \"front\"]\n[groups.back]\ndurability = \"volatile\"\n",
      "n.toml");
  const auto found = judge(read_groups(file.root()), {.members = 4, .member_keys = true});
  std::string all;
  for (const auto& f : found) all += f.group + ':' + std::to_string(f.line) + ' ' + f.text + '\n';
  CAPTURE(all);
  CHECK(all.find("front:9 G20: front promises the byzantine model and depends on middle, which is a crash group; "
                 "together they tolerate what the "
                 "weakest does: front (byzantine, f=1, journaled) -> middle (crash, f=1, journaled) -> back (crash, "
                 "f=1, volatile)") != all.npos);
  CHECK(all.find("middle:11 G20: middle is journaled and depends on back, which is volatile") != all.npos);
  CHECK(read_members(file.root()).size() == 4);
}

TEST_SUITE_END();
