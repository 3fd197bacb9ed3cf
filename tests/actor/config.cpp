#include "actors/discovery.hpp"
#include "actors/node_config.hpp"

#include <doctest/doctest.h>

using namespace cohort;

namespace {

node_config good() {
  node_config c;
  c.name = "n1";
  c.data = "/nowhere";
  c.members = {{"n2", "127.0.0.1:7102"}, {"n1", "127.0.0.1:7101"}};
  return c;
}

std::string refusal(node_config c) {
  try {
    detail::checked(std::move(c));
  } catch (const node_error& e) {
    return e.what();
  }
  return "";
}

std::string refusal(contract how) {
  try {
    detail::admit(how, "g", 3);
  } catch (const node_error& e) {
    return e.what();
  }
  return "";
}

bool holds(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_SUITE("config") {
  TEST_CASE("a good configuration is completed: members sorted, own address to listen on") {
    auto c = detail::checked(good());
    CHECK(c.members[0].name == "n1");
    CHECK(c.listen == "127.0.0.1:7101");
    CHECK(c.epoch == 1);
    CHECK(c.workers >= 1);
  }

  TEST_CASE("discovered members: what is needed is asked for") {
    auto c = good();
    c.members[0].address = "discover";
    CHECK(holds(refusal(c), "no source of addresses is configured"));
    c.discover = {"members.toml"};
    CHECK(holds(refusal(c), "write \"file:PATH\""));
    c.discover = {"file:/nowhere/members.toml", "srv:_cohort._tcp.example.org"};
    CHECK(holds(refusal(c), "the cluster has no name"));
    c.cluster = "a shop";
    CHECK(holds(refusal(c), "cluster name \"a shop\""));
    c.cluster = "shop";
    CHECK(refusal(c) == "");
    c.listen = "10.0.0.9:7109";  // it has moved
    CHECK(refusal(c) == "");
    c.listen.clear();
    c.members[1].address = "discover";  // both: no contradiction
    CHECK(holds(refusal(c), "does not say where this node listens"));
    c.members[1].address = "srv:";
    CHECK(holds(refusal(c), "the address of member n1: 'srv:' names no SRV records"));
    c.members[1].address = "srv:_n1._tcp.example.org";
    c.listen = "0.0.0.0:7101";
    CHECK(refusal(c) == "");
    c.name_servers = "ns.example.org";
    CHECK(holds(refusal(c), "name servers: 'ns.example.org' is no name server"));
    c.name_servers = "127.0.0.1:8600";
    CHECK(refusal(c) == "");

    const auto places = detail::configured_places(c, c.members[1]);
    REQUIRE(places.size() == 2);
    CHECK(places[0].service == "_n1._tcp.example.org");
    CHECK(places[0].label == "");
    CHECK(places[1].service == "_cohort._tcp.example.org");
    CHECK(places[1].label == "n1");
  }

  TEST_CASE("a file of members: wrong entries are told with their line and spoil no other one") {
    const auto good_file = detail::parse_member_file(
      "[node]\nname = \"x\"\n[members]\nn1 = \"10.0.0.1:7101\"\nn2 = [\"n2.test:7102\", \"srv:_n2._tcp.test\"]\n", "m.toml");
    CHECK(good_file.usable);
    CHECK(good_file.troubles.empty());
    REQUIRE(good_file.hints.size() == 2);
    CHECK(good_file.hints[1].places.size() == 2);

    const auto mixed = detail::parse_member_file(
      "[members]\nn1 = \"10.0.0.1\"\nn2 = \"10.0.0.2:7102\"\nn3 = 7\nn4 = [\"x\", \"10.0.0.4:1\"]\n\"\\u001b[2J\" = \"a\"\n", "m.toml");
    CHECK(mixed.usable);
    REQUIRE(mixed.troubles.size() == 4);
    CHECK(holds(mixed.troubles[0], "m.toml:6: member ?[2J: 'a' has no port"));
    CHECK(holds(mixed.troubles[1], "m.toml:2: member n1: '10.0.0.1' has no port"));
    CHECK(holds(mixed.troubles[2], "m.toml:4: member n3 must have text in quotes"));
    CHECK(holds(mixed.troubles[3], "m.toml:5: member n4: 'x' has no port"));
    CHECK(mixed.hints.size() == 5);

    for (const std::string text : {"", "[members]\nn1 = \"10.0.0.1:7101", "members = 3\n", "n1 = \"10.0.0.1:7101\"\n"}) {
      CAPTURE(text);
      const auto bad = detail::parse_member_file(text, "m.toml");
      CHECK_FALSE(bad.usable);
      REQUIRE(bad.troubles.size() == 1);
      CHECK(holds(bad.troubles[0], "m.toml:"));
    }
    std::string large = "[members]\n";
    for (int i = 0; i < 1025; ++i) large += "m" + std::to_string(i) + " = \"h:1\"\n";
    CHECK(holds(detail::parse_member_file(large, "m.toml").troubles.at(0), "more than 1024 members"));
    std::string places = "[members]\nn1 = [";
    for (int i = 0; i < 17; ++i) places += "\"h:1\",";
    const auto many = detail::parse_member_file(places + "]\n", "m.toml");
    CHECK(many.hints.at(0).places.size() == 16);
    CHECK(holds(many.troubles.at(0), "more than 16 places"));
    std::string deep = "[members]\nn1 = ";
    CHECK_FALSE(detail::parse_member_file(deep + std::string(100'000, '['), "m.toml").usable);
  }

  TEST_CASE("contradictions are refused with what, where and what to do") {
    auto c = good();
    c.name = "n9";
    CHECK(holds(refusal(c), "\"n9\" is not among the members (n1, n2)"));
    c = good();
    c.members[0].address = "127.0.0.1";
    CHECK(holds(refusal(c), "member n2"));
    CHECK(holds(refusal(c), "has no port"));
    c = good();
    c.members[0].name = "n1";
    CHECK(holds(refusal(c), "n1 is named twice"));
    c = good();
    c.members[0].address = c.members[1].address;
    CHECK(holds(refusal(c), "have the same address"));
    c = good();
    c.listen = "127.0.0.1:9999";
    CHECK(holds(refusal(c), "make them equal"));
    c = good();
    c.listen = "0.0.0.0:7101";
    CHECK(refusal(c) == "");
    c = good();
    c.members.clear();
    CHECK(holds(refusal(c), "no members"));
    c = good();
    c.data.clear();
    CHECK(holds(refusal(c), "no data directory"));
    c = good();
    c.log_level = "loud";
    CHECK(holds(refusal(c), "one of trace"));
  }

  TEST_CASE("contracts that contradict themselves are refused") {
    contract how;
    CHECK(refusal(how) == "");
    how.heartbeat = std::chrono::milliseconds(100);
    CHECK(holds(refusal(how), "raise it to 400 ms"));
    how = {};
    how.fail_after = std::chrono::milliseconds(500);
    CHECK(holds(refusal(how), "fail_after"));
    how = {};
    how.message_bytes_max = 0;
    CHECK(holds(refusal(how), "message_bytes_max"));
  }

  TEST_CASE("arguments: every flag, and clear texts for wrong ones") {
    auto parse = [](std::vector<const char*> words) {
      words.insert(words.begin(), "program");
      return config_from_arguments(static_cast<int>(words.size()), const_cast<char**>(words.data()));
    };
    auto c = parse({"--name", "a", "--data", "d", "--member", "a=h:1", "--member", "b=h:2", "--new-epoch", "3"});
    CHECK(c.name == "a");
    CHECK(c.members.size() == 2);
    CHECK(c.members[1].address == "h:2");
    CHECK(c.epoch == 3);
    c = parse({"--discover", "file:f.toml", "--discover", "srv:_c._tcp.x", "--cluster", "shop", "--name-servers", "127.0.0.1"});
    CHECK(c.discover == std::vector<std::string>{"file:f.toml", "srv:_c._tcp.x"});
    CHECK(c.cluster == "shop");
    CHECK(c.name_servers == "127.0.0.1");
    CHECK_THROWS_AS(parse({"--name"}), node_error);
    CHECK_THROWS_AS(parse({"--member", "a"}), node_error);
    CHECK_THROWS_AS(parse({"--new-epoch", "0"}), node_error);
    CHECK_THROWS_AS(parse({"--nmae", "a"}), node_error);
  }
}
