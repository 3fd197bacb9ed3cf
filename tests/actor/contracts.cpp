// A node and the contracts of its groups: what it refuses to host, what it says at its start, and whom it does not
// know.
#include "tests/actor/cluster.hpp"

#include "actors/group_rules.hpp"
#include "framework/contract/explain.hpp"
#include "framework/protocol/payload_bound.hpp"

#include <cohort/node_file.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <fstream>
#include <sstream>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// A directory of its own, removed at the end.
struct folder {
  std::filesystem::path path;
  folder() {
    char name[] = "/tmp/cohort-contracts-XXXXXX";
    if (!::mkdtemp(name)) throw std::runtime_error("no temporary directory");
    path = name;
  }
  ~folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string text(const std::string& file) const {
    std::ifstream in(path / file);
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
  }
};

node_config config(const folder& where, const std::string& name, const std::vector<member_config>& members) {
  node_config c;
  c.name = name;
  c.data = where.path / name;
  c.members = members;
  c.workers = 1;
  c.log_file = (where.path / (name + ".log")).string();
  return c;
}

std::vector<member_config> three_members() {
  auto ports = free_ports(3);
  std::vector<member_config> all;
  for (int i = 0; i < 3; ++i) all.push_back({"n" + std::to_string(i + 1), "127.0.0.1:" + std::to_string(ports[i])});
  return all;
}

void host(node& where, const contract& how, const std::string& group = "room") {
  where.replicate(
      group, [] { return std::make_unique<recorder>(std::make_shared<journal_of_messages>()); }, how);
}

std::string refusal(node& where, const contract& how) {
  try {
    host(where, how);
  } catch (const node_error& e) {
    return e.what();
  }
  return "hosted";
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_SUITE("contracts") {
  TEST_CASE("the memory that `explain` reckons with is what simulations hold the core to") {
    const contract kinds[] = {
      contract{},
      contract{}.with(durability::in_memory),
      contract{}.with(&contract::checkpoint_bytes, std::uint64_t{1} << 20),  // a window is more
      contract::multicast(order::causal, {order::fifo, order::total}).with(&contract::lane_window, std::uint64_t{256} << 10),
      contract{}.with(&contract::reliability, reliability::all_members).with(&contract::retain_bytes, std::uint64_t{1} << 30),
      contract{}.with(durability::in_memory).with(&contract::reliability, reliability::all_members).with(&contract::retain_bytes, std::uint64_t{1} << 30),
    };
    for (const auto& how : kinds)
      for (const unsigned n : {1u, 3u, 5u}) {
        CAPTURE(difference(contract{}, how));
        CAPTURE(n);
        const roster_facts roster{.members = n};
        const node_facts nodes;
        const contracts::situation s{how, roster, nodes, contracts::quorums_of(how, n)};
        const auto said = contracts::memory_of(s);
        const auto o = detail::core_options_of(how, 1);
        const auto kinds_of_lane = static_cast<std::size_t>(std::popcount(static_cast<unsigned>(protocol::kinds_of(o.orders))));
        const auto between = o.durable ? o.checkpoint_bytes : std::min(o.checkpoint_bytes, o.checkpoint_bytes_in_memory);
        CHECK(said.lanes + said.fed + said.disk + said.away ==
              protocol::payload_bound(o, n * kinds_of_lane, std::max<std::uint64_t>(between, o.lane_window), o.durable));
        CHECK(said.kept == 2 * between);
        CHECK(said.kept <= said.fed);
      }
  }

  TEST_CASE(
      "a contract that cannot be kept is refused before anything starts, with the rule and the nearest legal one") {
    folder f;
    node here(config(f, "n1", three_members()));
    auto said = refusal(here, contract{}.with(reads::lease).with(&contract::clock_rate_ppm, 0u));
    CHECK_MESSAGE(holds(said, "group room: G8: "), said);
    CHECK_MESSAGE(holds(said, "the nearest legal contract has clock_rate_ppm = 200"), said);
    // Legal, but not built: refused by its name, never left out.
    said = refusal(here, contract{}.with(&contract::rate_messages_max, 5u));
    CHECK_MESSAGE(holds(said, "rate_messages_max: a limit of the rate in messages is not built yet"), said);
    said = refusal(here, contract{}.with(failure_model::byzantine));
    CHECK_MESSAGE(holds(said, "G6: "), said);
    CHECK_MESSAGE(holds(said, "the byzantine model is not built yet"), said);
    // A state machine needs total order, also if the contract does not say that there is one.
    said = refusal(here, contract::multicast(order::causal));
    CHECK_MESSAGE(holds(said, "G11: a state machine in a group without total order"), said);
    CHECK_THROWS_WITH_AS(here.listen(
                             "tap", [] { return std::unique_ptr<listener>(); }, contract::replicated()),
                         "group tap: its contract says replication = \"active\", and a listener replicates nothing; "
                         "leave it out, or give a "
                         "state machine to replicate",
                         node_error);
    said = refusal(here, contract{}.with(&contract::witnesses, 1u));
    CHECK_MESSAGE(holds(said, "its contract has witnesses = 1, and the configuration names 0"), said);
    CHECK(refusal(here, {}) == "hosted");
  }

  TEST_CASE("two members have to be meant") {
    folder f;
    auto members = three_members();
    members.pop_back();
    node here(config(f, "n1", members));
    CHECK(holds(refusal(here, {}), "G2: safe or total order in a group of 2 members"));
    CHECK(refusal(here, contract{}.with(&contract::single, true)) == "hosted");
    CHECK(holds(f.text("n1.log"), "group room: G2: an even number of members, 2"));  // doubtful, so only logged
  }

  TEST_CASE("the configuration's contract is taken, its bounds are told at the start, a port knows the orders") {
    folder f;
    auto members = three_members();
    {
      std::ofstream file(f.path / "n1.toml");
      file << "[node]\nname = \"n1\"\ndata = \"n1\"\n[members]\n";
      for (auto& m : members) file << m.name << " = \"" << m.address << "\"\n";
      file << "[groups.room]\nelection_min = \"450 ms\"\ndurability = \"volatile\"\n[mine]\nx = 1\n";
    }
    auto read = read_node_file(f.path / "n1.toml", {"mine"});
    read.log_file = (f.path / "n1.log").string();
    node here(read);
    here.replicate("room", [] { return std::make_unique<recorder>(std::make_shared<journal_of_messages>()); });
    here.start();
    CHECK(here.status("room").durability == "volatile");
    CHECK(holds(f.text("n1.log"), "group room: a silent leader is noticed within 900 ms and replaced within 900 ms"));
    CHECK(here.port("room", static_contract<order::total>()).queued_bytes() == 0);
    CHECK_THROWS_WITH_AS(
        here.port("room", static_contract<order::causal>()),
        "group room: the port is for other orders than the group is hosted with; they differ in orders = [\"total\"], "
        "default_order = \"total\"",
        node_error);
    here.stop();
  }

  TEST_CASE("members whose contracts differ do not found a group: also in what no message shows") {
    folder f;
    const auto members = three_members();
    std::vector<std::unique_ptr<node>> nodes;
    for (int i = 0; i < 3; ++i) {
      nodes.push_back(std::make_unique<node>(config(f, members[i].name, members)));
      host(*nodes.back(), contract{}
                              .with(&contract::clock_margin, i == 2 ? 20ms : 10ms)
                              .with(&contract::outcome_bound, (2 + i) * 1000ms));
      nodes.back()->start();
    }
    CHECK(eventually([&] { return holds(f.text("n1.log") + f.text("n3.log"), "group room is set up differently"); }));
    // n1 and n2 differ in what is local only: they talk.
    CHECK(!holds(f.text("n1.log"), "on node n2"));
    CHECK(!nodes[0]->status("room").founded);
    for (auto& n : nodes) n->stop();
  }
}
