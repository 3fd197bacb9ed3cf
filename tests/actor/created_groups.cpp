// Groups that are created, used and deleted while nodes run. The rest is in tests/process/groups_run.py.
#include "cluster.hpp"

#include "framework/protocol/group_number.hpp"

#include <cohort/group.hpp>
#include <cohort/monitor.hpp>

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include <stdlib.h>

#include <algorithm>
#include <set>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// Founders with one group of their own and a catalogue, whose program registers "records" (not the nodes in `without`).
struct place {
  explicit place(int founders) : ports(free_ports(founders)) {
    char name[] = "/tmp/cohort-created-XXXXXX";
    REQUIRE(::mkdtemp(name));
    folder = name;
    for (int i = 0; i < founders; ++i) members.push_back({"n" + std::to_string(i + 1), "127.0.0.1:" + std::to_string(ports[static_cast<std::size_t>(i)])});
  }
  ~place() {
    nodes.clear();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  node& start(int i, bool registers = true) {
    node_config c;
    c.name = members[static_cast<std::size_t>(i)].name;
    c.data = folder / c.name;
    c.members = members;
    c.catalogue = true;
    c.workers = 2;
    c.log_level = ::getenv("COHORT_TEST_LOG") ? ::getenv("COHORT_TEST_LOG") : "off";
    auto n = std::make_unique<node>(c);
    n->internals().reserved_places = reserved;
    n->replicate("room", [] { return std::make_unique<recorder>(std::make_shared<journal_of_messages>()); }, contract{.single = true});
    if (registers) n->register_machine("records", [] { return std::make_unique<recorder>(std::make_shared<journal_of_messages>()); });
    n->register_listener("nobody", [] {
      struct nothing final : listener {
        void deliver(const delivery_batch&) override {}
      };
      return std::make_unique<nothing>();
    });
    n->on_group_event([this, i](const group_event& e) {
      std::lock_guard guard(mutex);
      events[i].push_back(e);
    });
    n->start();
    return *(nodes[i] = std::move(n));
  }
  void start_all() {
    for (int i = 0; i < static_cast<int>(members.size()); ++i) start(i);
    REQUIRE(eventually([&] { return std::ranges::all_of(nodes, [](auto& n) { return n.second->status("room").primary; }); }));
  }

  /// What became of one message; empty reply text if it was not answered.
  static std::string say(node& at, const std::string& group, const std::string& text, std::chrono::seconds bound = 20s) {
    const auto end = std::chrono::steady_clock::now() + bound;
    auto port = at.port(group);
    completion_batch done;
    do {
      port.submit(std::as_bytes(std::span(text)), 0);
      port.flush();
      while (!port.take(done)) std::this_thread::sleep_for(1ms);
      if (done[0].outcome == outcome::replied) return {reinterpret_cast<const char*>(done[0].reply.data()), done[0].reply.size()};
      if (!refused(done[0].outcome)) return "";
      std::this_thread::sleep_for(5ms);
    } while (std::chrono::steady_clock::now() < end);
    return "";
  }
  static std::string count(node& at, const std::string& group) {
    auto port = at.port(group);
    completion_batch done;
    const std::string question = "where?";
    port.query(std::as_bytes(std::span(question)), reads::local, 0);
    port.flush();
    if (!eventually([&] { return port.take(done); })) return "no answer";
    return std::string(reinterpret_cast<const char*>(done[0].reply.data()), done[0].reply.size());
  }
  static bool hosts(node& at, const std::string& group) {
    const auto all = at.created_groups();
    const auto known = std::ranges::find(all, group, &group_info::name);
    return known != all.end() && known->why_not.empty();
  }
  std::vector<group_event::kind> seen(int i, const std::string& group) {
    std::lock_guard guard(mutex);
    std::vector<group_event::kind> kinds;
    for (const auto& e : events[i])
      if (e.info.name == group) kinds.push_back(e.what);
    return kinds;
  }

  std::uint32_t reserved = 0;
  std::vector<int> ports;
  std::filesystem::path folder;
  std::vector<member_config> members;
  std::mutex mutex;
  std::map<int, std::vector<group_event>> events;
  std::map<int, std::unique_ptr<node>> nodes;
};

std::string done(std::future<change_result> asked) {
  const auto r = asked.get();
  CHECK_MESSAGE(r.done, r.why);
  return r.why;
}
std::string refusal(std::future<change_result> asked) {
  const auto r = asked.get();
  CHECK_FALSE(r.done);
  return r.why;
}
bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_SUITE("created groups") {
  TEST_CASE("a group is created, used, deleted, and created again: another number, and nothing of the former") {
    place p(3);
    p.start_all();
    auto& first = *p.nodes[0];
    for (const auto kept : {durability::journaled, durability::in_memory}) {
      CAPTURE(to_string(kept));
      const std::string name = std::string("orders-") + to_string(kept);
      const contract how{.durability = kept};
      CHECK(has(done(first.create_group(name, "records", how)), "is number"));
      CHECK(place::say(first, name, "one") != "");
      for (int i : {1, 2}) {
        REQUIRE(eventually([&] { return place::hosts(*p.nodes[i], name); }));
        CHECK(place::say(*p.nodes[i], name, "more") != "");
      }
      CHECK(eventually([&] { return place::count(first, name) == "3"; }));
      CHECK(p.nodes[1]->rules(name).durability == kept);
      CHECK(done(p.nodes[1]->change(name, contract(p.nodes[1]->rules(name)).with(&contract::heartbeat, 40ms))) == "");
      const auto number = first.created_groups().back().number;
      // The same again is done, something else under that name is not.
      CHECK(has(done(p.nodes[2]->create_group(name, "records", how)), std::to_string(number)));
      CHECK(has(refusal(first.create_group(name, "nobody", contract::multicast(order::fifo).with(kept))), "set up differently"));

      auto port = first.port(name);
      CHECK(done(p.nodes[2]->delete_group(name)) == "group " + name + " is deleted");
      CHECK(done(p.nodes[1]->delete_group(name)) == "group " + name + " is deleted");
      CHECK(eventually([&] { return std::ranges::none_of(p.nodes, [&](auto& n) { return place::hosts(*n.second, name); }); }));
      CHECK_THROWS_AS(first.port(name), node_error);
      port.submit(std::as_bytes(std::span(name)), 0);
      port.flush();
      completion_batch refused_now;
      REQUIRE(eventually([&] { return port.take(refused_now); }));
      CHECK(refused_now[0].outcome == outcome::stopped);

      done(p.nodes[1]->create_group(name, "records", how));
      CHECK(p.nodes[1]->created_groups().back().number == number - 1);
      CHECK(place::say(*p.nodes[1], name, "anew") != "");
      CHECK(eventually([&] { return place::hosts(first, name) && place::count(first, name) == "1"; }));
      CHECK(eventually([&] { return p.seen(0, name) == std::vector{group_event::kind::hosted, group_event::kind::deleted, group_event::kind::hosted}; }));
    }
  }

  TEST_CASE("places are used again, with a node that was down meanwhile, and nothing of the former group is there") {
    place p(3);
    p.reserved = group_places - 3;  // two places are left: each group but one begins where another one just ended
    p.start_all();
    auto& first = *p.nodes[0];
    const auto number_of = [&](const std::string& name) {
      const auto all = first.created_groups();
      return std::ranges::find(all, name, &group_info::name)->number;
    };
    done(first.create_group("kept", "records", contract{}));
    CHECK(place::say(first, "kept", "one") != "");
    std::set<std::uint32_t> numbers{number_of("kept")};
    for (int i = 0; i < 42; ++i) {
      const auto name = "g" + std::to_string(i % 3);
      // In memory it needs all three, linked; so it is asked for again.
      const auto how = i % 4 || i > 23 ? contract{} : contract{}.with(durability::in_memory);
      REQUIRE(eventually([&] { return first.create_group(name, "records", how).get().done; }));
      CHECK(numbers.insert(number_of(name)).second);
      CHECK(place_of(number_of(name)) > p.reserved);
      const bool leaves_third = i == 23;  // where it has the group's messages on its disk
      if (i % 5 == 0 || leaves_third) {
        CHECK(place::say(first, name, "x") != "");
        CHECK(eventually([&] { return place::count(first, name) == "1"; }));
      }
      if (leaves_third) {
        REQUIRE(eventually([&] { return place::hosts(*p.nodes[2], name) && place::count(*p.nodes[2], name) == "1"; }));
        p.nodes.erase(2);
      }
      if (i < 41) done(first.delete_group(name));
    }
    const std::string last = "g2";  // as the one that the third node has
    const auto number = number_of(last);
    CHECK(life_of(number) == 41);  // one place is the kept one's
    CHECK(place::say(first, last, "a") != "");
    p.start(2);  // what it has is of a group at that place which went meanwhile
    auto& third = *p.nodes[2];
    REQUIRE(eventually([&] { return place::hosts(third, last) && place::hosts(third, "kept"); }, 30s));
    CHECK(place::say(third, last, "b") != "");
    CHECK(eventually([&] { return place::count(third, last) == "2"; }));
    CHECK(eventually([&] { return place::count(third, "kept") == "1"; }));
    CHECK(third.created_groups().size() == 2);
    p.nodes.erase(2);
    auto& again = p.start(2);
    CHECK(eventually([&] { return place::hosts(again, last) && place::count(again, last) == "2"; }, 30s));
  }

  TEST_CASE("what cannot be created is refused with the reason") {
    place p(3);
    p.start_all();
    auto& n = *p.nodes[1];
    CHECK(has(refusal(n.create_group("orders", "teapots")), "registers no type \"teapots\"; it registers nobody, records"));
    CHECK(has(refusal(n.create_group("a b", "records")), "is no name"));
    CHECK(has(refusal(n.create_group("room", "records")), "the program's own"));
    CHECK(has(refusal(n.create_group("cohort.catalogue", "records")), "taken"));
    CHECK(has(refusal(n.create_group("orders", "records", contract{}.with(&contract::heartbeat, 200ms))), "election_min"));
    CHECK(has(refusal(n.create_group("orders", "records", contract{}.with(replication::primary_backup))), "its type is one of"));
    CHECK(has(refusal(n.create_group("orders", "records", contract{}.with(&contract::witnesses, 1u))), "witnesses"));
    CHECK(has(refusal(n.delete_group("orders")), "no group that was created is named orders"));
    CHECK(has(refusal(n.delete_group("room")), "no group that was created is named room"));
    CHECK(n.created_groups().empty());
    CHECK_THROWS_AS(n.register_machine("late", [] { return nullptr; }), node_error);
  }

  TEST_CASE("a node that was down when it was created takes part, and one whose program has no such type once it has") {
    place p(3);
    p.start_all();
    p.nodes.erase(2);
    done(p.nodes[0]->create_group("orders", "records", contract{}));
    CHECK(place::say(*p.nodes[0], "orders", "two of three are enough") != "");
    auto& late = p.start(2, false);
    CHECK(eventually([&] {
      const auto all = late.created_groups();
      return all.size() == 1 && has(all[0].why_not, "registers no type \"records\"");
    }));
    CHECK(eventually([&] { return p.seen(2, "orders") == std::vector{group_event::kind::not_hosted}; }));
    CHECK_THROWS_AS(late.port("orders"), node_error);
    p.nodes.erase(2);
    auto& good = p.start(2);
    CHECK(eventually([&] { return place::hosts(good, "orders"); }));
    CHECK(eventually([&] { return place::count(good, "orders") == "1"; }));
    CHECK(eventually([&] {
      const auto s = p.nodes[0]->status("orders");
      return s.members.size() == 3 && std::ranges::all_of(s.members, [](auto& m) { return m.active && m.voter; });
    }));
    // A restart of all finds it again; one that was deleted while a node was away it does not find.
    done(p.nodes[0]->create_group("brief", "records", contract{}));
    CHECK(place::say(*p.nodes[0], "brief", "x") != "");
    CHECK(eventually([&] { return place::hosts(good, "brief"); }));
    p.nodes.erase(2);
    done(p.nodes[1]->delete_group("brief"));
    p.nodes.clear();
    p.start_all();
    for (int i = 0; i < 3; ++i) {
      CAPTURE(i);
      CHECK(eventually([&] { return place::hosts(*p.nodes[i], "orders"); }));
      CHECK(eventually([&] { return !place::hosts(*p.nodes[i], "brief") && p.nodes[i]->created_groups().size() == 1; }));
      CHECK(eventually([&] { return place::count(*p.nodes[i], "orders") == "1"; }));
    }
    CHECK(place::say(*p.nodes[2], "orders", "again") != "");
  }

  TEST_CASE("a group is on some of the nodes, and goes on and away without the others") {
    place p(3);
    p.start_all();
    auto& first = *p.nodes[0];
    auto& outside = *p.nodes[1];
    for (const auto kept : {durability::journaled, durability::in_memory}) {
      CAPTURE(to_string(kept));
      const std::string name = std::string("pair-") + to_string(kept);
      const contract how{.durability = kept, .single = true};
      // Whoever is asked need not have a part itself.
      CHECK(has(done(outside.create_group(name, "records", how, {.on = {"n3", "n1"}, .witnesses = {}})), "on n1, n3"));
      REQUIRE(eventually([&] { return place::hosts(first, name) && place::hosts(*p.nodes[2], name); }));
      CHECK(place::say(first, name, "one") != "");
      const auto all = outside.created_groups();
      const auto known = std::ranges::find(all, name, &group_info::name);
      REQUIRE(known != all.end());
      CHECK(known->hosts == std::vector<std::string>{"n1", "n3"});
      CHECK(has(known->why_not, "none of its hosts"));
      CHECK_THROWS_WITH_AS(outside.port(name), ("this node hosts no group " + name + ", which is on n1, n3").c_str(), node_error);
      CHECK(p.seen(1, name).empty());
      CHECK(eventually([&] {
        const auto s = first.status(name);
        return s.members.size() == 2 && std::ranges::all_of(s.members, [](auto& m) { return m.active && m.voter; });
      }));
      CHECK(has(refusal(first.create_group(name, "records", how)), "set up differently"));
      CHECK(has(done(first.create_group(name, "records", how, {.on = {"n1", "n3"}, .witnesses = {}})), "is number"));
    }
    CHECK(has(refusal(first.create_group("x", "records", {}, {.on = {"n1", "n9"}, .witnesses = {}})), "no node is named \"n9\""));
    CHECK(has(refusal(first.create_group("x", "records", {}, {.on = {"n1", "n1"}, .witnesses = {}})), "named twice"));
    CHECK(has(refusal(first.create_group("x", "records", {}, {.on = {"n2"}, .witnesses = {}})), "single"));
    CHECK(has(refusal(first.create_group("x", "records", {}, {.on = {}, .witnesses = {"n9"}})), "witness"));
    CHECK(has(refusal(first.extend_group("x", "n2")), "no group that was created"));

    // Extended to a node that was outside, which is given what the group holds; twice is once.
    CHECK(has(done(p.nodes[2]->extend_group("pair-journaled", "n2")), "on n1, n2, n3"));
    done(p.nodes[0]->extend_group("pair-journaled", "n2"));
    REQUIRE(eventually([&] { return place::hosts(outside, "pair-journaled") && place::count(outside, "pair-journaled") == "1"; }));
    CHECK(eventually([&] {
      const auto s = first.status("pair-journaled");
      return s.members.size() == 3 && std::ranges::all_of(s.members, [](auto& m) { return m.active && m.voter; });
    }));
    CHECK(p.seen(1, "pair-journaled") == std::vector{group_event::kind::hosted});

    // All start again, the catalogue without a quorum first: what is written down about groups is enough for theirs.
    p.nodes.clear();
    p.start(1);
    CHECK(eventually([&] { return place::hosts(*p.nodes[1], "pair-journaled"); }));
    CHECK_FALSE(p.nodes[1]->status("room").primary);
    p.start(0);
    p.start(2);
    CHECK(eventually([&] { return place::hosts(*p.nodes[0], "pair-journaled") && place::count(*p.nodes[0], "pair-journaled") == "1"; }));

    // Deleted while a node that has no part in it is down, and likewise one that has.
    p.nodes.erase(1);
    done(p.nodes[0]->delete_group("pair-volatile"));
    done(p.nodes[2]->delete_group("pair-journaled"));
    CHECK(eventually([&] { return p.nodes[0]->created_groups().empty() && p.nodes[2]->created_groups().empty(); }));
    p.start(1);
    CHECK(eventually([&] { return p.nodes[1]->created_groups().empty(); }));
  }

  TEST_CASE("actors are told that a group was deleted") {
    place p(1);
    p.members[0].name = "n1";
    auto& n = p.start(0);
    done(n.create_group("orders", "records", contract{.single = true}));
    REQUIRE(place::say(n, "orders", "x") != "");
    struct told {
      std::mutex mutex;
      std::vector<std::string> what;
      void add(std::string text) {
        std::lock_guard guard(mutex);
        what.push_back(std::move(text));
      }
      bool has(const std::string& text) {
        std::lock_guard guard(mutex);
        return std::ranges::find(what, text) != what.end();
      }
    } heard;
    auto& system = n.internals().system();
    auto actor = system.spawn([&heard](caf::event_based_actor* self) -> caf::behavior {
      self->set_down_handler([&heard](const caf::down_msg&) { heard.add("handle ended"); });
      return {[&heard](const group_view&) { heard.add("view"); },
              [&heard](const group_deleted& g) { heard.add("deleted " + g.group); },
              [&heard](const down& d) { heard.add(std::string("down ") + (d.what == down_kind::group ? "group " : "member ") + to_string(d.reason)); }};
    });
    subscribe(n, "orders", actor);
    monitor(n, monitored::group_of("orders"), actor);
    monitor(n, monitored::member("orders", "n1"), actor);
    auto handle = group_handle(n, "orders");
    REQUIRE(eventually([&] { return heard.has("view"); }));
    done(n.delete_group("orders"));
    CHECK(eventually([&] { return heard.has("deleted orders"); }));
    CHECK(eventually([&] { return heard.has("down group deleted"); }));
    CHECK(eventually([&] { return heard.has("down member deleted"); }));
    CHECK_THROWS_AS(group_handle(n, "orders"), node_error);
    caf::anon_send_exit(actor, caf::exit_reason::user_shutdown);
    actor = nullptr;
    handle = nullptr;
    p.nodes.clear();
  }

  TEST_CASE("partitionable groups and plain multicast are created likewise, and what they had on disk is free once deleted") {
    place p(2);
    p.start_all();
    auto& n = *p.nodes[0];
    done(n.create_group("chat", "nobody", contract::multicast(order::causal).with(durability::in_memory).with(partition_policy::partitionable, merge_policy::none)
                                            .with(&contract::single, true)));
    REQUIRE(eventually([&] { return place::hosts(*p.nodes[1], "chat"); }));
    CHECK(eventually([&] { return n.status("chat").members.size() == 2 && p.nodes[1]->status("chat").members.size() == 2; }));
    done(n.create_group("log", "nobody", contract{.single = true}));
    REQUIRE(eventually([&] { return place::hosts(*p.nodes[1], "log"); }));
    for (int i = 0; i < 50; ++i) REQUIRE(n.status("log").group == "log");
    done(p.nodes[1]->delete_group("chat"));
    done(p.nodes[1]->delete_group("log"));
    CHECK(eventually([&] { return n.created_groups().empty(); }));
    p.nodes.clear();
    for (const auto* name : {"n1", "n2"}) {
      const auto v = persistence::verify(p.folder / name);
      CHECK(v.damage == "");
      CHECK(v.groups.size() == 2);  // the program's own and the catalogue's
    }
  }

  TEST_CASE("X3: a created group goes to the disks and comes back with all it had; one that left them is joined and never founded again") {
    place p(3);
    p.start_all();
    const auto all_vote = [&](const std::string& name) {
      return eventually([&] {
        return std::ranges::all_of(p.nodes, [&](auto& n) {
          if (!place::hosts(*n.second, name)) return false;
          const auto s = n.second->status(name);
          return s.members.size() == 3 && std::ranges::all_of(s.members, [](auto& m) { return m.active && m.voter; });
        });
      });
    };
    done(p.nodes[0]->create_group("up", "records", contract{.durability = durability::in_memory}));
    done(p.nodes[0]->create_group("down", "records", contract{}));
    for (const auto* name : {"up", "down"}) {
      REQUIRE(all_vote(name));
      CHECK(place::say(*p.nodes[0], name, "one") != "");
    }
    CHECK(done(p.nodes[1]->change("up", p.nodes[1]->rules("up").with(durability::journaled))) == "");
    CHECK(done(p.nodes[1]->change("down", p.nodes[1]->rules("down").with(durability::in_memory), true)) == "");
    CHECK(eventually([&] { return p.nodes[2]->status("down").durability == "volatile"; }));
    CHECK(place::say(*p.nodes[2], "down", "two") != "");

    p.nodes.erase(2);
    p.start(2);
    CHECK(all_vote("down"));
    CHECK(eventually([&] { return place::count(*p.nodes[2], "down") == "2"; }));
    CHECK(p.nodes[2]->status("down").durability == "volatile");

    CHECK(all_vote("up"));
    p.nodes.clear();
    p.start_all();
    CHECK(all_vote("up"));
    CHECK(eventually([&] { return place::count(*p.nodes[1], "up") == "1"; }));
    CHECK(p.nodes[0]->rules("up").durability == durability::journaled);
    CHECK(place::say(*p.nodes[0], "up", "again") != "");
    // What was in memory is gone with all of its members, and nobody makes it up.
    CHECK(!p.nodes[0]->status("down").founded);
  }
}
