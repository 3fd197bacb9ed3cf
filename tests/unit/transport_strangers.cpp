// Nodes that are added, moved and removed while an endpoint lives, and processes that ask who the nodes are.
#include "transport/nodes.hpp"
#include "transport_nodes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>

using namespace transport_nodes;
using namespace std::chrono_literals;

namespace {

catalogue::node_table table_of(const std::vector<founder>& founders) {
  catalogue::node_table t;
  t.version = 7;
  t.founders = founders.size();
  for (const auto& f : founders) t.nodes.push_back({f.member, f.name, f.where, true});
  t.nodes.push_back({member_id(founders.size()), "late", "127.0.0.1:1", false});
  return t;
}

place at(std::uint16_t port) { return address{"127.0.0.1", port}; }

std::string fetch(loop& l, std::uint16_t port, cluster_nodes& out) {
  std::string why;
  std::atomic<bool> done{false};
  std::thread asking([&] {
    why = fetch_nodes(at(port), {}, "n4", 2s, out);
    done = true;
  });
  (void)run_until(l, [&] { return done.load(); });
  asking.join();
  return why;
}

/// Two founders, and a node which they do not name.
struct grown {
  loop l;
  std::vector<endpoint_config> configs = cluster(3);
  std::unique_ptr<node> a, b, c;

  grown() {
    for (auto& one : configs) {
      one.founders.resize(2);
      std::erase_if(one.peers, [&](const peer_config& p) { return one.member != member_id{2} && p.member == member_id{2}; });
    }
    a = std::make_unique<node>(l, configs[0]);
    b = std::make_unique<node>(l, configs[1]);
    c = std::make_unique<node>(l, configs[2]);
    REQUIRE(a->start() == "");
    REQUIRE(b->start() == "");
    REQUIRE(run_until(l, [&] { return a->linked(1) && b->linked(0); }));
  }
};

}  // namespace

TEST_SUITE("strangers") {
  TEST_CASE("who asks is told the nodes, or nothing if the node keeps no table") {
    loop l;
    auto configs = cluster(3);
    node a(l, configs[0]);
    REQUIRE(a.start() == "");
    cluster_nodes out;
    CHECK(fetch(l, a.link->port(), out).find("no answer") != std::string::npos);
    configs[0].cluster = "shop";
    const auto table = table_of(configs[0].founders);
    a.link->tell_nodes(table);
    REQUIRE(fetch(l, a.link->port(), out) == "");
    CHECK(out.nodes == table);
    CHECK(out.founders == configs[0].founders);
    CHECK(out.epoch == configs[0].epoch);
    CHECK(fetch(l, free_port(), out) != "");
  }

  TEST_CASE("what no honest node says is refused") {
    cluster_nodes c;
    c.founders = {{member_id{0}, "n1", "127.0.0.1:1"}};
    c.nodes = table_of(c.founders);
    const auto judged = [&] {
      cluster_nodes out;
      std::string why;
      const auto f = encode_nodes(member_id{0}, c);
      return decode_nodes(f.bytes, out, why);
    };
    CHECK(judged());
    SUBCASE("a name that is none") { c.nodes.nodes[1].name = "a b"; }
    SUBCASE("no address") { c.nodes.nodes[1].address = ""; }
    SUBCASE("an address that paints on terminals") { c.nodes.nodes[1].address = "\x1b[31m:1"; }
    SUBCASE("founders that are not numbered from 0") { c.founders[0].member = member_id{4}; }
    SUBCASE("more founders than nodes") { c.nodes.nodes.clear(); }
    SUBCASE("a cluster's name with a line's end") { c.cluster = "a\nb"; }
    CHECK_FALSE(judged());
  }

  TEST_CASE("20,000 mutated tables do no harm, and what is accepted is accepted again") {
    cluster_nodes c{"shop", 1, {{member_id{0}, "n1", "127.0.0.1:1"}, {member_id{1}, "n2", "127.0.0.1:2"}}, {}};
    c.nodes = table_of(c.founders);
    const auto good = encode_nodes(member_id{0}, c);
    std::minstd_rand random(7);
    std::size_t accepted = 0;
    std::vector<std::uint64_t> words(good.bytes.size() / 8);
    for (int i = 0; i < 20'000; ++i) {
      const auto bytes = std::as_writable_bytes(std::span(words));
      std::ranges::copy(good.bytes, bytes.begin());
      for (auto n = random() % 4 + 1; n > 0; --n)
        bytes[frame_header_bytes + random() % (bytes.size() - frame_header_bytes)] ^= std::byte{static_cast<unsigned char>(1u << random() % 8)};
      cluster_nodes out, again;
      std::string why;
      if (!decode_nodes(bytes, out, why)) {
        CHECK_FALSE(why.empty());
        continue;
      }
      ++accepted;
      CHECK(decode_nodes(encode_nodes(member_id{0}, out).bytes, again, why));
      CHECK(again.nodes == out.nodes);
    }
    CHECK(accepted > 100);  // a letter of a name is as good as another
    CHECK(accepted < 19'000);
  }

  TEST_CASE("a node that was not known is refused, then linked once it is, and removed for good") {
    grown g;
    REQUIRE(g.c->start() == "");
    REQUIRE(run_until(g.l, [&] { return g.c->count(link_event_kind::refused) >= 2; }));
    CHECK(g.c->text(link_event_kind::refused).find("Has an operator added it?") != std::string::npos);
    for (auto* n : {g.a.get(), g.b.get()}) n->link->know(member_id{2}, "n3", g.configs[0].peers[0].places);
    REQUIRE(run_until(g.l, [&] { return g.a->linked(2) && g.b->linked(2) && g.c->linked(0) && g.c->linked(1); }));

    for (auto* n : {g.a.get(), g.b.get()}) n->link->forget(member_id{2});
    CHECK_FALSE(g.a->linked(2));
    CHECK(g.a->downs.size() == 1);
    CHECK_FALSE(g.a->downs[0].reset);
    CHECK(g.a->link->links().size() == 1);
    g.c->events.clear();
    REQUIRE(run_until(g.l, [&] { return g.c->count(link_event_kind::refused) >= 2; }));
    CHECK(g.c->text(link_event_kind::refused).find("was removed") != std::string::npos);
    run_for(g.l, 100ms);
    CHECK_FALSE(g.a->linked(2));
    CHECK(g.a->linked(1));
  }

  TEST_CASE("a node that moved is dialled where it is now, and another name under its number is refused") {
    grown g;
    const auto old = free_port();
    g.a->link->know(member_id{2}, "n3", {at(old)});
    g.configs[2].peers.clear();  // it dials nobody: it has to be found
    g.c = std::make_unique<node>(g.l, g.configs[2]);
    REQUIRE(g.c->start() == "");
    run_for(g.l, 50ms);
    CHECK_FALSE(g.a->linked(2));
    g.c->config.peers = cluster(3)[2].peers;
    g.c->link.reset();
    g.configs[2].peers = {{member_id{0}, {}}};
    g.c = std::make_unique<node>(g.l, g.configs[2]);
    REQUIRE(g.c->start() == "");
    g.a->link->know(member_id{2}, "n3", {at(g.c->link->port())});
    REQUIRE(run_until(g.l, [&] { return g.a->linked(2) && g.c->linked(0); }));

    auto impostor = g.configs[2];
    impostor.name = "n7";
    impostor.peers = {{member_id{0}, {at(g.a->link->port())}}};
    impostor.listen.port = 0;
    node d(g.l, impostor);
    REQUIRE(d.start() == "");
    REQUIRE(run_until(g.l, [&] { return d.count(link_event_kind::refused) >= 1; }));
    CHECK(d.text(link_event_kind::refused).find("which is n3") != std::string::npos);
  }
}
