// A singleton that is an actor. The rest is in tests/unit/primary_backup_singleton.cpp and tests/process/hand_run.py.
#include "cluster.hpp"

#include <cohort/group.hpp>
#include <cohort/singleton_actor.hpp>

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <iostream>
#include <mutex>
#include <utility>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// What the lives of one node's instances did.
struct stage {
  std::atomic<int> alive{0}, lives{0}, most{0};
  std::atomic<fencing_token> newest{0};
  std::mutex mutex;
  std::vector<std::string> handled;

  void note(std::string text) {
    std::lock_guard guard(mutex);
    handled.push_back(std::move(text));
  }
  std::vector<std::string> notes() {
    std::lock_guard guard(mutex);
    return handled;
  }
};

/// Answers "TOKEN:LIFE:BODY"; at "boom" its first life fails, at "cursed" every one, "later" is answered behind a while.
class teller final : public process {
public:
  teller(caf::actor_config& config, fencing_token token, std::shared_ptr<stage> s) : process(config), token_(token), stage_(std::move(s)) {
    life_ = ++stage_->lives;
    stage_->most = std::max(stage_->most.load(), ++stage_->alive);
    stage_->newest = std::max(stage_->newest.load(), token);
  }
  ~teller() override { --stage_->alive; }

private:
  caf::behavior make_behavior() override {
    return {
      [this](const singleton_request& r) -> caf::result<std::string> {
        if ((r.body == "boom" && life_ == 1) || r.body == "cursed") throw std::runtime_error("asked to");
        stage_->note(r.body);
        const auto answer = std::to_string(token_) + ':' + std::to_string(life_) + ':' + r.body;
        if (r.body != "later") return answer;
        owed_ = make_response_promise();
        delayed_send(this, 50ms, answer);
        return caf::delegated<std::string>{};
      },
      [this](const std::string& answer) { owed_.deliver(answer); },
    };
  }

  const fencing_token token_;
  const std::shared_ptr<stage> stage_;
  int life_ = 0;
  caf::response_promise owed_;
};

struct teller_of_nobody final : process {
  teller_of_nobody(caf::actor_config& config, fencing_token) : process(config) {}
  caf::behavior make_behavior() override { return {[](const singleton_request&) { return std::string(); }}; }
};

struct tellers {
  std::vector<std::shared_ptr<stage>> stages;
  cluster nodes;

  explicit tellers(int size)
      : nodes(size, in_office(), [this](node& n, int i) {
          spawn_singleton(n, "room", [s = stages[static_cast<std::size_t>(i)]](child_start& at, fencing_token token) { return at.spawn<teller>(token, s); },
                          in_office(), {.child = {.mailbox = {.poison_after = 2}}});
        }) {
    for (int i = 0; i < size; ++i) stages.push_back(std::make_shared<stage>());
    nodes.start_all();
  }
  static contract in_office() { return contract{.single = true}.with(&contract::outcome_bound, 20s); }

  /// Through the handle at that node, until it is taken.
  std::string ask(int i, const std::string& text) {
    caf::scoped_actor self{actor_system_of(nodes.at(i))};
    std::string said;
    CHECK(eventually([&] {
      bool again = false;
      self->request(group_handle(nodes.at(i), "room"), caf::infinite, text)
        .receive([&](const std::string& answer) { said = answer; },
                 [&](const caf::error& why) {
                   again = refused(outcome_of(why));
                   said = to_string(outcome_of(why));
                 });
      return !again;
    }));
    return said;
  }
  int instances() const {
    int all = 0;
    for (const auto& s : stages) all += s->alive;
    return all;
  }
  int in_charge() {
    int found = -1;
    CHECK(eventually([&] {
      for (int i = 0; i < static_cast<int>(stages.size()); ++i)
        if (nodes.running(i) && nodes.at(i).primary("room").executes && stages[static_cast<std::size_t>(i)]->alive == 1) found = i;
      return found >= 0;
    }));
    return found;
  }
};

/// Catches what goes to the standard error output, past all logs; the nodes' logs go elsewhere.
class said_by_libraries {
public:
  said_by_libraries() : file_(std::tmpfile()), before_(::dup(STDERR_FILENO)) {
    std::fflush(stderr);
    ::dup2(::fileno(file_), STDERR_FILENO);
  }
  ~said_by_libraries() {
    give_back();
    std::fclose(file_);
  }
  std::string text() {
    give_back();
    std::string all(1 << 16, 0);
    all.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::pread(::fileno(file_), all.data(), all.size(), 0))));
    return all;
  }

private:
  void give_back() {
    if (before_ < 0) return;
    std::cerr.flush();
    std::fflush(stderr);
    ::dup2(before_, STDERR_FILENO);
    ::close(std::exchange(before_, -1));
  }
  std::FILE* file_;
  int before_;
};

std::string body_of(const std::string& answer) { return answer.substr(answer.rfind(':') + 1); }

}  // namespace

TEST_SUITE("singletons") {
  TEST_CASE("one actor acts in the group, on what is sent to the group's handle anywhere, in order") {
    tellers t(3);
    for (int i = 0; i < 12; ++i) CHECK(body_of(t.ask(i % 3, std::to_string(i))) == std::to_string(i));
    CHECK(t.instances() == 1);
    const int office = t.in_charge();
    auto& here = *t.stages[static_cast<std::size_t>(office)];
    CHECK(here.notes() == std::vector<std::string>{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"});
    CHECK(supervisors_of(t.nodes.at(office)).address("room") != nullptr);

    // An answer that comes later holds up those behind it, and nothing else.
    CHECK(body_of(t.ask((office + 1) % 3, "later")) == "later");
    const auto room = group_handle(t.nodes.at(office), "room");
    for (const auto* text : {"later", "sooner"}) caf::anon_send(room, std::string(text));
    CHECK(eventually([&] { return here.notes().size() >= 15; }));
    const auto all = here.notes();
    CHECK(std::vector<std::string>(all.end() - 2, all.end()) == std::vector<std::string>{"later", "sooner"});
  }

  TEST_CASE("a failure ends a life and not the instance; what fails always is put aside and answered") {
    tellers t(1);
    const auto first = t.ask(0, "a");
    const auto again = t.ask(0, "boom");
    CHECK(body_of(again) == "boom");
    CHECK(first.substr(0, first.find(':')) == again.substr(0, again.find(':')));  // the token is the instance's
    CHECK(t.stages[0]->lives == 2);
    {
      said_by_libraries printed;
      const auto cursed = t.ask(0, "cursed");
      CHECK(cursed.starts_with("failed: "));
      CHECK(eventually([&] { return supervisors_of(t.nodes.at(0)).dead_letters().size() == 1; }));
      CHECK(printed.text().find("cannot serialize") == std::string::npos);  // a request has a type that CAF cannot write down, and is not tried
    }
    CHECK(body_of(t.ask(0, "b")) == "b");
    CHECK(t.stages[0]->most == 1);
    auto all = supervisors_of(t.nodes.at(0));
    CHECK(eventually([&] { return all.dead_letters().size() == 1; }));
    CHECK(t.nodes.at(0).failure() == "");
  }

  TEST_CASE("the next member goes on, with a greater token, when the one in office stops or dies") {
    tellers t(3);
    fencing_token before = 0;
    int asked = 0;
    for (const bool gently : {true, false}) {
      REQUIRE(body_of(t.ask(t.in_charge(), std::to_string(asked))) == std::to_string(asked));
      ++asked;
      const int office = t.in_charge();
      auto& there = *t.stages[static_cast<std::size_t>(office)];
      CHECK(there.newest > before);
      before = there.newest;
      if (gently) t.nodes.stop(office);
      else t.nodes.kill(office);
      CHECK(there.alive == 0);
      const int other = (office + 1) % 3;
      const auto answer = t.ask(other, std::to_string(asked));
      CHECK(body_of(answer) == std::to_string(asked));
      CHECK(std::stoull(answer) > before);
      ++asked;
      t.nodes.start(office);
      CHECK(eventually([&] { return t.nodes.all_serve(); }));
    }
    CHECK(t.instances() == 1);
    for (const auto& s : t.stages) CHECK(s->most <= 1);
  }

  TEST_CASE("groups that are created have one actor each, which goes over at a failure and ends with its group") {
    char name[] = "/tmp/cohort-tellers-XXXXXX";
    REQUIRE(::mkdtemp(name));
    const std::filesystem::path folder = name;
    std::vector<member_config> members;
    for (const auto port : free_ports(3)) members.push_back({"n" + std::to_string(members.size() + 1), "127.0.0.1:" + std::to_string(port)});
    std::vector<std::shared_ptr<stage>> stages;
    std::vector<std::unique_ptr<node>> nodes(3);
    std::mutex mutex;
    std::vector<std::string> paths;  // of the actors that were made
    for (int i = 0; i < 3; ++i) stages.push_back(std::make_shared<stage>());
    const auto start = [&](std::size_t i) {
      node_config c;
      c.name = members[i].name;
      c.data = folder / c.name;
      c.members = members;
      c.catalogue = true;
      c.workers = 2;
      c.log_level = "off";
      nodes[i] = std::make_unique<node>(c);
      nodes[i]->replicate("room", [] { return std::make_unique<recorder>(std::make_shared<journal_of_messages>()); }, contract{});
      register_singleton(*nodes[i], "teller", [&, s = stages[i]](child_start& at, fencing_token token) {
        std::lock_guard guard(mutex);
        paths.push_back(at.path());
        return at.spawn<teller>(token, s);
      });
      CHECK_THROWS_AS(register_singleton<teller_of_nobody>(*nodes[i], "teller"), node_error);
      nodes[i]->start();
    };
    for (std::size_t i = 0; i < 3; ++i) start(i);
    const auto how = contract{}.with(&contract::outcome_bound, 20s);
    const auto instances = [&] {
      int all = 0;
      for (const auto& s : stages) all += s->alive;
      return all;
    };
    const auto ask = [&](std::size_t i, const std::string& group, const std::string& text) {
      std::string said;
      CHECK(eventually([&] {
        try {
          auto port = nodes[i]->port(group);
          completion_batch done;
          port.submit(std::as_bytes(std::span(text)), 0);
          port.flush();
          while (!port.take(done)) std::this_thread::sleep_for(1ms);
          if (refused(done[0].outcome)) return false;
          said.assign(reinterpret_cast<const char*>(done[0].reply.data()), done[0].reply.size());
          return true;
        } catch (const node_error&) {  // the group has not come here yet
          return false;
        }
      }, 30s));
      return said;
    };
    REQUIRE(eventually([&] { return nodes[0]->status("room").primary; }));
    for (const auto* group : {"left", "right"}) {
      const auto made = nodes[0]->create_group(group, "teller", how).get();
      CHECK(made.why.find("is number") != std::string::npos);
      REQUIRE(made.done);
    }
    for (std::size_t i = 0; i < 3; ++i)
      for (const auto* group : {"left", "right"}) CHECK(body_of(ask(i, group, std::to_string(i))) == std::to_string(i));
    CHECK(instances() == 2);
    {
      std::lock_guard guard(mutex);
      CHECK(std::ranges::count(paths, "left") == 1);
      CHECK(std::ranges::count(paths, "right") == 1);
    }
    std::size_t office = 3;
    REQUIRE(eventually([&] {
      for (std::size_t i = 0; i < 3; ++i)
        if (nodes[i]->primary("left").executes) office = i;
      return office < 3;
    }));
    const auto before = std::stoull(ask(office, "left", "x"));
    nodes[office].reset();
    const auto other = (office + 1) % 3;
    CHECK(std::stoull(ask(other, "left", "y")) > before);
    start(office);
    CHECK(eventually([&] { return instances() == 2; }));
    for (const auto* group : {"left", "right"}) CHECK(body_of(ask(office, group, "z")) == "z");
    // With its group goes its actor; under the same name another one begins.
    REQUIRE(nodes[other]->delete_group("left").get().done);
    CHECK(eventually([&] { return instances() == 1; }));
    REQUIRE(eventually([&] { return nodes[other]->create_group("left", "teller", how).get().done; }));
    CHECK(body_of(ask(other, "left", "anew")) == "anew");
    CHECK(eventually([&] { return instances() == 2; }));
    for (auto& n : nodes) n.reset();
    CHECK(instances() == 0);
    for (const auto& s : stages) CHECK(s->most <= 2);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }

  TEST_CASE("what makes no sense is refused before the node starts") {
    cluster c(1, contract{}.with(durability::in_memory), [](node& n, int) {
      const auto make = [](child_start& at, fencing_token token) { return at.spawn<teller>(token, std::make_shared<stage>()); };
      CHECK_THROWS_AS(spawn_singleton(n, "a b", make), node_error);
      CHECK_THROWS_AS(spawn_singleton(n, "room", singleton_actor_factory()), node_error);
      CHECK_THROWS_AS(spawn_singleton(n, "room", make, {}, {.child = {.restart = restart_type::transient}}), node_error);
      spawn_singleton(n, "room", make, contract{.durability = durability::in_memory, .single = true});
    });
    c.start(0);
    CHECK(eventually([&] { return c.serves(0); }));
  }
}
