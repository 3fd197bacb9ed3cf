// Nodes that come and go at run time, for groups of each kind. The rest is in tests/process/nodes_run.py.
#include "cluster.hpp"

#include <doctest/doctest.h>

#include <stdlib.h>

#include <algorithm>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

struct nothing final : listener {
  void deliver(const delivery_batch&) override {}
};

/// Nodes with a journaled, a volatile and a partitionable group; founders keep a catalogue.
struct site {
  explicit site(int founders) : ports(free_ports(founders + 2)) {
    char name[] = "/tmp/cohort-catalogue-XXXXXX";
    REQUIRE(::mkdtemp(name));
    folder = name;
    for (int i = 0; i < founders; ++i) members.push_back({"n" + std::to_string(i + 1), address(i)});
  }
  ~site() {
    nodes.clear();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  std::string address(int i) const { return "127.0.0.1:" + std::to_string(ports[static_cast<std::size_t>(i)]); }

  node_config config(const std::string& name) const {
    node_config c;
    c.name = name;
    c.data = folder / name;
    c.members = members;
    c.catalogue = true;
    c.workers = 2;
    c.log_level = ::getenv("COHORT_TEST_LOG") ? ::getenv("COHORT_TEST_LOG") : "off";
    return c;
  }

  node& start(node_config c) {
    auto n = std::make_unique<node>(c);
    const auto records = [] { return std::make_unique<recorder>(std::make_shared<journal_of_messages>()); };
    n->replicate("room", records, contract{.single = true});
    n->replicate("board", records, contract{.durability = durability::in_memory, .single = true});
    n->listen("chat", [] { return std::make_unique<nothing>(); },
              contract::multicast(order::causal).with(durability::in_memory).with(partition_policy::partitionable, merge_policy::none)
                .with(&contract::single, true));
    n->start();
    nodes[c.name] = std::move(n);
    return *nodes[c.name];
  }

  node& start_added(const std::string& name, int i) {
    auto c = config(name);
    c.members.clear();
    c.listen = address(i);
    c.join = {address(0)};
    return start(std::move(c));
  }

  bool everywhere(const std::string& group, std::size_t count) {
    return std::ranges::all_of(nodes, [&](auto& each) {
      const auto s = each.second->status(group);
      return s.members.size() == count && std::ranges::all_of(s.members, [](auto& m) { return m.voter && m.active; });
    });
  }

  std::vector<int> ports;
  std::filesystem::path folder;
  std::vector<member_config> members;
  std::map<std::string, std::unique_ptr<node>> nodes;
};

const char* const groups[] = {"room", "board", "chat"};

}  // namespace

TEST_SUITE("catalogue") {
  TEST_CASE("a node is added to groups of each kind, and removed from them") {
    site s(2);
    for (const auto& m : s.members) s.start(s.config(m.name));
    for (const auto* g : groups) REQUIRE(eventually([&] { return s.everywhere(g, 2); }));
    auto& first = *s.nodes["n1"];
    REQUIRE(first.nodes().size() == 2);
    const auto added = first.add_node("n3", s.address(2)).get();
    REQUIRE_MESSAGE(added.done, added.why);
    auto& third = s.start_added("n3", 2);
    for (const auto* g : groups) {
      CAPTURE(g);
      CHECK(eventually([&] { return s.everywhere(g, 3); }, 30s));
    }
    CHECK(third.nodes().size() == 3);
    CHECK_FALSE(third.nodes().back().founder);
    const auto status = first.status("room");
    const auto in_view = std::ranges::find(status.members, "n3", &member_status::name);
    REQUIRE(in_view != status.members.end());
    CHECK(in_view->address == s.address(2));

    const auto removed = s.nodes["n2"]->remove_node("n3").get();
    REQUIRE_MESSAGE(removed.done, removed.why);
    s.nodes.erase("n3");
    for (const auto* g : groups) {
      CAPTURE(g);
      CHECK(eventually([&] { return s.everywhere(g, 2); }, 30s));
    }
    CHECK(eventually([&] { return first.nodes().size() == 3 && !first.nodes().back().present; }));
  }

  TEST_CASE("what cannot be is refused with the reason") {
    site s(2);
    for (const auto& m : s.members) s.start(s.config(m.name));
    REQUIRE(eventually([&] { return s.everywhere("room", 2) && s.everywhere("board", 2); }));
    auto& n = *s.nodes["n1"];
    const auto why = [](std::future<change_result> asked) {
      const auto r = asked.get();
      CHECK_FALSE(r.done);
      return r.why;
    };
    CHECK(why(n.add_node("n3", "nowhere")).find("nowhere") != std::string::npos);
    CHECK(why(n.add_node("n2", s.address(3))).find("move it") != std::string::npos);
    CHECK(why(n.move_node("n9", s.address(3))).find("no node") != std::string::npos);
    s.nodes.erase("n2");
    CHECK(eventually([&] {
      const auto now = n.status("room").members;
      return std::ranges::any_of(now, [](auto& m) { return !m.active; }) || !n.status("room").primary;
    }));
    CHECK(why(n.add_node("n3", s.address(3))).find("the catalogue did not answer") != std::string::npos);  // one of two is no quorum

    auto alone = s.config("n9");
    alone.members = {{"n9", s.address(2)}};
    alone.catalogue = false;
    auto& without = s.start(alone);
    CHECK(why(without.add_node("n3", s.address(3))).find("keeps no catalogue") != std::string::npos);
    CHECK_THROWS_AS(without.internals().host("cohort.catalogue", {}, {}), node_error);
  }

  TEST_CASE("who joins needs to say where it listens, and hints that can be read") {
    node_config c;
    c.name = "n4";
    c.data = "/tmp/none";
    c.join = {"127.0.0.1:1"};
    CHECK_THROWS_WITH_AS(node{c}, doctest::Contains("where it listens"), node_error);
    c.listen = "127.0.0.1:0";
    CHECK_THROWS_AS(node{c}, node_error);
    c.listen = "127.0.0.1:4711";
    c.join = {"here"};
    CHECK_THROWS_WITH_AS(node{c}, doctest::Contains("join \"here\""), node_error);
  }
}
