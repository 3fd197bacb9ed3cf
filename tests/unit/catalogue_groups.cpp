#include "framework/catalogue/machine.hpp"
#include "framework/memory_stream.hpp"

#include <doctest/doctest.h>

#include <map>
#include <memory>
#include <random>
#include <set>

using namespace cohort;
using namespace cohort::catalogue;

namespace {

node_table three() {
  return {0, 3, {{member_id{0}, "a", "h:1", true}, {member_id{1}, "b", "h:2", true}, {member_id{2}, "c", "h:3", true}}};
}
std::vector<founder_line> all_three() { return {{member_id{0}, 10, 20, false}, {member_id{1}, 11, 21, false}, {member_id{2}, 12, 0, true}}; }

struct stage {
  group_table told;
  node_table nodes;
  int changes = -1;  // the first state is told, too
  machine m{three(), [this](const node_table& t) { nodes = t; }, [this](const group_table& t) { told = t, ++changes; }};

  verdict give(const command& c) {
    const auto bytes = encode(c);
    delivery d;
    d.payload = bytes;
    reply r;
    m.apply(d, r);
    verdict v;
    REQUIRE(decode(r.bytes(), v));
    return v;
  }
  static command create(const std::string& name, const std::string& type = "t", const std::string& contract = "orders = [\"total\"]\n") {
    return {.kind = command_kind::create_group, .name = name, .address = {}, .type = type, .contract = contract, .founders = all_three(), .request = 0, .hosts = {}, .number = 1};
  }
  static command on(const std::string& name, std::vector<std::string> hosts, std::vector<founder_line> founders) {
    auto c = create(name);
    c.hosts = std::move(hosts);
    c.founders = std::move(founders);
    return c;
  }
  static command extension(const std::string& name, std::vector<std::string> hosts) {
    command c;
    c.kind = command_kind::extend_group;
    c.name = name;
    c.hosts = std::move(hosts);
    return c;
  }
  static command removal(const std::string& name, std::uint32_t number = 0) {
    command c;
    c.kind = command_kind::delete_group;
    c.name = name;
    c.number = number;
    return c;
  }
  std::vector<std::byte> checkpoint() const {
    memory_sink out;
    m.checkpoint(out);
    return {out.bytes().begin(), out.bytes().end()};
  }
};

}  // namespace

TEST_SUITE("catalogue") {
  TEST_CASE("groups: each command, once and again") {
    stage s;
    CHECK(s.give(stage::create("x")).why == "group x is number 1023");
    REQUIRE(s.told.groups.size() == 1);
    CHECK(s.told.groups[0] == group_line{1023, "x", "t", "orders = [\"total\"]\n", all_three(), 0, {}});
    CHECK(s.give(stage::create("x")).done);  // its driver died before it heard
    CHECK(s.changes == 1);
    CHECK_FALSE(s.give(stage::create("x", "other")).done);
    CHECK_FALSE(s.give(stage::create("x", "t", "")).done);
    CHECK(s.give(stage::create("y")).why == "group y is number 1022");
    CHECK(s.give(stage::removal("x")).done);
    CHECK(s.give(stage::removal("x")).done);
    CHECK(s.changes == 3);
    CHECK(s.told.find("x") == nullptr);
    CHECK(s.told.find(1023u) == nullptr);
    CHECK(s.told.ever(1023));
    CHECK_FALSE(s.told.ever(1021));
    CHECK_FALSE(s.give(stage::removal("z")).done);
    CHECK(s.give(stage::create("x")).why == "group x is number 1021");  // another one
  }

  TEST_CASE("groups: a repeated command never meets a later group of the name") {
    stage s;
    auto once = stage::create("x");
    once.request = 77;
    CHECK(s.give(once).done);
    CHECK(s.give(once).done);
    const auto gone = stage::removal("x", 1023);
    CHECK(s.give(gone).done);
    CHECK_FALSE(s.give(once).done);  // a late repetition does not bring it back
    CHECK(s.told.groups.empty());
    auto twice = stage::create("x");
    twice.request = 78;
    CHECK(s.give(twice).why == "group x is number 1022");
    CHECK(s.give(gone).done);  // was done, and is
    CHECK(s.told.find("x") != nullptr);
    CHECK(s.give(stage::removal("x", 1022)).done);
  }

  TEST_CASE("groups: what is refused changes nothing") {
    stage s;
    REQUIRE(s.give(stage::create("x")).done);
    const auto before = s.told;
    const auto refused = [&](command c) {
      const auto v = s.give(c);
      CHECK_FALSE(v.done);
      CHECK_FALSE(v.why.empty());
    };
    refused(stage::create(""));
    refused(stage::create("x y"));
    refused(stage::create(std::string(65, 'x')));
    refused(stage::create("y", ""));
    refused(stage::create("y", "t", std::string(contract_bytes_max + 1, 'x')));
    auto c = stage::create("y");
    c.founders.clear();
    refused(c);
    c.founders = {{member_id{9}, 1, 1, false}};
    refused(c);
    c.founders = {{member_id{1}, 1, 1, false}, {member_id{0}, 1, 1, false}};
    refused(c);
    c = stage::create("y");
    c.number = 1022;  // no room above the configured ones
    refused(c);
    command gone;
    gone.kind = command_kind::remove;
    gone.name = "b";
    REQUIRE(s.give(gone).done);
    refused(stage::create("y"));  // one of its founders is no node any more
    CHECK(s.told == before);
    auto bytes = encode(stage::create("z"));
    delivery d;
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      d.payload = std::span(bytes).first(length);
      reply r;
      s.m.apply(d, r);
      verdict v;
      REQUIRE(decode(r.bytes(), v));
      CHECK_FALSE(v.done);
    }
    CHECK(s.told == before);
  }

  TEST_CASE("groups: on some of the nodes") {
    stage s;
    const std::vector<founder_line> outer{{member_id{0}, 10, 20, false}, {member_id{2}, 12, 22, false}};
    CHECK(s.give(stage::on("x", {"c", "a"}, outer)).why == "group x is number 1023, on a, c");
    REQUIRE(s.told.groups.size() == 1);
    const auto& x = s.told.groups[0];
    CHECK(x.hosts == std::vector{member_id{0}, member_id{2}});
    CHECK(is_host(x, member_id{0}));
    CHECK_FALSE(is_host(x, member_id{1}));
    CHECK(s.give(stage::on("x", {"a", "c"}, outer)).done);  // repeated
    CHECK_FALSE(s.give(stage::on("x", {"a", "b", "c"}, outer)).done);
    CHECK_FALSE(s.give(stage::on("x", {}, outer)).done);
    CHECK(s.changes == 1);
    // Not all who have a part need be founders.
    CHECK(s.give(stage::on("y", {"a", "b"}, {{member_id{1}, 11, 21, false}})).done);

    const auto refused = [&](const command& c, const std::string& why) {
      const auto before = s.told;
      const auto v = s.give(c);
      CHECK_FALSE(v.done);
      CHECK(v.why.find(why) != std::string::npos);
      CHECK(s.told == before);
    };
    refused(stage::on("z", {"a", "d"}, {outer[0]}), "no node is named \"d\"");
    refused(stage::on("z", {"a", ""}, {outer[0]}), "no node is named \"\"");
    refused(stage::on("z", {"a", "a"}, {outer[0]}), "a is named twice");
    refused(stage::on("z", {"a", "b"}, outer), "changed meanwhile");  // a founder without a part
    refused(stage::on("z", {"a"}, {}), "founders");
    refused(stage::on("z", std::vector<std::string>(hosts_max + 1, "a"), {outer[0]}), "");

    // Extended, once and again.
    refused(stage::extension("z", {"b"}), "no group that was created is named z");
    refused(stage::extension("x", {"d"}), "no node is named");
    refused(stage::extension("x", {}), "no node");
    CHECK(s.give(stage::extension("x", {"b"})).why == "group x is number 1023, on a, b, c");
    const auto changes = s.changes;
    CHECK(s.give(stage::extension("x", {"b"})).done);
    CHECK(s.changes == changes);
    CHECK(s.told.find("x")->founders == outer);
    REQUIRE(s.give(stage::create("all")).done);
    CHECK(s.give(stage::extension("all", {"b"})).why == "group all is on all nodes");
    CHECK(s.told.find("all")->hosts.empty());

    // As written down and read.
    const auto bytes = s.checkpoint();
    stage other;
    memory_source in(bytes);
    other.m.restore(in);
    CHECK(other.told == s.told);
    auto mad = bytes;
    for (std::size_t length = 0; length < bytes.size(); length += 8) {
      mad = bytes;
      mad[length] = std::byte{0xff};  // whatever it is, it is refused or read, and nothing else happens
      memory_source damaged(mad);
      try {
        other.m.restore(damaged);
      } catch (const truncated_checkpoint&) {
      }
    }

    // A removed node has no part in anything; it is not removed while it is the only one.
    command gone;
    gone.kind = command_kind::remove;
    gone.name = "b";
    REQUIRE(s.give(gone).done);
    CHECK(s.told.find("x")->hosts == std::vector{member_id{0}, member_id{2}});
    CHECK(s.told.find("y")->hosts == std::vector{member_id{0}});
    gone.name = "a";
    refused(gone, "group y is on no other node");
    REQUIRE(s.give(stage::removal("y")).done);
    CHECK(s.told.find(1022u) == nullptr);
    CHECK(s.give(gone).done);
  }

  TEST_CASE("groups: random commands, against a simple model, with restores in between") {
    for (unsigned seed = 1; seed <= 60; ++seed) {
      CAPTURE(seed);
      std::mt19937 random(seed);
      auto s = std::make_unique<stage>();
      std::map<std::string, std::uint32_t> alive;
      std::set<std::string> ever;
      std::map<std::uint64_t, std::string> requests;
      std::set<std::uint32_t> given;
      for (int step = 0; step < 300; ++step) {
        const std::string name(1, static_cast<char>('a' + random() % 6));
        const auto what = random() % 10;
        if (what < 5) {
          auto c = stage::create(name, random() % 8 ? "t" : "u");
          c.request = random() % 3 ? 0 : 1 + random() % 40;
          const bool repeated = c.request != 0 && requests.contains(c.request);
          const bool there = alive.contains(name);
          const auto v = s->give(c);
          if (!repeated && !there) {
            REQUIRE(v.done);
            alive[name] = s->told.find(name)->number;
            CHECK(given.insert(alive[name]).second);  // never again
            CHECK(place_of(alive[name]) > c.number);
            ever.insert(name);
            if (c.request != 0) requests[c.request] = name;
          } else if (!repeated && c.type == "t") {
            CHECK(v.done == (s->told.find(name)->type == "t"));
          }
        } else if (what < 9) {
          const std::uint32_t number = random() % 2 || !alive.contains(name) ? 0 : alive[name];
          const auto v = s->give(stage::removal(name, number));
          CHECK(v.done == ever.contains(name));
          alive.erase(name);
        } else {
          auto other = std::make_unique<stage>();
          const auto bytes = s->checkpoint();
          memory_source in(bytes);
          other->m.restore(in);
          CHECK(other->told == s->told);
          CHECK(other->nodes == s->nodes);
          s = std::move(other);
        }
        std::map<std::string, std::uint32_t> now;
        std::set<std::uint32_t> numbers;
        for (const auto& g : s->told.groups) {
          CHECK(numbers.insert(g.number).second);
          CHECK(s->told.find(g.number) == &g);
          CHECK(s->told.ever(g.number));
          now[g.name] = g.number;
        }
        REQUIRE(now == alive);
      }
    }
  }

  TEST_CASE("groups: thousands come and go, and the tables stay as they are") {
    stage s;
    std::set<std::uint32_t> given;
    std::vector<std::string> alive;
    std::size_t most = 0;
    std::mt19937 random(1);
    for (int i = 0; i < 5000; ++i) {
      const auto name = "g" + std::to_string(i);
      REQUIRE(s.give(stage::create(name)).done);
      const auto number = s.told.find(name)->number;
      CHECK(given.insert(number).second);
      CHECK(place_of(number) > 1);
      std::set<std::uint32_t> places;
      for (const auto& g : s.told.groups) REQUIRE(places.insert(place_of(g.number)).second);
      alive.push_back(name);
      if (alive.size() > 10 || random() % 2) {
        const auto which = alive.begin() + static_cast<std::ptrdiff_t>(random() % alive.size());
        REQUIRE(s.give(stage::removal(*which)).done);
        alive.erase(which);
      }
      most = std::max(most, s.checkpoint().size());
    }
    CHECK(s.told.groups.size() == alive.size());
    CHECK(most < 100'000);
    for (const auto number : given) CHECK(s.told.ever(number));
    // What is decided of a number holds although nobody remembers its name.
    CHECK(s.give(stage::removal("g0", 1023)).done);
    CHECK_FALSE(s.give(stage::removal("g0")).done);
    stage other;
    const auto bytes = s.checkpoint();
    memory_source in(bytes);
    other.m.restore(in);
    CHECK(other.told == s.told);
  }

  TEST_CASE("groups: a place is used again when all others were used as often") {
    stage s;
    auto c = stage::create("x");
    c.number = 1020;  // so many are the program's own
    std::vector<std::uint32_t> numbers;
    for (int i = 0; i < 7; ++i) {
      REQUIRE(s.give(c).done);
      numbers.push_back(s.told.find("x")->number);
      REQUIRE(s.give(stage::removal("x")).done);
    }
    CHECK(numbers == std::vector<std::uint32_t>{1023, 1022, 1021, 2047, 2046, 2045, 3071});
    for (const auto* name : {"a", "b", "c"}) {
      c.name = name;
      REQUIRE(s.give(c).done);
    }
    c.name = "d";
    CHECK(s.give(c).why.find("all places are taken") != std::string::npos);
    REQUIRE(s.give(stage::removal("b")).done);
    CHECK(s.give(c).done);
  }

  TEST_CASE("groups: numbers end when every place has had its four million") {
    group_table t;
    t.lives.assign(group_places, group_life_max + 1);
    CHECK_FALSE(t.next_number(0));
    t.lives[7] = group_life_max;
    CHECK(t.next_number(0) == std::optional<std::uint32_t>(group_number(7, group_life_max)));
    CHECK_FALSE(t.next_number(7));
  }

  TEST_CASE("groups: checkpoints of earlier forms are read") {
    memory_sink first;  // all that ever were, and no places
    write(first, three());
    first.write_u64(3);
    first.write_u64(2);
    for (const bool present : {false, true}) {
      first.write_bytes(std::string(present ? "x" : "y"));
      first.write_bytes(std::string(present ? "t" : ""));
      first.write_bytes(std::string());
      write(first, present ? all_three() : std::vector<founder_line>{});
      first.write_u64(present ? 8 : 7);
      first.write_u64(present ? 1 : 0);
    }
    stage other;
    memory_source in(first.bytes());
    other.m.restore(in);
    CHECK(other.told.version == 3);
    REQUIRE(other.told.groups.size() == 1);
    CHECK(other.told.groups[0].number == 1022);
    CHECK(other.told.gone == std::vector<gone_line>{{1023, "y", 7}});
    CHECK(other.give(stage::create("z")).why == "group z is number 1021");
    memory_sink nodes_alone;
    write(nodes_alone, three());
    memory_source old(nodes_alone.bytes());
    other.m.restore(old);
    CHECK(other.told == group_table{});
    memory_sink few;
    stage small;
    REQUIRE(small.give(stage::create("x")).done);
    REQUIRE(small.give(stage::removal("x")).done);
    REQUIRE(small.give(stage::create("y")).done);
    small.m.checkpoint(few);
    for (std::size_t length = 1; length < few.bytes().size(); ++length) {
      if (length == nodes_alone.bytes().size()) continue;  // that is the older form
      memory_source cut(few.bytes().first(length));
      CHECK_THROWS_AS(small.m.restore(cut), truncated_checkpoint);
    }
  }
}
