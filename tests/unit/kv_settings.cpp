#include "samples/kv/settings.hpp"

#include <doctest/doctest.h>

#include <tuple>

namespace {

const std::string good =
    "[node]\n"
    "name = \"n1\"\n"
    "data = \"data/n1\"\n"
    "\n"
    "[members]\n"
    "n1 = \"127.0.0.1:7101\"\n"
    "n2 = \"127.0.0.1:7102\"\n"
    "n3 = \"127.0.0.1:7103\"\n"
    "\n"
    "[kv]\n"
    "redis = \"127.0.0.1:6380\"\n"
    "durability = \"volatile\"\n"
    "reads = \"lease\"\n";

kv::settings parse(const std::string& text) { return kv::parse_settings(text, "/etc/cohort/n1.toml"); }

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  REQUIRE(at != text.npos);
  return text.replace(at, what.size(), with);
}

/// The message a wrong file is refused with, without its name.
std::string refusal(const std::string& text) {
  try {
    parse(text);
  } catch (const kv::settings_error& e) {
    const std::string message = e.what(), file = "/etc/cohort/n1.toml:";
    CHECK(message.starts_with(file));
    return message.substr(file.size());
  }
  return "accepted";
}

}  // namespace

TEST_SUITE_BEGIN("settings");

TEST_CASE("settings: discovered members") {
  auto text = replaced(good, "n2 = \"127.0.0.1:7102\"", "n2 = \"discover\"");
  CHECK(refusal(text).starts_with("7: [members] n2 = \"discover\", but [node] has no discover"));
  text = replaced(text, "name = \"n1\"\n", "name = \"n1\"\ndiscover = \"file:where.toml\"\n");
  CHECK(refusal(text).find("[node] needs cluster") != std::string::npos);
  text = replaced(text, "name = \"n1\"\n", "name = \"n1\"\ncluster = \"shop\"\nname_servers = \"127.0.0.1:8600\"\n");
  const auto read = parse(text).node;
  CHECK(read.discover == std::vector<std::string>{"file:/etc/cohort/where.toml"});
  CHECK(read.cluster == "shop");
  CHECK(read.name_servers == "127.0.0.1:8600");
  CHECK(read.members[1].address == "discover");
  const auto both = replaced(text, "discover = \"file:where.toml\"", "discover = [\"file:/w.toml\", \"srv:_c._tcp.x\"]");
  CHECK(parse(both).node.discover == std::vector<std::string>{"file:/w.toml", "srv:_c._tcp.x"});
  const auto moved = replaced(text, "name = \"n1\"\n", "name = \"n1\"\nlisten = \"10.0.0.9:7101\"\n");
  CHECK(parse(moved).node.listen == "10.0.0.9:7101");
  CHECK(parse(replaced(good, "\n\n[members]", "\nstop_limit = \"7 s\"\n\n[members]")).node.stop_limit == std::chrono::seconds(7));
  CHECK(refusal(replaced(good, "\n\n[members]", "\nstop_limit = \"0 ms\"\n\n[members]")) == "4: [node] stop_limit must be at least 1 ms");
  CHECK(refusal(replaced(text, "file:where.toml", "where.toml")).starts_with("5: [node] discover = \"where.toml\" is no source"));
  CHECK(refusal(replaced(text, "127.0.0.1:8600", "ns.x")).starts_with("4: [node] name_servers: 'ns.x' is no name server"));
  CHECK(refusal(replaced(text, "n1 = \"127.0.0.1:7101\"", "n1 = \"srv:_n1._tcp.x\"")).find("listen is missing") != std::string::npos);
}

TEST_CASE("settings: a complete file, and what may be left out") {
  const auto full = parse(good);
  CHECK(full.node.name == "n1");
  CHECK(full.node.data == "/etc/cohort/data/n1");
  CHECK(full.node.members.size() == 3);
  CHECK(full.node.members[1].address == "127.0.0.1:7102");
  CHECK(full.server.listen == "127.0.0.1:6380");
  CHECK(full.contract.durability == cohort::durability::in_memory);
  CHECK(full.contract.reads == cohort::reads::lease);
  CHECK(full.server.gateway.reads == cohort::reads::lease);

  const auto brief = parse(good.substr(0, good.find("[kv]")));
  CHECK(brief.server.listen == "127.0.0.1:6379");
  CHECK(brief.contract.durability == cohort::durability::journaled);
  CHECK(brief.server.gateway.reads == cohort::reads::linearizable);
  CHECK(brief.node.listen.empty());

  CHECK(parse(replaced(good, "data/n1", "/var/lib/n1")).node.data == "/var/lib/n1");
  for (const auto* listen : {"127.0.0.1:7101", "0.0.0.0:7101", "[::]:7101", "0.0.0.0:9"})
    CHECK(
        parse(replaced(good, "\n\n[members]", "\nlisten = \"" + std::string(listen) + "\"\n\n[members]")).node.listen ==
        listen);
}

TEST_CASE("settings: [groups.kv] has the rest of the contract, and may repeat [kv] but not contradict it") {
  const auto more = parse(good + "[groups.kv]\nelection_min = \"450 ms\"\nmessage_bytes_max = \"1 MiB\"\nreads = \"lease\"\n");
  CHECK(more.contract.election_min == std::chrono::milliseconds(450));
  CHECK(more.contract.durability == cohort::durability::in_memory);
  CHECK(more.contract.replication == cohort::replication::active);
  CHECK(more.server.gateway.message_bytes_max == 1u << 20);
  const auto brief = parse(good.substr(0, good.find("[kv]")) + "[groups.kv]\nreads = \"local\"\n");
  CHECK(brief.server.gateway.reads == cohort::reads::local);

  CHECK(refusal(good + "[groups.kv]\nreads = \"local\"\n") ==
        "13: [kv] reads = \"lease\" contradicts [groups.kv] reads = \"local\" in line 15; leave one of them out");
  CHECK(refusal(good + "[groups.vk]\n").starts_with("14: this service has one group, [groups.kv], and not [groups.vk]"));
  // What the rules refuse is told where it was written, also if that was in [kv].
  CHECK(refusal(good + "[groups.kv]\nlease = \"1 s\"\n").starts_with("15: [groups.kv] G8: a lease of 1000 ms"));
  CHECK(refusal(good + "[groups.kv]\nclock_margin = \"0 ms\"\n").starts_with("15: [groups.kv] G8: lease reads with clock_margin = 0"));
  const auto two = replaced(good, "n3 = \"127.0.0.1:7103\"\n", "");
  CHECK(refusal(two).find("[groups.kv] G2: safe or total order in a group of 2 members") != std::string::npos);
  CHECK(refusal(two + "[groups.kv]\nsingle = true\n") == "accepted");
}

TEST_CASE("settings: each mistake is named with its line and what would be right") {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"redis =", "rediss =",
       "11: unknown key \"rediss\" in [kv]; did you mean \"redis\"? (known: redis, durability, reads)"},
      {"[kv]", "[vk]", "10: unknown section [vk] in the file; did you mean \"kv\"? (known: node, members, groups, gateways, kv)"},
      {"name =", "nam =", "2: unknown key \"nam\" in [node]; did you mean \"name\"? (known: name, data, listen,"},
      {"name = \"n1\"\n", "", "1: key \"name\" is missing in [node]"},
      {"data = \"data/n1\"\n", "", "1: key \"data\" is missing in [node]"},
      {"\"data/n1\"", "\"\"", "3: [node] data is empty; name a directory that only this node uses"},
      {"name = \"n1\"", "name = \"n4\"",
       "2: [node] name = \"n4\" is not in [members]; did you mean \"n1\"? (known: n1, n2, n3)"},
      {"\"n1\"", "17", "2: [node] name must be text in quotes, like name = \"...\""},
      {"\"volatile\"", "\"journalled\"",
       "12: [kv] durability = \"journalled\" is unknown; did you mean \"journaled\"? (known: journaled, volatile)"},
      {"\"lease\"", "\"stale\"", "13: [kv] reads = \"stale\" is unknown; did you mean"},
      {"127.0.0.1:7102", "127.0.0.1", "7: [members] n2 = \"127.0.0.1\": "},
      {"127.0.0.1:7102", "127.0.0.1:70000", "7: [members] n2 = \"127.0.0.1:70000\": "},
      {"127.0.0.1:7102", "127.0.0.1:0", "7: [members] n2 = \"127.0.0.1:0\": port 0"},
      {"127.0.0.1:7102", "127.0.0.1:7101", "7: members n1 and n2 have the same address 127.0.0.1:7101"},
      {"n2 =", "n1 =", "7: "},
      {"n2 =", "\"n 2\" =", "7: member name \"n 2\" is not 1 to 64 characters of A-Z a-z 0-9 _ . -"},
      {"127.0.0.1:6380", "127.0.0.1:7101", "11: [kv] redis = \"127.0.0.1:7101\" is also where this node listens"},
      {"data = ", "listen = \"127.0.0.1:1\"\ndata = ",
       "3: [node] listen = \"127.0.0.1:1\" contradicts [members] n1 = \"127.0.0.1:7101\"; make them equal"},
      {"[members]", "[members", "5: "},
      {"[members]\n", "", "5: unknown key \"n1\" in [node]"},
      {"[node]\n", "node = 3\n", ""},
  };
  for (const auto& [what, with, expected] : cases) {
    CAPTURE(std::string(what));
    CAPTURE(std::string(with));
    const auto message = refusal(replaced(good, what, with));
    CHECK(message != "accepted");
    CHECK_MESSAGE(message.starts_with(expected), message);
  }
  CHECK(refusal("").starts_with("1: section [node] is missing"));
  CHECK(refusal(good.substr(0, good.find("[members]"))) == "1: section [members] is missing");
  CHECK_THROWS_WITH_AS(kv::read_settings("/no/such/file.toml"),
                       "/no/such/file.toml: cannot be read; give the node's configuration file with --config",
                       kv::settings_error);
  CHECK_THROWS_AS(kv::read_settings("/"), kv::settings_error);
}

TEST_SUITE_END();
