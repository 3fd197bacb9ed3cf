#include "transport_nodes.hpp"
#include "transport_samples.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

using namespace transport_nodes;
using namespace std::chrono_literals;
using transport_samples::make_payload;

namespace {

constexpr member_id m0{0}, m1{1}, m2{2};
const std::vector<member_id> to_m1{m1}, to_m0{m0}, to_all{m0, m1, m2};

protocol::batch make_batch(std::uint64_t seq, std::size_t bytes) {
  return {1, 0, seq, 0, make_payload({std::string(bytes, static_cast<char>('a' + seq % 26))})};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

struct pair {
  loop l;
  std::vector<endpoint_config> configs = cluster(2);
  node a{l, configs[0]}, b{l, configs[1]};
  bool linked() const { return a.linked(1) && b.linked(0); }
  void start() {
    REQUIRE(a.start() == "");
    REQUIRE(b.start() == "");
    REQUIRE(run_until(l, [&] { return linked(); }));
  }
};

}  // namespace

TEST_SUITE("endpoint") {
  TEST_CASE("three nodes link with each other, once each, and talk") {
    loop l;
    auto configs = cluster(3);
    configs[2].groups[0].blank = false;
    std::vector<std::unique_ptr<node>> n;
    for (auto& c : configs) n.push_back(std::make_unique<node>(l, c));
    for (auto& x : n) REQUIRE(x->start() == "");
    const auto all_linked = [&] {
      return n[0]->linked(1) && n[0]->linked(2) && n[1]->linked(0) && n[1]->linked(2) && n[2]->linked(0) && n[2]->linked(1);
    };
    REQUIRE(run_until(l, all_linked));
    run_for(l, 200ms);
    CHECK(all_linked());
    for (auto& x : n) {
      CHECK(x->ups.size() == 2);
      CHECK(x->downs.empty());
      CHECK(x->count(link_event_kind::refused) == 0);
      CHECK(x->count(link_event_kind::stranger) == 0);
    }
    const auto up = std::ranges::find(n[0]->ups, m2, [](const node::up& u) { return u.peer.member; });
    REQUIRE(up != n[0]->ups.end());
    CHECK(up->group == 1);
    CHECK(up->peer.identity == 502);
    CHECK_FALSE(up->blank);

    n[0]->link->send(1, to_all, make_batch(1, 100));
    n[0]->link->send(1, to_all, protocol::join{5, 6, true});
    REQUIRE(run_until(l, [&] { return n[1]->messages.size() == 2 && n[2]->messages.size() == 2; }));
    // Control goes before payload.
    CHECK(std::holds_alternative<protocol::join>(n[1]->messages[0].what));
    CHECK(n[1]->messages[0].from == protocol::voter_id{m0, 500});
    CHECK(n[1]->messages[0].group == 1);
    CHECK(transport_samples::same(n[1]->messages[1].what, make_batch(1, 100)));
    CHECK(n[0]->messages.empty());
  }

  TEST_CASE("what one pass produced leaves in one write per link, the acks of all groups in one frame") {
    pair p;
    p.configs[0].groups.push_back({2, "h", 78, 600, true});
    p.configs[1].groups.push_back({2, "h", 78, 601, true});
    p.a.config = p.configs[0];
    p.b.config = p.configs[1];
    p.start();
    run_for(p.l, 20ms);
    const auto writes = p.a.link->stats().writes;
    const auto frames = p.a.link->stats().frames_sent;
    for (std::uint64_t i = 1; i <= 20; ++i) p.a.link->send(1, to_m1, make_batch(i, 10));
    p.a.link->send(1, to_m1, protocol::ack{.match = 3});
    p.a.link->send(2, to_m1, protocol::ack{.match = 4});
    REQUIRE(run_until(p.l, [&] { return p.b.messages.size() == 22; }));
    CHECK(p.a.link->stats().writes - writes == 1);
    CHECK(p.a.link->stats().frames_sent - frames == 21);
    CHECK(p.b.messages[0].group == 1);
    CHECK(p.b.messages[1].group == 2);
    CHECK(p.b.messages[1].from.identity == 600);
    CHECK(std::get<protocol::ack>(p.b.messages[1].what).match == 4);
    for (std::uint64_t i = 1; i <= 20; ++i) CHECK(std::get<protocol::batch>(p.b.messages[i + 1].what).seq == i);
  }

  TEST_CASE("a killed node is noticed at once, and back at once when it is restarted") {
    pair p;
    p.start();
    p.b.kill();
    p.l.run_once(1s);  // no timeout is involved: the very next pass knows
    REQUIRE(p.a.downs.size() == 1);
    CHECK(p.a.downs[0].reset);
    CHECK(p.a.downs[0].peer == m1);
    CHECK_FALSE(p.a.linked(1));
    run_for(p.l, 1500ms);  // the back-off has grown to its limit
    REQUIRE(run_until(p.l, [&] { return p.a.count(link_event_kind::unreachable) == 1; }));
    CHECK(contains(p.a.text(link_event_kind::unreachable), "node n2 cannot be reached at " + to_string(p.configs[1].listen)));
    std::chrono::nanoseconds best = 1h;  // of some, since the machine may be busy
    for (int i = 0; i < 5 && best > 100ms; ++i) {
      p.b.kill();
      run_for(p.l, 20ms);
      const auto back = loop::clock();
      REQUIRE(p.b.restart() == "");
      REQUIRE(run_until(p.l, [&] { return p.linked(); }));
      best = std::min<std::chrono::nanoseconds>(best, loop::clock() - back);
    }
    CHECK(best < 100ms);
    CHECK(p.a.ups.size() == p.a.downs.size() + 1);
  }

  TEST_CASE("a restarted node that cannot dial is dialled again soon") {
    pair p;
    p.b.config.peers.clear();  // it only listens; no slot for a peer, so it refuses until it has one
    p.b.config.peers = {{m0, {address{"127.0.0.1", 1}}}};
    p.start();
    std::chrono::nanoseconds best = 1h;
    for (int i = 0; i < 5 && best > 200ms; ++i) {
      run_for(p.l, 1100ms);  // a link that lasted starts the back-off afresh
      p.b.kill();
      run_for(p.l, 30ms);
      const auto back = loop::clock();
      REQUIRE(p.b.restart() == "");
      REQUIRE(run_until(p.l, [&] { return p.linked(); }));
      best = std::min<std::chrono::nanoseconds>(best, loop::clock() - back);
    }
    CHECK(best < 200ms);
  }

  TEST_CASE("a new process of the same node replaces the link of the old one; the old one is told why") {
    pair p;
    p.start();
    // The same node once more, on another port: started twice with a copy of its configuration.
    auto twin_config = p.configs[1];
    twin_config.listen.port = 0;
    twin_config.boot_id = 4711;
    node twin(p.l, twin_config);
    p.b.events.clear();
    REQUIRE(twin.start() == "");
    REQUIRE(run_until(p.l, [&] { return twin.linked(0); }));
    REQUIRE(run_until(p.l, [&] { return p.b.count(link_event_kind::refused) > 0; }));
    CHECK(contains(p.b.text(link_event_kind::refused), "started twice"));
    REQUIRE(p.a.downs.size() == 1);
    CHECK(p.a.downs[0].reset);
    CHECK(p.a.ups.size() == 2);
    run_for(p.l, 300ms);
    CHECK(twin.linked(0));
    CHECK(p.a.ups.size() == 2);  // they do not fight
    CHECK(p.b.count(link_event_kind::refused) == 1);
  }

  TEST_CASE("different founders' tables: both sides say what differs") {
    pair p;
    auto wrong = p.configs[1].founders;
    wrong[0].where = "10.0.0.9:7001";
    p.b.config.founders = wrong;
    REQUIRE(p.a.start() == "");
    REQUIRE(p.b.start() == "");
    REQUIRE(run_until(p.l, [&] {
      return p.a.count(link_event_kind::refused) > 0 && p.b.count(link_event_kind::refused) > 0;
    }));
    const auto here = p.configs[0].founders[0].where;
    CHECK(contains(p.a.text(link_event_kind::refused), "node n2 has n1 = 10.0.0.9:7001, this node has n1 = " + here));
    CHECK(contains(p.b.text(link_event_kind::refused), "node n1 has n1 = " + here + ", this node has n1 = 10.0.0.9:7001"));
    run_for(p.l, 1200ms);  // tried again and again, told once
    CHECK(p.a.count(link_event_kind::refused) == 1);
    CHECK(p.b.count(link_event_kind::refused) == 1);
    CHECK(p.a.ups.empty());
    CHECK(p.a.link->links().at(0).trouble != "");

    p.b.config.founders = p.configs[1].founders;
    REQUIRE(p.b.restart() == "");
    CHECK(run_until(p.l, [&] { return p.linked(); }));
  }

  TEST_CASE("a founder the other side does not list") {
    pair p;
    p.b.config.founders.push_back({m2, "n3", "127.0.0.1:9"});
    REQUIRE(p.a.start() == "");
    REQUIRE(p.b.start() == "");
    REQUIRE(run_until(p.l, [&] {
      return p.a.count(link_event_kind::refused) > 0 && p.b.count(link_event_kind::refused) > 0;
    }));
    CHECK(contains(p.a.text(link_event_kind::refused), "node n2 has n3 = 127.0.0.1:9, this node does not list n3"));
    CHECK(contains(p.b.text(link_event_kind::refused), "node n1 does not list n3, this node has n3 = 127.0.0.1:9"));
  }

  TEST_CASE("rules that views carry must be the same where a group is founded, and need not later") {
    for (const bool founded : {false, true}) {
      CAPTURE(founded);
      pair p;
      p.a.config.groups[0].founding_hash = 5;
      p.b.config.groups[0].founding_hash = 6;
      p.b.config.groups[0].blank = !founded;
      REQUIRE(p.a.start() == "");
      REQUIRE(p.b.start() == "");
      REQUIRE(run_until(p.l, [&] { return founded ? !p.a.ups.empty() && !p.b.ups.empty() : p.a.count(link_event_kind::refused) > 0; }));
      if (!founded) CHECK(contains(p.a.text(link_event_kind::refused) + p.b.text(link_event_kind::refused), "on all nodes that found it"));
      if (!founded) CHECK(p.a.ups.empty());
    }
  }

  TEST_CASE("another epoch, group set-up or group number is refused on both sides") {
    for (const std::string what : {"epoch", "hash", "index", "name"}) {
      CAPTURE(what);
      pair p;
      if (what == "epoch") p.b.config.epoch = 2;
      if (what == "hash") p.b.config.groups[0].hash = 1;
      if (what == "index") p.b.config.groups[0].index = 9;
      if (what == "name") p.b.config.groups[0].name = "other";
      REQUIRE(p.a.start() == "");
      REQUIRE(p.b.start() == "");
      REQUIRE(run_until(p.l, [&] {
        return p.a.count(link_event_kind::refused) > 0 && p.b.count(link_event_kind::refused) > 0;
      }));
      const auto said = p.a.text(link_event_kind::refused) + p.b.text(link_event_kind::refused);
      CHECK(contains(said, what == "epoch" ? "epoch 2" : what == "hash" ? "set up differently"
                                                : what == "index"              ? "has number 9"
                                                                               : "is group other on node n2"));
      CHECK(p.a.ups.empty());
      CHECK(p.b.ups.empty());
    }
  }

  TEST_CASE("addresses exchanged, or leading back to this node, are told") {
    pair p;
    p.a.config.peers[0].places = {p.configs[0].listen};
    REQUIRE(p.a.start() == "");
    REQUIRE(run_until(p.l, [&] { return p.a.count(link_event_kind::refused) > 0; }));
    CHECK(contains(p.a.text(link_event_kind::refused), "which is this node"));
  }

  TEST_CASE("a port in use: the message says what, where, and what to do") {
    pair p;
    p.start();
    node second(p.l, p.configs[0]);
    const auto why = second.start();
    CHECK(contains(why, "cannot listen on " + to_string(p.configs[0].listen)));
    CHECK(contains(why, "in use"));
    CHECK(contains(why, "Stop the program"));
    second.config.listen = {"192.0.2.1", 7001};
    CHECK(contains(second.restart(), "no interface of this machine"));
    second.config.listen = {"no-such-host.invalid", 7001};
    CHECK(contains(second.restart(), "cannot be looked up"));
  }

  TEST_CASE("host names are resolved, IPv6 works, a name that does not resolve is told") {
    pair p;
    p.a.config.listen.host = "::1";
    p.b.config.peers[0].places[0].where.host = "::1";
    p.a.config.peers[0].places[0].where.host = "localhost";
    p.b.config.listen.host = "localhost";
    p.start();
    auto c = p.configs[0];
    c.listen.port = 0;
    c.peers[0].places[0].where.host = "no-such-host.invalid";
    node lost(p.l, c);
    REQUIRE(lost.start() == "");
    REQUIRE(run_until(p.l, [&] { return lost.count(link_event_kind::unreachable) > 0; }, 20s));
    CHECK(contains(lost.text(link_event_kind::unreachable), "node n2 cannot be reached at no-such-host.invalid:"));
  }

  TEST_CASE("HELLO tells the current state of `blank`") {
    pair p;
    p.start();
    CHECK(p.a.ups.at(0).blank);
    p.b.link->set_blank(1, false);
    p.a.kill();
    run_for(p.l, 10ms);
    p.a.ups.clear();
    REQUIRE(p.a.restart() == "");
    REQUIRE(run_until(p.l, [&] { return p.linked(); }));
    CHECK_FALSE(p.a.ups.at(0).blank);
  }

  TEST_CASE("frames of a block, of many blocks and above a block arrive whole, in order and aligned") {
    pair p;
    p.start();
    std::vector<std::size_t> sizes;
    for (std::size_t i = 0; i < 200; ++i) sizes.push_back(i * 331);
    for (const auto big : {262144u, 262143u, 1u << 20, 5u, 16u << 20, 7u, 300000u}) sizes.push_back(big);
    for (std::size_t i = 0; i < sizes.size(); ++i) p.a.link->send(1, to_m1, make_batch(i, sizes[i]));
    REQUIRE(run_until(p.l, [&] { return p.b.messages.size() == sizes.size(); }, 60s));
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      CAPTURE(i);
      const auto& got = std::get<protocol::batch>(p.b.messages[i].what);
      CHECK(got.seq == i);
      REQUIRE(got.what.blob.size() == sizes[i]);
      CHECK(transport_samples::same(p.b.messages[i].what, make_batch(i, sizes[i])));
      CHECK(reinterpret_cast<std::uintptr_t>(got.what.sizes.data()) % 4 == 0);
    }
  }

  TEST_CASE("payload beyond the queue's bound is dropped and counted, control still comes through") {
    pair p;
    p.a.config.payload_queue_bytes = 1 << 20;
    p.start();
    run_for(p.l, 20ms);
    for (std::uint64_t i = 1; i <= 100; ++i) p.a.link->send(1, to_m1, make_batch(i, 100'000));
    p.a.link->send(1, to_m1, protocol::join{1, 1, true});
    REQUIRE(run_until(p.l, [&] { return !p.b.messages.empty() && p.a.link->links()[0].payload_queued == 0; }));
    run_for(p.l, 50ms);
    CHECK(std::holds_alternative<protocol::join>(p.b.messages[0].what));
    CHECK(p.b.messages.size() == 11);
    CHECK(p.a.link->stats().payload_dropped == 90);
    CHECK(p.a.count(link_event_kind::dropped) == 1);
    CHECK(p.linked());
  }

  TEST_CASE("a batch that still waits for the link is not queued again, one that has left is") {
    pair p;
    p.start();
    run_for(p.l, 20ms);
    for (int times = 0; times < 3; ++times)
      for (std::uint64_t i = 1; i <= 10; ++i) p.a.link->send(1, to_m1, make_batch(i, 100'000));
    p.a.link->send(2, to_m1, make_batch(1, 100'000));  // of another group
    CHECK(p.a.link->stats().payload_waited == 20);
    CHECK(p.a.link->links()[0].payload_queued < 12 * 100'100);
    const auto idle = [&] { return p.a.link->links()[0].payload_queued == 0; };
    REQUIRE(run_until(p.l, [&] { return p.b.messages.size() == 10 && idle(); }));
    p.a.link->send(1, to_m1, make_batch(3, 100'000));
    REQUIRE(run_until(p.l, [&] { return p.b.messages.size() == 11; }));
    CHECK(std::get<protocol::batch>(p.b.messages[10].what).seq == 3);
    CHECK(p.a.link->stats().payload_waited == 20);
  }

  TEST_CASE("control that nobody reads closes the link, and not within send") {
    pair p;
    p.a.config.control_queue_bytes = 10'000;
    p.start();
    for (int i = 0; i < 200; ++i) {
      p.a.link->send(1, to_m1, protocol::vote{});
      REQUIRE(p.a.downs.empty());
    }
    REQUIRE(run_until(p.l, [&] { return !p.a.downs.empty(); }));
    CHECK_FALSE(p.a.downs[0].reset);
    CHECK(contains(p.a.text(link_event_kind::down), "does not read"));
    CHECK(run_until(p.l, [&] { return p.linked(); }));
  }

  TEST_CASE("a silent link is closed and dialled anew") {
    pair p;
    p.a.config.ping_after = 60ms;
    p.a.config.silence_max = 200ms;
    p.start();
    run_for(p.l, 600ms);
    CHECK(p.a.downs.empty());  // both sides are quiet, pings keep the link
    CHECK(p.a.link->stats().frames_sent > 3);
    p.b.kill();  // its address is now served by somebody who accepts and says nothing
    REQUIRE(run_until(p.l, [&] { return !p.a.downs.empty(); }));
  }

  TEST_CASE("messages of a group that only one side hosts are dropped and counted") {
    pair p;
    p.a.config.groups.push_back({5, "extra", 1, 1, true});
    p.start();
    p.a.link->send(5, to_m1, protocol::join{});
    p.a.link->send(1, to_m1, protocol::join{});
    REQUIRE(run_until(p.l, [&] { return !p.b.messages.empty(); }));
    CHECK(p.b.messages[0].group == 1);
    CHECK(p.b.link->stats().unknown_frames == 1);
    CHECK(p.a.ups.size() == 1);
  }

  TEST_CASE("whoever is killed, restarted, or dials when: every pair ends with one link, told up and down in turn") {
    loop l;
    constexpr std::size_t n = 4;
    auto configs = cluster(n);
    std::vector<std::unique_ptr<node>> nodes;
    for (auto& c : configs) {
      c.retry_max = 40ms;
      nodes.push_back(std::make_unique<node>(l, c));
    }
    std::size_t links_told = 0;
    const auto alive = [&](std::size_t i) { return nodes[i]->link != nullptr; };
    const auto forget = [&](std::size_t i) {
      links_told += nodes[i]->ups.size();
      nodes[i]->ups.clear();
      nodes[i]->downs.clear();
    };
    transport_samples::generator r(42);
    for (auto& x : nodes) REQUIRE(x->start() == "");
    for (int step = 0; step < 400; ++step) {
      const auto i = r() % n;
      switch (r() % 4) {
        case 0:
          nodes[i]->kill();
          forget(i);
          break;
        case 1:
          forget(i);
          REQUIRE(nodes[i]->restart() == "");
          break;
        default: run_for(l, std::chrono::milliseconds(r() % 12));
      }
      for (int k = static_cast<int>(r() % 4); k > 0; --k) l.run_once();
    }
    for (std::size_t i = 0; i < n; ++i)
      if (!alive(i)) REQUIRE(nodes[i]->start() == "");
    const auto all_linked = [&] {
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t k = 0; k < n; ++k)
          if (i != k && !nodes[i]->linked(static_cast<unsigned>(k))) return false;
      return true;
    };
    REQUIRE(run_until(l, all_linked));
    run_for(l, 300ms);
    CHECK(all_linked());
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t k = 0; k < n; ++k) {
        if (i == k) continue;
        const auto peer = member_id{static_cast<std::uint16_t>(k)};
        const auto said_up = std::ranges::count(nodes[i]->ups, peer, [](const node::up& u) { return u.peer.member; });
        const auto said_down = std::ranges::count(nodes[i]->downs, peer, &node::down::peer);
        CHECK(said_up == said_down + 1);
      }
      links_told += nodes[i]->ups.size();
      CHECK(nodes[i]->count(link_event_kind::refused) == 0);
      CHECK(nodes[i]->count(link_event_kind::malformed) == 0);
    }
    CHECK(links_told > 100);
    // And the one link between two of them carries messages both ways.
    const member_id everybody[] = {member_id{0}, member_id{1}, member_id{2}, member_id{3}};
    for (auto& x : nodes) x->link->send(1, everybody, protocol::join{});
    CHECK(run_until(l, [&] { return std::ranges::all_of(nodes, [](auto& x) { return x->messages.size() == 3; }); }));
  }

  TEST_CASE("nodes on threads of their own; payload is read and dropped on a third") {
    auto configs = cluster(2);
    loop la, lb;
    node a(la, configs[0]), b(lb, configs[1]);
    constexpr std::uint64_t count = 2000;
    std::mutex mutex;
    std::condition_variable more;
    std::deque<protocol::payload> inbox;
    std::uint64_t arrived = 0, bytes = 0, wrong = 0;
    b.keep = false;
    b.on_got = [&](const node::got& g) {
      const auto& batch = std::get<protocol::batch>(g.what);
      if (batch.seq != ++arrived) ++wrong;
      const std::lock_guard guard(mutex);
      inbox.push_back(batch.what);
      more.notify_one();
    };
    std::thread reader([&] {
      for (std::uint64_t seen = 0; seen < count; ++seen) {
        protocol::payload p;
        {
          std::unique_lock lock(mutex);
          if (!more.wait_for(lock, 20s, [&] { return !inbox.empty(); })) return;
          p = std::move(inbox.front());
          inbox.pop_front();
        }
        for (const auto x : p.blob) wrong += x != p.blob[0];
        bytes += p.blob.size();
      }
    });
    std::thread receiving([&] {
      if (b.start() != "") ++wrong;
      lb.run();
    });
    REQUIRE(a.start() == "");
    CHECK(run_until(la, [&] { return a.linked(1); }));
    std::uint64_t expected = 0;
    for (std::uint64_t i = 1; i <= count; ++i) {
      a.link->send(1, to_m1, make_batch(i, 1000 + i * 17 % 60'000));
      expected += 1000 + i * 17 % 60'000;
      (void)run_until(la, [&] { return a.link->links()[0].payload_queued < (1u << 20); });
    }
    CHECK(run_until(la, [&] { return a.link->links()[0].payload_queued == 0; }, 20s));
    reader.join();
    lb.post([&] {
      b.kill();
      lb.stop();
    });
    receiving.join();
    CHECK(arrived == count);
    CHECK(bytes == expected);
    CHECK(wrong == 0);
  }

  TEST_CASE("stopping within a callback is safe") {
    pair p;
    p.b.on_got = [&](const node::got&) { p.b.link->stop(); };
    p.start();
    for (int i = 0; i < 5; ++i) p.a.link->send(1, to_m1, protocol::join{});
    REQUIRE(run_until(p.l, [&] { return !p.a.downs.empty(); }));
    CHECK(p.b.messages.size() == 1);
  }
}
