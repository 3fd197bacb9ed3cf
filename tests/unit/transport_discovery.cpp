#include "name_server.hpp"
#include "transport/file_watch.hpp"
#include "transport_nodes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <unistd.h>

using namespace transport_nodes;
using namespace std::chrono_literals;
namespace files = std::filesystem;

namespace {

constexpr member_id m0{0}, m1{1};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

place service(const std::string& name, const std::string& label = {}) {
  place p;
  p.service = name;
  p.label = label;
  return p;
}

place at(const std::string& text) {
  place p;
  REQUIRE(parse_place(text, p) == "");
  return p;
}

// Two nodes; n2 knows no address of n1, so what links them is n1's dial.
struct pair {
  loop l;
  name_server names;
  std::vector<endpoint_config> configs = cluster(2);
  node a{l, configs[0]}, b{l, configs[1]};

  pair() {
    a.config.name_servers = b.config.name_servers = {{"127.0.0.1", names.port()}};
    b.config.peers[0].places.clear();
    a.config.peers[0].places.clear();
  }
  std::uint16_t b_port() const { return configs[1].listen.port; }
  bool linked() const { return a.linked(1) && b.linked(0); }
  bool links(std::vector<place> places) {
    a.config.peers[0].places = std::move(places);
    REQUIRE(a.start() == "");
    REQUIRE(b.start() == "");
    return run_until(l, [&] { return linked(); });
  }
};

struct folder {
  files::path path = files::temp_directory_path() / ("cohort-watch-" + std::to_string(::getpid()));
  folder() {
    files::remove_all(path);
    files::create_directories(path);
  }
  ~folder() { files::remove_all(path); }
};

void write(const files::path& file, const std::string& text) { std::ofstream(file, std::ios::binary) << text; }

// What a watch told, in order.
struct told {
  std::mutex mutex;
  std::condition_variable more;
  std::vector<file_reading> all;
  auto into() {
    return [this](const file_reading& r) {
      std::lock_guard guard(mutex);
      all.push_back(r);
      more.notify_all();
    };
  }
  bool last_is(const std::string& text, std::chrono::milliseconds limit = 5s) {
    std::unique_lock lock(mutex);
    return more.wait_for(lock, limit, [&] { return !all.empty() && all.back().error.empty() && all.back().text == text; });
  }
  bool last_fails(const std::string& with) {
    std::unique_lock lock(mutex);
    return more.wait_for(lock, 5s, [&] { return !all.empty() && contains(all.back().error, with); });
  }
};

}  // namespace

TEST_SUITE("discovery") {
  TEST_CASE("places and name servers are read, and what is none is told") {
    place p;
    CHECK(parse_place("10.0.0.1:7", p) == "");
    CHECK(p == place({"10.0.0.1", 7}));
    CHECK(parse_place("srv:_cohort._tcp.example.org", p) == "");
    CHECK(p == service("_cohort._tcp.example.org"));
    CHECK(to_string(p) == "srv:_cohort._tcp.example.org");
    for (const auto* wrong : {"srv:", "srv:a b", "srv:.a", "srv:a..b", "srv:\x01", "10.0.0.1:0", "10.0.0.1", ":7", ""})
      CHECK(parse_place(wrong, p) != "");
    CHECK(contains(parse_place("srv:/", p), "srv:_cohort._tcp.example.org"));

    std::vector<address> servers;
    CHECK(parse_name_servers("", servers) == "");
    CHECK(servers.empty());
    CHECK(parse_name_servers("10.0.0.2, 127.0.0.1:8600,::1 , [::1]:5353", servers) == "");
    CHECK(servers == std::vector<address>{{"10.0.0.2", 53}, {"127.0.0.1", 8600}, {"::1", 53}, {"::1", 5353}});
    for (const auto* wrong : {"ns.example.org", "ns.example.org:53", "10.0.0.2;10.0.0.3", "1.1.1.1,,1.1.1.2", "10.0.0.2:x"})
      CHECK(parse_name_servers(wrong, servers) != "");
  }

  TEST_CASE("a name with several addresses: each is tried in turn") {
    pair p;
    p.names.host("n2.test", {"127.0.0.9", "127.0.0.8", "127.0.0.1", "127.0.0.7"});
    CHECK(p.links({at("n2.test:" + std::to_string(p.b_port()))}));
    CHECK(p.a.count(link_event_kind::unreachable) == 0);
    CHECK(p.a.count(link_event_kind::refused) == 0);
  }

  TEST_CASE("SRV records tell host and port; of a cluster's only those that are the member's") {
    SUBCASE("the member's own") {
      pair p;
      p.names.records("_n2._tcp.test", {{20, 0, p.b_port(), "right.test"}, {10, 0, 1, "wrong.test"}, {5, 0, 9, "missing.test"}});
      p.names.host("right.test", {"127.0.0.1"});
      p.names.host("wrong.test", {"127.0.0.1"});
      CHECK(p.links({service("_n2._tcp.test")}));
    }
    SUBCASE("the cluster's") {
      pair p;
      p.names.records("_cohort._tcp.test", {{0, 0, 1, "n1.test"}, {0, 0, p.b_port(), "N2.test"}, {0, 0, 2, "n22.test"}});
      p.names.host("N2.test", {"127.0.0.1"});
      p.names.host("n1.test", {"127.0.0.1"});
      CHECK(p.links({service("_cohort._tcp.test", "n2")}));
      CHECK(p.a.link->stats().dials <= 2);
    }
  }

  TEST_CASE("what does not resolve is told with what was tried; it is asked again and found once it does") {
    pair p;
    p.names.records("_cohort._tcp.test", {{0, 0, 1, "n1.test"}});
    p.a.config.peers[0].places = {at("n2.test:" + std::to_string(p.b_port())), service("_cohort._tcp.test", "n2"),
                                  service("_none._tcp.test")};
    REQUIRE(p.a.start() == "");
    REQUIRE(p.b.start() == "");
    REQUIRE(run_until(p.l, [&] { return p.a.count(link_event_kind::unreachable) > 0; }, 10s));
    const auto text = p.a.text(link_event_kind::unreachable);
    CAPTURE(text);
    CHECK(contains(text, "n2.test:" + std::to_string(p.b_port()) + ": Domain name not found"));
    CHECK(contains(text, "srv:_cohort._tcp.test: no SRV record names a host n2.*"));
    CHECK(contains(text, "srv:_none._tcp.test: Domain name not found"));
    p.names.host("n2.test", {"127.0.0.1"});
    CHECK(run_until(p.l, [&] { return p.linked(); }));
    CHECK(p.a.count(link_event_kind::unreachable) == 1);
  }

  TEST_CASE("a name server that does not answer for one name holds no other address back") {
    pair p;
    p.names.silent("slow.test");
    p.names.silent("_slow._tcp.test");
    p.names.host("n2.test", {"127.0.0.1"});
    const auto begin = loop::clock();
    CHECK(p.links({at("slow.test:1"), service("_slow._tcp.test"), at("n2.test:" + std::to_string(p.b_port()))}));
    CHECK(loop::clock() - begin < 900ms);  // the first time-out would be 1 s
  }

  TEST_CASE("wrong addresses cost a refused connection each, are told once, and stop no right one") {
    loop l;
    auto configs = cluster(3);
    auto stranger = cluster(3)[1];  // a node n2 of another cluster: its table has other ports
    for (auto& c : configs) c.peers.clear();
    stranger.peers.clear();
    node a(l, configs[0]), b(l, configs[1]), c(l, configs[2]), other(l, stranger);
    b.config.peers = {{m0, {}}};
    c.config.peers = {{m0, {}}};
    // Its own, another member's, another cluster's, nobody's, and none at all: then the right one.
    a.config.peers = {{m1, {configs[0].listen, configs[2].listen, stranger.listen, address{"127.0.0.1", 1}, configs[1].listen}}};
    for (auto* n : {&a, &b, &c, &other}) REQUIRE(n->start() == "");
    REQUIRE(run_until(l, [&] { return a.linked(1); }));
    CHECK(a.count(link_event_kind::refused) == 4);  // its own is told from both ends
    CHECK(a.ups.size() == 1);
    CHECK(c.ups.empty());
    CHECK(other.ups.empty());
    // The right one goes away: the wrong ones are tried again and again, and told of once each.
    b.kill();
    a.events.clear();
    run_for(l, 3000ms);
    CHECK(a.count(link_event_kind::refused) == 3);
    REQUIRE(b.restart() == "");
    CHECK(run_until(l, [&] { return a.linked(1); }));
  }

  TEST_CASE("two clusters with the same table of members are told apart by their names") {
    pair p;
    for (auto* n : {&p.a, &p.b}) {
      for (auto& f : n->config.founders) f.where = "discover";
      n->config.cluster = "test";
    }
    p.b.config.cluster = "live";
    p.a.config.peers[0].places = {p.configs[1].listen};
    REQUIRE(p.a.start() == "");
    REQUIRE(p.b.start() == "");
    REQUIRE(run_until(p.l, [&] {
      return p.a.count(link_event_kind::refused) > 0 && p.b.count(link_event_kind::refused) > 0;
    }));
    CHECK(contains(p.a.text(link_event_kind::refused), "node n2 is of another cluster"));
    CHECK(contains(p.b.text(link_event_kind::refused), "node n1 is of another cluster"));
    CHECK(p.a.ups.empty());
    p.b.config.cluster = "test";
    REQUIRE(p.b.restart() == "");
    CHECK(run_until(p.l, [&] { return p.linked(); }));
  }

  TEST_CASE("a member is found where a proposal says, at once, and again where it has moved to") {
    pair p;
    p.a.config.retry_max = 60s;  // whatever is found soon is found by the proposal
    REQUIRE(p.a.start() == "");
    REQUIRE(p.b.start() == "");
    run_for(p.l, 300ms);
    CHECK_FALSE(p.a.linked(1));
    p.a.link->propose(m1, {at("127.0.0.1:1"), p.configs[1].listen});
    REQUIRE(run_until(p.l, [&] { return p.linked(); }, 1s));
    // Other proposals do not touch a link that is up.
    p.a.link->propose(m1, {at("127.0.0.1:1")});
    run_for(p.l, 100ms);
    CHECK(p.linked());
    p.b.config.listen.port = free_port();
    REQUIRE(p.b.restart() == "");
    run_for(p.l, 300ms);
    CHECK_FALSE(p.a.linked(1));
    p.a.link->propose(m1, {p.b.config.listen});
    CHECK(run_until(p.l, [&] { return p.linked(); }, 2s));
    p.a.link->propose(member_id{7}, {at("127.0.0.1:1")});  // nobody of that number
    p.a.link->propose(m1, std::vector<place>(1000, at("127.0.0.1:1")));
    CHECK(p.linked());
  }

  TEST_CASE("replies that no sound server sends: nothing but the look-up suffers") {
    pair p;
    std::minstd_rand random(7);
    std::vector<std::string> many(400, "127.0.0.3");
    p.names.host("n2.test", many);
    std::vector<name_server::service> records(60, {0, 0, 1, "n2.test"});
    p.names.records("_n2._tcp.test", records);
    p.names.mangle([&](std::string& reply) {
      for (auto i = random() % 12; i > 0; --i) reply[random() % reply.size()] = static_cast<char>(random());
      if (random() % 4 == 0) reply.resize(random() % reply.size());
      if (random() % 8 == 0) reply += std::string(random() % 9000, static_cast<char>(random()));
    });
    p.a.config.retry_max = 10ms;
    p.a.config.peers[0].places = {at("n2.test:1"), service("_n2._tcp.test"), at("n2.test:2")};
    REQUIRE(p.a.start() == "");
    run_for(p.l, 2500ms);
    CHECK(p.names.asked() > 3);
    p.names.mangle({});
    p.names.host("n2.test", {"127.0.0.1"});
    p.names.records("_n2._tcp.test", {{0, 0, p.b_port(), "n2.test"}});
    REQUIRE(p.b.start() == "");
    CHECK(run_until(p.l, [&] { return p.linked(); }, 15s));
  }

  TEST_CASE("an endpoint ends while names are looked up") {
    for (int i = 0; i < 20; ++i) {
      pair p;
      p.names.silent("slow.test");
      p.a.config.peers[0].places = {at("slow.test:1"), service("_slow._tcp.test")};
      REQUIRE(p.a.start() == "");
      run_for(p.l, std::chrono::milliseconds(i));
      p.a.kill();
      p.l.run_once(1ms);
    }
  }

  TEST_CASE("a watched file is read at first and after each kind of change") {
    folder f;
    const auto file = f.path / "members.toml";
    told t;
    file_watch watch(file, t.into(), {.bytes_max = 1000, .settle = 10ms, .look_again = 100ms});
    CHECK(t.last_fails("members.toml cannot be read: No such file"));
    write(file, "one");
    CHECK(t.last_is("one"));
    write(file, "two");
    CHECK(t.last_is("two"));
    write(f.path / "next", "three");
    files::rename(f.path / "next", file);
    CHECK(t.last_is("three"));
    files::remove(file);
    CHECK(t.last_fails("cannot be read"));
    // As a Kubernetes ConfigMap does it.
    for (const std::string version : {"a", "b"}) {
      files::create_directories(f.path / ("..v" + version));
      write(f.path / ("..v" + version) / "members.toml", "map " + version);
      files::create_symlink("..v" + version, f.path / "..data_tmp");
      files::rename(f.path / "..data_tmp", f.path / "..data");
      if (version == "a") files::create_symlink("..data/members.toml", file);
      CHECK(t.last_is("map " + version));
    }
    files::remove(file);
    write(file, std::string(1001, 'x'));
    CHECK(t.last_fails("larger than 1000 bytes"));
    files::remove(file);
    files::create_directories(file);
    CHECK(t.last_fails("no regular file"));
    // The folder is replaced.
    files::rename(f.path, f.path.string() + ".old");
    files::create_directories(f.path);
    write(file, "again");
    CHECK(t.last_is("again"));
    write(file, "and again");
    CHECK(t.last_is("and again"));
    files::remove_all(f.path.string() + ".old");
  }

  TEST_CASE("a change is seen by inotify, not by the next look; other files of the folder are not ours") {
    folder f;
    const auto file = f.path / "members.toml";
    write(file, "one");
    told t;
    file_watch watch(file, t.into(), {.settle = 10ms, .look_again = 1h});
    CHECK(t.last_is("one"));
    write(f.path / "other", "x");
    write(file, "two");
    CHECK(t.last_is("two"));
    write(file, "two");
    std::this_thread::sleep_for(100ms);
    std::lock_guard guard(t.mutex);
    CHECK(std::ranges::count_if(t.all, [](auto& r) { return r.error.empty() && !r.text.empty(); }) == 2);
  }
}
