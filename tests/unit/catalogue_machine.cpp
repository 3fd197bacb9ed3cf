#include "framework/catalogue/machine.hpp"
#include "framework/memory_stream.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::catalogue;

namespace {

node_table founders() {
  return {0, 3, {{member_id{0}, "a", "h:1", true}, {member_id{1}, "b", "h:2", true}, {member_id{2}, "c", "h:3", true}}};
}

struct stage {
  node_table told;
  int changes = -1;  // the first state is told, too
  machine m{founders(), [this](const node_table& t) { told = t, ++changes; }};

  verdict give(command_kind kind, const std::string& name, const std::string& address = "") {
    const auto bytes = encode(command{kind, name, address});
    return give(bytes);
  }
  verdict give(std::span<const std::byte> bytes) {
    delivery d;
    d.payload = bytes;
    reply r;
    m.apply(d, r);
    verdict v;
    REQUIRE(decode(r.bytes(), v));
    return v;
  }
};

}  // namespace

TEST_SUITE("catalogue") {
  TEST_CASE("each command, once and again") {
    stage s;
    CHECK(s.give(command_kind::add, "d", "h:4").done);
    REQUIRE(s.told.nodes.size() == 4);
    CHECK(s.told.nodes[3] == node_line{member_id{3}, "d", "h:4", true});
    CHECK(s.told.version == 1);
    CHECK(s.give(command_kind::add, "d", "h:4").done);  // its driver died before it heard
    CHECK(s.give(command_kind::move, "d", "h:5").done);
    CHECK(s.give(command_kind::move, "d", "h:5").done);
    CHECK(s.give(command_kind::remove, "a").done);
    CHECK(s.give(command_kind::remove, "a").done);
    CHECK(s.changes == 3);
    CHECK(s.told.version == 3);
    CHECK(s.told.find("a") == nullptr);
    CHECK_FALSE(s.told.find(member_id{0})->present);
  }

  TEST_CASE("any number of nodes may be found by sources of addresses alone, one at an address") {
    stage s;
    CHECK(s.give(command_kind::add, "d", "discover").done);
    CHECK(s.give(command_kind::add, "e", "discover").done);
    CHECK(s.give(command_kind::move, "a", "discover").done);
    CHECK_FALSE(s.give(command_kind::add, "f", "h:2").done);
    CHECK_FALSE(s.give(command_kind::move, "e", "h:3").done);
    CHECK(s.give(command_kind::move, "e", "h:1").done);  // a is not there any more
  }

  TEST_CASE("a name that comes back is another node") {
    stage s;
    CHECK(s.give(command_kind::remove, "a").done);
    CHECK(s.give(command_kind::add, "a", "h:1").done);
    CHECK(s.told.find("a")->number == member_id{3});
    CHECK_FALSE(s.told.nodes[0].present);
    CHECK(s.told.founders == 3);
  }

  TEST_CASE("what is refused changes nothing") {
    stage s;
    const auto before = s.told;
    for (const auto& [kind, name, address] : std::vector<std::tuple<command_kind, std::string, std::string>>{
           {command_kind::add, "a", "h:9"},   // known, elsewhere
           {command_kind::add, "d", "h:1"},   // another's address
           {command_kind::add, "", "h:9"},    {command_kind::add, "d e", "h:9"}, {command_kind::add, std::string(65, 'x'), "h:9"},
           {command_kind::add, "d", ""},      {command_kind::add, "d", "h 9"},   {command_kind::add, "d", std::string(301, 'x')},
           {command_kind::move, "d", "h:9"},  {command_kind::move, "a", "h:2"},  {command_kind::move, "a", ""},
           {command_kind::remove, "d", ""}}) {
      CAPTURE(name);
      CAPTURE(address);
      const auto v = s.give(kind, name, address);
      CHECK_FALSE(v.done);
      CHECK_FALSE(v.why.empty());
    }
    CHECK_FALSE(s.give({}).done);
    auto bytes = encode(command{command_kind::add, "d", "h:4"});
    for (std::size_t length = 0; length < bytes.size(); ++length) CHECK_FALSE(s.give(std::span(bytes).first(length)).done);
    bytes[0] = std::byte{9};
    CHECK_FALSE(s.give(bytes).done);
    CHECK(s.told == before);
    CHECK(s.changes == 0);
  }

  TEST_CASE("somebody stays, and there are bounds") {
    stage s;
    CHECK(s.give(command_kind::remove, "a").done);
    CHECK(s.give(command_kind::remove, "b").done);
    CHECK_FALSE(s.give(command_kind::remove, "c").done);
    for (std::size_t i = 1; i < present_max; ++i) CHECK(s.give(command_kind::add, "n" + std::to_string(i), "x:" + std::to_string(i)).done);
    CHECK_FALSE(s.give(command_kind::add, "more", "x:9999").done);
    std::size_t all = s.told.nodes.size();
    for (; all < nodes_max; ++all) {
      const auto next = "m" + std::to_string(all);
      REQUIRE(s.give(command_kind::remove, s.told.nodes.back().name).done);
      REQUIRE(s.give(command_kind::add, next, "y:" + next).done);
    }
    REQUIRE(s.give(command_kind::remove, s.told.nodes.back().name).done);
    CHECK_FALSE(s.give(command_kind::add, "last", "z:1").done);
  }

  TEST_CASE("a checkpoint holds all of it, and what is none is refused") {
    stage s;
    CHECK(s.give(command_kind::add, "d", "h:4").done);
    CHECK(s.give(command_kind::remove, "b").done);
    memory_sink out;
    s.m.checkpoint(out);
    stage other;
    memory_source in(out.bytes());
    other.m.restore(in);
    CHECK(other.told == s.told);
    CHECK(other.give(command_kind::add, "e", "h:5").done);
    CHECK(other.told.nodes.back().number == member_id{4});
    memory_sink without_groups;  // the form of versions that knew none
    write(without_groups, s.told);
    for (std::size_t length = 1; length < out.bytes().size(); ++length) {
      if (length == without_groups.bytes().size()) continue;
      memory_source cut(out.bytes().first(length));
      CHECK_THROWS_AS(other.m.restore(cut), truncated_checkpoint);
    }
    memory_source nothing({});
    other.m.restore(nothing);
    CHECK(other.told == founders());
  }
}
