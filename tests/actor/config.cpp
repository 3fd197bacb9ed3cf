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
    CHECK_THROWS_AS(parse({"--name"}), node_error);
    CHECK_THROWS_AS(parse({"--member", "a"}), node_error);
    CHECK_THROWS_AS(parse({"--new-epoch", "0"}), node_error);
    CHECK_THROWS_AS(parse({"--nmae", "a"}), node_error);
  }
}
