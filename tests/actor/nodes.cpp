#include "cluster.hpp"

#include <cohort/group.hpp>

#include <doctest/doctest.h>

#include <set>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

contract in_memory() {
  contract c;
  c.durability = durability::in_memory;
  return c;
}

contract journaled() { return {}; }

/// All running nodes hold the same messages, and at least `count`.
bool agree(cluster& c, int size, std::size_t count) {
  return eventually([&] {
    std::optional<std::vector<std::string>> first;
    for (int i = 0; i < size; ++i) {
      if (!c.running(i)) continue;
      auto mine = c.messages(i);
      if (mine.size() < count) return false;
      if (first && *first != mine) return false;
      first = std::move(mine);
    }
    return true;
  });
}

}  // namespace

TEST_SUITE("nodes") {
  TEST_CASE("a group of one founds itself, answers, and keeps its journal") {
    cluster c(1, journaled());
    c.start(0);
    CHECK(c.insist(0, "a") == outcome::replied);
    std::string reply;
    CHECK(c.submit(0, "b", &reply) == outcome::replied);
    CHECK(reply == "b is number 2");
    c.kill(0);
    c.start(0);
    CHECK(c.insist(0, "c") == outcome::replied);
    CHECK(c.messages(0) == std::vector<std::string>{"a", "b", "c"});
  }

  TEST_CASE("three nodes deliver the same, whoever submits; reads see what was written") {
    for (auto how : {in_memory(), journaled()}) {
      cluster c(3, how);
      c.start_all();
      REQUIRE(eventually([&] { return c.all_serve(); }));
      for (int k = 0; k < 10; ++k)
        for (int i = 0; i < 3; ++i) CHECK(c.submit(i, std::to_string(i) + "/" + std::to_string(k)) == outcome::replied);
      for (int i = 0; i < 3; ++i) {
        std::string answer;
        CHECK(c.ask(i, "how many", reads::linearizable, answer) == outcome::replied);
        CHECK(answer == "30");
        CHECK(c.ask(i, "how many", reads::local, answer) == outcome::replied);
      }
      CHECK(agree(c, 3, 30));
      auto s = c.at(0).status("room");
      CHECK(s.members.size() == 3);
      CHECK(s.delivered == 30);
      CHECK_FALSE(s.leader.empty());
    }
  }

  TEST_CASE("application code never runs on the protocol thread") {
    cluster c(3, in_memory());
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    std::set<std::thread::id> protocol;
    for (int i = 0; i < 3; ++i) protocol.insert(c.at(i).internals().protocol_thread());
    REQUIRE(protocol.size() == 3);
    for (int k = 0; k < 200; ++k) CHECK(c.submit(k % 3, std::to_string(k)) == outcome::replied);
    std::string answer;
    CHECK(c.ask(0, "", reads::linearizable, answer) == outcome::replied);
    CHECK(c.ask(0, "", reads::local, answer) == outcome::replied);
    c.kill(2);
    c.start(2);  // makes a checkpoint at one node, restores it at another
    REQUIRE(agree(c, 3, 200));
    for (int i = 0; i < 3; ++i) {
      auto seen = c.seen(i);
      std::lock_guard guard(seen->mutex);
      CHECK(seen->threads.size() >= 1);
      for (auto thread : seen->threads) CHECK(protocol.count(thread) == 0);
    }
  }

  TEST_CASE("one is killed, the others go on, it comes back and catches up") {
    for (auto how : {in_memory(), journaled()}) {
      cluster c(3, how);
      c.start_all();
      REQUIRE(eventually([&] { return c.all_serve(); }));
      for (int k = 0; k < 20; ++k) CHECK(c.submit(k % 3, "before " + std::to_string(k)) == outcome::replied);
      auto leader = c.at(0).status("room").leader;
      int victim = leader.back() - '1';
      c.kill(victim);
      int other = (victim + 1) % 3, third = (victim + 2) % 3;
      std::size_t sure = 20;
      for (int k = 0; k < 20; ++k)
        if (c.insist(k % 2 ? other : third, "without " + std::to_string(k)) == outcome::replied) ++sure;
      CHECK(sure >= 38);
      c.start(victim);
      CHECK(eventually([&] { return c.all_serve(); }));
      CHECK(c.insist(victim, "back") == outcome::replied);
      CHECK(agree(c, 3, sure + 1));
    }
  }

  TEST_CASE("all are killed at once and hold every acknowledged message after the restart") {
    cluster c(3, journaled());
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    for (int k = 0; k < 30; ++k) CHECK(c.submit(k % 3, std::to_string(k)) == outcome::replied);
    auto before = c.messages(0);
    for (int i = 0; i < 3; ++i) c.kill(i);
    c.start_all();
    CHECK(eventually([&] { return c.all_serve(); }));
    CHECK(c.insist(0, "again") == outcome::replied);
    CHECK(agree(c, 3, 31));
    auto after = c.messages(1);
    before.resize(30);
    after.resize(30);
    CHECK(std::multiset<std::string>(before.begin(), before.end()) ==
          std::multiset<std::string>(after.begin(), after.end()));
  }

  TEST_CASE("a volatile group whose members all restarted is not founded again under its epoch") {
    cluster c(1, in_memory());
    c.start(0);
    CHECK(c.insist(0, "a") == outcome::replied);
    c.kill(0);
    c.start(0);
    CHECK(refused(c.submit(0, "b")));
    CHECK(eventually([&] { return c.at(0).status("room").trouble.find("--new-epoch 2") != std::string::npos; }));
    c.kill(0);
    c.start(0, 2);
    CHECK(c.insist(0, "c") == outcome::replied);
    CHECK(c.messages(0) == std::vector<std::string>{"c"});
  }

  TEST_CASE("without a quorum nothing is taken, and nothing is claimed") {
    cluster c(3, journaled());
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    CHECK(c.submit(0, "a") == outcome::replied);
    c.kill(1);
    c.kill(2);
    CHECK(eventually([&] { return !c.serves(0); }));
    CHECK(c.submit(0, "b") == outcome::no_quorum);
    std::string answer;
    CHECK(c.ask(0, "", reads::linearizable, answer) == outcome::no_quorum);
    CHECK(c.ask(0, "", reads::local, answer) == outcome::replied);
    CHECK(answer == "1");
  }

  TEST_CASE("a message under way when the quorum goes ends as unknown within its bound") {
    contract how = journaled();
    how.outcome_bound = 300ms;
    how.election_min = 2s;  // longer than the bound: the leader still believes in its quorum
    how.fail_after = 4s;
    cluster c(3, how);
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    int leader = c.at(0).status("room").leader.back() - '1';
    for (int i = 0; i < 3; ++i)
      if (i != leader) c.kill(i);
    auto begin = std::chrono::steady_clock::now();
    CHECK(c.submit(leader, "a") == outcome::unknown);
    CHECK(std::chrono::steady_clock::now() - begin < 2s);
  }

  TEST_CASE("a state machine that throws is restarted, redoes its messages, and others do not notice") {
    for (auto how : {in_memory(), journaled()}) {
      cluster c(3, how);
      for (int i = 0; i < 3; ++i) c.start(i, 0, {.first_delay = 20ms});
      REQUIRE(eventually([&] { return c.all_serve(); }));
      CHECK(c.submit(0, "a") == outcome::replied);
      c.seen(2)->explosions = 1;
      CHECK(c.submit(0, "boom") == outcome::replied);
      CHECK(c.insist(0, "b") == outcome::replied);
      CHECK(agree(c, 3, 3));
      CHECK(c.messages(2) == std::vector<std::string>{"a", "boom", "b"});
      CHECK(c.at(2).failure().empty());
      // The machine of the first life and those of the next; the port's owner hears `unknown`, never a wrong answer.
      CHECK(c.seen(2)->lives >= 2);
      // A volatile voter that restarts is a new one: until it is promoted the group can't spare another.
      REQUIRE(eventually([&] {
        auto members = c.at(0).status("room").members;
        return members.size() == 3 && std::all_of(members.begin(), members.end(), [](auto& m) { return m.voter && m.active; });
      }));
      c.seen(1)->explosions = 1;
      CHECK(c.insist(1, "boom") == outcome::unknown);
      CHECK(c.insist(1, "c") == outcome::replied);
      CHECK(agree(c, 3, 5));
    }
  }

  TEST_CASE("a state machine that throws always ends its node with a clear message") {
    cluster c(3, journaled());
    for (int i = 0; i < 3; ++i) c.start(i, 0, {.first_delay = 10ms, .failures_max = 2});
    REQUIRE(eventually([&] { return c.all_serve(); }));
    c.seen(2)->explosions = 1000;
    CHECK(c.submit(0, "boom") == outcome::replied);
    CHECK(eventually([&] { return !c.at(2).failure().empty(); }));
    CHECK(c.at(2).failure().find("boom was applied") != std::string::npos);
    CHECK(c.at(2).failure().find("3 times") != std::string::npos);
    CHECK(c.at(2).run() == 1);
    CHECK(c.insist(0, "b") == outcome::replied);
  }

  TEST_CASE("a state machine that throws while the node starts is restarted, too") {
    auto how = journaled();
    how.checkpoint_bytes = 1;
    cluster c(1, how);
    c.start(0);
    REQUIRE(c.insist(0, "boom") == outcome::replied);
    REQUIRE(eventually([&] { return c.at(0).status("room").checkpoint > 0; }));
    c.stop(0);
    c.seen(0)->explosions = 1;
    c.start(0, 0, {.first_delay = 10ms});
    CHECK(c.insist(0, "a") == outcome::replied);
    CHECK(c.messages(0) == std::vector<std::string>{"boom", "a"});
    CHECK(c.seen(0)->restores == 2);
  }

  TEST_CASE("nodes stop in time, and open ports hear of it") {
    cluster c(3, journaled());
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    auto port = c.at(0).port("room");
    std::string text = "a";
    port.submit(std::as_bytes(std::span(text)), 1);
    port.flush();
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 3; ++i) c.at(i).stop();
    CHECK(std::chrono::steady_clock::now() - begin < 8s);
    port.submit(std::as_bytes(std::span(text)), 2);
    port.flush();
    completion_batch done;
    std::map<std::uint64_t, outcome> got;
    CHECK(eventually([&] {
      while (port.take(done))
        for (std::size_t i = 0; i < done.size(); ++i) got[done[i].tag] = done[i].outcome;
      return got.size() == 2;
    }));
    CHECK(got[1] == outcome::replied);
    CHECK(got[2] == outcome::stopped);
  }

  TEST_CASE("a node stops within its limit and with a checkpoint, however long its groups wait for what is under way") {
    cluster c(3, contract{}.with(&contract::outcome_bound, 60s).with(&contract::election_min, 3s).with(&contract::fail_after, 6s));
    c.stop_limit = 4s;
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }, 30s));
    const int leader = c.at(0).status("room").leader.back() - '1';
    for (int n = 0; n < 50; ++n) CHECK(c.insist(leader, std::to_string(n)) == outcome::replied);
    const auto last = c.at(leader).status("room").applied;
    CHECK(c.at(leader).status("room").checkpoint < last);
    auto port = c.at(leader).port("room");
    for (int i = 0; i < 3; ++i)
      if (i != leader) c.kill(i);
    const std::string text = "nobody will ever order this";
    port.submit(std::as_bytes(std::span(text)), 1);
    port.flush();
    const auto begun = std::chrono::steady_clock::now();
    c.stop(leader);
    CHECK(std::chrono::steady_clock::now() - begun < c.stop_limit);
    c.start(leader);
    CHECK(c.at(leader).status("room").checkpoint >= last);
  }

  TEST_CASE("many messages from many ports arrive once each") {
    cluster c(3, in_memory());
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    constexpr int count = 20000;
    std::vector<std::thread> callers;
    std::vector<int> replied(3), other(3);
    for (int i = 0; i < 3; ++i)
      callers.emplace_back([&, i] {
        auto port = c.at(i).port("room");
        std::vector<std::string> texts;
        for (int k = 0; k < count; ++k) texts.push_back(std::to_string(i) + ":" + std::to_string(k));
        completion_batch done;
        std::uint64_t next = 0, answered = 0;
        auto collect = [&] {
          if (!port.take(done)) std::this_thread::yield();
          for (std::size_t k = 0; k < done.size(); ++k) {
            // Answers of writes come in order, with this very message's reply.
            auto& text = texts[done[k].tag];
            std::string reply(reinterpret_cast<const char*>(done[k].reply.data()), done[k].reply.size());
            bool mine = done[k].outcome == outcome::replied && reply.compare(0, text.size() + 1, text + " ") == 0;
            ++(mine && done[k].tag == answered ? replied : other)[i];
            ++answered;
          }
        };
        while (next < count) {
          for (int k = 0; k < 100 && next < count; ++k, ++next) port.submit(std::as_bytes(std::span(texts[next])), next);
          port.flush();
          collect();
        }
        eventually([&] { return collect(), answered == count; });
      });
    for (auto& caller : callers) caller.join();
    for (int i = 0; i < 3; ++i) {
      CHECK(replied[i] == count);
      CHECK(other[i] == 0);
    }
    CHECK(agree(c, 3, 3 * count));
    auto all = c.messages(0);
    CHECK(std::set<std::string>(all.begin(), all.end()).size() == all.size());
  }

  TEST_CASE("the group is an actor, too: requests are answered, views are told") {
    cluster c(3, in_memory());
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    {
      caf::actor_system_config config;
      caf::actor_system system(config);
      caf::scoped_actor self(system);
      auto room = group_handle(c.at(0), "room");
      subscribe(c.at(0), "room", caf::actor_cast<caf::actor>(self));
      bool told = false;
      self->receive([&](const group_view& v) { told = v.members.size() == 3 && v.active_here; },
                    caf::after(std::chrono::seconds(5)) >> [] {});
      CHECK(told);
      std::string answer;
      self->request(room, std::chrono::seconds(5), std::string("hello"))
        .receive([&](const std::string& reply) { answer = reply; }, [](const caf::error&) {});
      CHECK(answer == "hello is number 1");
      c.kill(1);
      c.kill(2);
      CHECK(eventually([&] { return !c.serves(0); }));
      outcome why{};
      self->request(room, std::chrono::seconds(5), std::string("lost"))
        .receive([](const std::string&) {}, [&](const caf::error& e) { why = outcome_of(e); });
      CHECK(why == outcome::no_quorum);
    }
  }

  TEST_CASE("supervised processes come back after an error, one for one, and a normal end stays an end") {
    cluster c(1, in_memory());
    c.start(0, 0, {.first_delay = 10ms});
    std::atomic<int> lives{0}, quiet_lives{0};
    supervise(c.at(0), "worker", [&](caf::actor_system& system) {
      int life = ++lives;
      return system.spawn([life](caf::event_based_actor* self) {
        if (life < 3) self->quit(caf::exit_reason::unhandled_exception);
        else self->become([](int) {});
      });
    });
    supervise(c.at(0), "once", [&](caf::actor_system& system) {
      ++quiet_lives;
      return system.spawn([](caf::event_based_actor* self) { self->quit(); });
    });
    CHECK(eventually([&] { return lives == 3; }));
    std::this_thread::sleep_for(100ms);
    CHECK(lives == 3);
    CHECK(quiet_lives == 1);
    CHECK(c.at(0).failure().empty());
  }
}
