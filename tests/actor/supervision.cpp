// Supervised processes in a running node: real actors, real restarts.
#include "cluster.hpp"

#include <cohort/group.hpp>
#include <cohort/supervisor.hpp>

#include <caf/all.hpp>

#include <doctest/doctest.h>

#include <fstream>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

using go_atom = caf::atom_constant<caf::atom("go")>;

contract in_memory() {
  contract how;
  how.durability = durability::in_memory;
  return how;
}

/// What children did, in order.
struct diary {
  std::mutex mutex;
  std::vector<std::string> lines;
  void write(const std::string& line) {
    std::lock_guard guard(mutex);
    lines.push_back(line);
  }
  std::string text() {
    std::lock_guard guard(mutex);
    std::string all;
    for (auto& l : lines) all += (all.empty() ? "" : " ") + l;
    return all;
  }
  void clear() {
    std::lock_guard guard(mutex);
    lines.clear();
  }
};

/// "boom" makes it throw, "poison" too; numbers are answered with their sum in this life.
class worker final : public process {
public:
  worker(caf::actor_config& config, std::string name, std::shared_ptr<diary> out)
      : process(config), name_(std::move(name)), out_(std::move(out)) {}
  ~worker() override = default;

protected:
  caf::behavior make_behavior() override {
    out_->write("+" + name_);
    return {
      [this](const std::string& text) {
        if (text == "boom" || text == "poison") throw std::runtime_error("cannot digest " + text);
        out_->write(name_ + ":" + text);
        return text;
      },
      [this](int n) { return sum_ += n; },
    };
  }
  void on_exit() override { out_->write("-" + name_); }

private:
  std::string name_;
  std::shared_ptr<diary> out_;
  int sum_ = 0;
};

child_factory makes(const std::string& name, const std::shared_ptr<diary>& out) {
  return [=](child_start& at) { return at.spawn<worker>(name, out); };
}

struct fixture {
  cluster c{1, in_memory()};
  std::shared_ptr<diary> out = std::make_shared<diary>();
  fixture() { c.start(0, 0, {.first_delay = 10ms}); }
  supervisors all() { return supervisors_of(c.at(0)); }
  caf::actor_system& system() { return actor_system_of(c.at(0)); }
  std::string state(const std::string& path) {
    for (auto& s : all().children())
      if (s.path == path) return s.state;
    return "none";
  }
  child_status status(const std::string& path) {
    for (auto& s : all().children())
      if (s.path == path) return s;
    return {};
  }
  bool all_up(std::initializer_list<const char*> paths) {
    return eventually([&] { return std::all_of(paths.begin(), paths.end(), [&](auto p) { return state(p) == "up"; }); });
  }
};

}  // namespace

TEST_SUITE("supervision") {
  TEST_CASE("a tree starts in its order, restarts by its strategy, and stops in the reverse order") {
    fixture f;
    supervision_tree tree("shop", {.strategy = restart_strategy::rest_for_one});
    tree.child("a", makes("a", f.out)).child("b", makes("b", f.out)).child("c", makes("c", f.out));
    f.all().start(tree);
    CHECK(f.all_up({"shop", "shop/a", "shop/b", "shop/c"}));
    CHECK(f.out->text() == "+a +b +c");
    f.out->clear();
    caf::anon_send_exit(f.all().address("shop/b"), caf::exit_reason::kill);
    CHECK(eventually([&] { return f.out->text() == "-b -c +b +c"; }));
    CHECK(f.all_up({"shop/a", "shop/b", "shop/c"}));
    CHECK(f.status("shop/b").restarts == 1);
    CHECK(f.status("shop/c").restarts == 0);
    CHECK(f.status("shop/c").lives == 2);
    f.out->clear();
    CHECK(f.all().remove("shop"));
    CHECK(eventually([&] { return f.out->text() == "-c -b -a"; }));
    CHECK(eventually([&] { return f.all().children().size() == 1; }));  // the node's own replicas
    CHECK_FALSE(f.all().remove("shop"));
  }

  TEST_CASE("nested: a supervisor that gives up is started again by its parent; names and addresses are the same") {
    fixture f;
    supervision_tree inner("inner", {.limits = {.first_delay = 1ms, .failures_max = 2, .at_once = 5}});
    inner.child("x", makes("x", f.out)).child("y", makes("y", f.out));
    supervision_tree outer("outer", {.strategy = restart_strategy::one_for_all});
    outer.child("a", makes("a", f.out)).branch(inner);
    f.all().start(outer);
    REQUIRE(f.all_up({"outer", "outer/a", "outer/inner", "outer/inner/x", "outer/inner/y"}));
    auto x = f.all().address("outer/inner/x");
    f.out->clear();
    for (int i = 0; i < 3; ++i) {
      const auto lives = f.status("outer/inner/x").lives;
      caf::anon_send_exit(x, caf::exit_reason::kill);
      // An exit message is for whoever lives: one that comes between two lives reaches nobody.
      CHECK(eventually([&] {
        const auto now = f.status("outer/inner/x");
        return (now.lives != lives && now.state == "up") || i == 2;
      }));
    }
    // The third failure is one too many: inner stops, outer stops the rest and starts all.
    CHECK(eventually([&] { return f.out->text().ends_with("+a +x +y"); }));
    CHECK(f.out->text() == "-x +x -x +x -x -y -a +a +x +y");
    CHECK(f.all().address("outer/inner/x") == x);
    caf::scoped_actor self{f.system()};
    self->request(x, 5s, 7).receive([](int sum) { CHECK(sum == 7); }, [](const caf::error& e) { FAIL(caf::to_string(e)); });
    CHECK(f.all().counters().gave_up == 1);
    CHECK(f.c.at(0).failure().empty());
  }

  TEST_CASE("escalation up to the node stops it, and says which child, how often and why") {
    cluster c(1, in_memory());
    c.start(0, 0, {.first_delay = 1ms, .failures_max = 1});
    auto out = std::make_shared<diary>();
    supervision_tree tree("fragile", {.limits = {.failures_max = 0}});
    tree.child("bad", [](child_start&) -> caf::actor { throw std::runtime_error("no such luck"); });
    supervisors_of(c.at(0)).start(tree);
    CHECK(eventually([&] { return !c.at(0).failure().empty(); }));
    CHECK(c.at(0).failure().find("fragile failed 2 times within 60 s") != std::string::npos);
    CHECK(c.at(0).failure().find("no such luck") != std::string::npos);
  }

  TEST_CASE("an exception is an event with cause, message and stack, and a mailbox survives it") {
    fixture f;
    f.all().start("", "w", makes("w", f.out), {.mailbox = {.poison_after = 1}});
    auto w = f.all().address("w");
    REQUIRE(w);
    for (auto text : {"one", "boom", "two", "three"}) caf::anon_send(w, std::string(text));
    CHECK(eventually([&] { return f.out->text() == "+w w:one -w +w w:two w:three"; }));
    CHECK(eventually([&] { return f.status("w").restarts == 1; }));
    const auto s = f.status("w");
    CHECK(s.last_cause == "cannot digest boom");
    CHECK(s.lives == 2);
    CHECK(s.last_stack.size() > 3);
    auto events = f.all().events();
    const auto restart = std::find_if(events.begin(), events.end(), [](auto& e) { return e.what == "restarts"; });
    REQUIRE(restart != events.end());
    CHECK(restart->path == "w");
    CHECK(restart->message.find("boom") != std::string::npos);
    CHECK(restart->restarts == 1);
    CHECK(restart->age > 0ns);
    CHECK(f.all().counters().restarts == 1);
  }

  TEST_CASE("a request that meets a failure is answered by the next life") {
    fixture f;
    auto lives = std::make_shared<std::atomic<int>>(0);
    f.all().start("", "shy", [lives](child_start& at) {
      return at.spawn([life = ++*lives](process*) -> caf::behavior {
        return {[life](int n) {
          if (life < 3) throw std::runtime_error("not yet");
          return n + life;
        }};
      });
    });
    caf::scoped_actor self{f.system()};
    self->request(f.all().address("shy"), 10s, 40)
      .receive([](int n) { CHECK(n == 43); }, [](const caf::error& e) { FAIL(caf::to_string(e)); });
    CHECK(*lives == 3);
  }

  TEST_CASE("poison: after k lives it is a dead letter, which can be listed, replayed and dropped") {
    fixture f;
    auto cured = std::make_shared<std::atomic<bool>>(false);
    auto handled = std::make_shared<std::atomic<int>>(0);
    f.all().start("", "eater", [=](child_start& at) {
      return at.spawn([=](process*) -> caf::behavior {
        return {[=](const std::string& meal) {
                  if (meal == "poison" && !*cured) throw std::invalid_argument("poisoned");
                  ++*handled;
                },
                [](int n) { return n; }};
      });
    }, {.mailbox = {.poison_after = 3}});
    auto eater = f.all().address("eater");
    caf::anon_send(eater, std::string("bread"));
    caf::anon_send(eater, std::string("poison"));
    caf::anon_send(eater, std::string("cheese"));
    CHECK(eventually([&] { return *handled == 2; }));
    auto letters = f.all().dead_letters();
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].path == "eater");
    CHECK(letters[0].kills == 3);
    CHECK(letters[0].cause == "poisoned");
    CHECK(letters[0].message.find("poison") != std::string::npos);
    CHECK(letters[0].replayable);
    CHECK(eventually([&] { return f.all().counters().poison == 1; }));
    CHECK(f.status("eater").restarts == 3);

    *cured = true;
    CHECK(f.all().replay(letters[0].number) == "");
    CHECK(eventually([&] { return *handled == 3; }));
    CHECK(f.all().dead_letters().empty());
    CHECK(f.all().replay(letters[0].number).find("no dead letter") != std::string::npos);
  }

  TEST_CASE("dead letters survive the node; what CAF can read back is replayed") {
    fixture f;
    auto blind = [](child_start& at) {
      return at.spawn([](process*) -> caf::behavior { return {[](const std::string&) { throw std::runtime_error("no"); }}; });
    };
    auto got = std::make_shared<std::promise<std::string>>();
    auto future = got->get_future();
    f.all().start("", "p", blind, {.mailbox = {.poison_after = 1}});
    caf::anon_send(f.all().address("p"), std::string("kept"));
    CHECK(eventually([&] { return f.all().dead_letters().size() == 1; }));
    f.c.stop(0);
    f.c.start(0, 2, {.first_delay = 10ms});
    auto letters = f.all().dead_letters();
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].cause == "no");
    CHECK(f.all().replay(letters[0].number).find("there is no child at p now") != std::string::npos);
    f.all().start("", "p", [got](child_start& at) {
      return at.spawn([got](process*) -> caf::behavior { return {[got](const std::string& s) { got->set_value(s); }}; });
    });
    CHECK(f.all().replay(letters[0].number) == "");
    REQUIRE(future.wait_for(10s) == std::future_status::ready);
    CHECK(future.get() == "kept");
    CHECK_FALSE(f.all().drop(letters[0].number));
  }

  TEST_CASE("a child that is slow to start, one that says when it is up, and one that dies while starting") {
    fixture f;
    std::promise<caf::actor> made;
    supervision_tree tree("slow");
    tree.child("first",
               [&](child_start& at) {
                 auto me = at.spawn([](process* self) -> caf::behavior {
                   self->starts_later();
                   return {[self](go_atom) { self->is_up(); }};
                 });
                 made.set_value(me);
                 return me;
               })
      .child("second", makes("second", f.out));
    std::thread starter([&] { f.all().start(tree); });  // which waits until all of it is up
    auto first = made.get_future().get();
    std::this_thread::sleep_for(50ms);
    CHECK(f.state("slow/first") == "starting");
    CHECK(f.out->text() == "");
    caf::anon_send(first, go_atom::value);
    starter.join();
    for (auto path : {"slow", "slow/first", "slow/second"}) CHECK(f.state(path) == "up");

    auto tries = std::make_shared<std::atomic<int>>(0);
    f.all().start("", "late", [tries](child_start& at) {
      return at.spawn([life = ++*tries](process* self) -> caf::behavior {
        if (life == 1) self->starts_later();
        if (life == 2) throw std::runtime_error("dies while starting");
        return {[](int n) { return n; }};
      });
    }, {.start_limit = 100ms});
    CHECK(f.all_up({"late"}));
    CHECK(*tries == 3);
    CHECK(f.all().counters().start_late == 1);
    CHECK(f.status("late").last_cause == "dies while starting");
  }

  TEST_CASE("dynamic children come and go; transient and temporary ends are final") {
    fixture f;
    f.all().start(supervision_tree("sessions", {.strategy = restart_strategy::dynamic}));
    for (int i = 0; i < 50; ++i) f.all().start("sessions", "s" + std::to_string(i), makes("s" + std::to_string(i), f.out));
    CHECK(eventually([&] { return f.state("sessions/s49") == "up"; }));
    CHECK_THROWS_AS(f.all().start("sessions", "s7", makes("s7", f.out)), node_error);
    CHECK_THROWS_AS(f.all().start("nowhere", "s7", makes("s7", f.out)), node_error);
    CHECK(f.all().remove("sessions/s7"));
    CHECK(eventually([&] { return f.state("sessions/s7") == "none"; }));

    auto ends = [](restart_type type) {
      return std::pair{[](child_start& at) {
                         return at.spawn([](process* self) -> caf::behavior { return {[self](go_atom) { self->quit(); }}; });
                       },
                       child_options{.restart = type}};
    };
    auto [make_one, once] = ends(restart_type::transient);
    f.all().start("sessions", "once", make_one, once);
    auto once_at = f.all().address("sessions/once");
    caf::anon_send(once_at, go_atom::value);
    CHECK(eventually([&] { return f.state("sessions/once") == "ended"; }));
    caf::scoped_actor self{f.system()};
    bool refused = false;
    self->request(once_at, 5s, go_atom::value).receive([] {}, [&](const caf::error&) { refused = true; });
    CHECK(refused);
    CHECK(f.all().start_again("sessions/once"));
    CHECK(eventually([&] { return f.state("sessions/once") == "up"; }));
    CHECK_FALSE(f.all().start_again("sessions/once"));

    auto [make_other, brief] = ends(restart_type::temporary);
    f.all().start("sessions", "brief", make_other, brief);
    auto brief_at = f.all().address("sessions/brief");
    self->monitor(brief_at);
    caf::anon_send(brief_at, go_atom::value);
    CHECK(eventually([&] { return f.state("sessions/brief") == "none"; }));
    bool down = false;
    self->receive([&](const caf::down_msg&) { down = true; }, caf::after(10s) >> [] {});
    CHECK(down);
  }

  TEST_CASE("stop limits: who does not end when asked is killed, and who cannot be killed is said") {
    fixture f;
    f.all().start("", "deaf", [](child_start& at) {
      return at.spawn([](process* self) -> caf::behavior {
        self->set_exit_handler([](const caf::exit_msg&) {});
        return {[](int n) { return n; }};
      });
    }, {.stop_limit = 50ms});
    CHECK(f.all_up({"deaf"}));
    CHECK(f.all().remove("deaf"));
    CHECK(eventually([&] { return f.state("deaf") == "none"; }));
    CHECK(f.all().counters().stop_late == 1);

    auto release = std::make_shared<std::atomic<bool>>(false);
    supervision_tree tree("hard", {.kill_limit = 50ms});
    tree.child("stuck", [release](child_start& at) {
      return at.spawn([release](process*) -> caf::behavior {
        return {[release](int) {
          while (!*release) std::this_thread::sleep_for(1ms);
        }};
      });
    }, {.stop_limit = 50ms});
    f.all().start(tree);
    caf::anon_send(f.all().address("hard/stuck"), 1);
    std::this_thread::sleep_for(20ms);
    CHECK(f.all().remove("hard"));  // a worker of the node is stuck: the supervisors have a thread of their own
    CHECK(eventually([&] { return f.all().counters().stuck == 1; }));
    *release = true;
  }

  TEST_CASE("a plain CAF actor is supervised, too") {
    fixture f;
    auto lives = std::make_shared<std::atomic<int>>(0);
    f.all().start("", "plain", [lives](child_start& at) {
      ++*lives;
      return at.system().spawn([](caf::event_based_actor*) -> caf::behavior {
        return {[](int) { throw std::runtime_error("out"); }};
      });
    });
    CHECK(f.all_up({"plain"}));
    CHECK_FALSE(f.all().address("plain"));
  }

  TEST_CASE("a tree is refused if it makes no sense") {
    CHECK_THROWS_AS(supervision_tree("a/b"), node_error);
    CHECK_THROWS_AS(supervision_tree(""), node_error);
    supervision_tree t("t");
    auto none = [](child_start&) { return caf::actor(); };
    CHECK_THROWS_AS(t.child("x", child_factory()), node_error);
    CHECK_THROWS_AS(t.child("x", none, {.mailbox = {.messages_max = 0}}), node_error);
    CHECK_THROWS_AS(t.child("x", none, {.mailbox = {.poison_after = 0}}), node_error);
    t.child("x", none);
    CHECK_THROWS_AS(t.child("x", none), node_error);
    CHECK_THROWS_AS(t.branch(supervision_tree("x")), node_error);
  }
}

namespace {

/// Anonymous memory of this process in KiB.
long memory_kib() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
  return 0;
}

/// Handles strings slowly, until it is told to hurry.
child_factory slow(std::shared_ptr<std::atomic<int>> done, std::shared_ptr<std::atomic<bool>> hurry) {
  return [=](child_start& at) {
    return at.spawn([=](process*) -> caf::behavior {
      return {[=](const std::string&) {
        if (!*hurry) std::this_thread::sleep_for(1ms);
        ++*done;
      }};
    });
  };
}

}  // namespace

TEST_SUITE("mailboxes") {
  TEST_CASE("the overflow policies: who is told, and what is lost") {
    fixture f;
    auto gate = std::make_shared<std::atomic<bool>>(false);
    auto seen = std::make_shared<diary>();
    auto make = [=](child_start& at) {
      return at.spawn([=](process* self) -> caf::behavior {
        self->starts_later();
        return {[=](const std::string& s) {
                  while (!*gate) std::this_thread::sleep_for(1ms);
                  seen->write(s);
                },
                [](int n) { return n; }};
      });
    };
    caf::scoped_actor self{f.system()};
    for (auto policy : {overflow::drop_oldest, overflow::drop_newest, overflow::fail, overflow::block}) {
      CAPTURE(static_cast<int>(policy));
      *gate = false;
      seen->clear();
      f.all().start("", "box", make, {.start_limit = 60s, .mailbox = {.messages_max = 3, .overflow = policy}});
      auto box = f.all().address("box");
      self->send(box, std::string("in work"));
      CHECK(eventually([&] { return f.status("box").mailbox.waiting == 0; }));
      for (auto text : {"1", "2", "3", "4"}) self->send(box, std::string(text));
      bool full = false;
      if (policy != overflow::drop_oldest)
        self->request(box, 5s, 1).receive([](int) {}, [&](const caf::error& e) { full = is_mailbox_full(e); });
      CHECK(full == (policy != overflow::drop_oldest));
      const auto figures = f.status("box").mailbox;
      CHECK(figures.waiting == 3);
      CHECK(figures.waiting_most == 3);
      *gate = true;
      const std::string expected = policy == overflow::drop_oldest ? "in work 2 3 4" : "in work 1 2 3";
      CHECK(eventually([&] { return seen->text() == expected; }));
      CHECK(figures.dropped == (policy == overflow::drop_oldest ? 1 : 0));
      CHECK(figures.refused == (policy == overflow::drop_oldest ? 0 : 2));
      if (policy == overflow::fail || policy == overflow::block) {
        bool told = false;
        self->receive([&](caf::error& e) { told = is_mailbox_full(e); }, caf::after(5s) >> [] {});
        CHECK(told);
      }
      CHECK(f.all().remove("box"));
      CHECK(eventually([&] { return f.state("box") == "none"; }));
    }
  }

  TEST_CASE("the system's lane goes first: exits, time-outs and messages of high priority pass a full mailbox") {
    fixture f;
    auto gate = std::make_shared<std::atomic<bool>>(false);
    auto seen = std::make_shared<diary>();
    f.all().start("", "lanes", [=](child_start& at) {
      return at.spawn([=](process*) -> caf::behavior {
        return {[=](const std::string& s) {
          while (!*gate) std::this_thread::sleep_for(1ms);
          seen->write(s);
        }};
      });
    }, {.mailbox = {.messages_max = 2, .overflow = overflow::drop_newest}});
    auto lanes = f.all().address("lanes");
    caf::scoped_actor self{f.system()};
    for (auto text : {"work", "1", "2", "3"}) {
      self->send(lanes, std::string(text));
      if (text == std::string("work")) CHECK(eventually([&] { return f.status("lanes").mailbox.waiting == 0; }));
    }
    self->send<caf::message_priority::high>(lanes, std::string("urgent"));
    *gate = true;
    CHECK(eventually([&] { return seen->text() == "work urgent 1 2"; }));
  }

  TEST_CASE("a slow receiver at full load: memory is bounded, senders are held to its pace, nothing is lost") {
    fixture f;
    auto done = std::make_shared<std::atomic<int>>(0);
    auto hurry = std::make_shared<std::atomic<bool>>(false);
    constexpr int messages_max = 100;
    f.all().start("", "slow", slow(done, hurry), {.mailbox = {.messages_max = messages_max}});
    auto target = f.all().address("slow");
    // Each turn sends ten messages of 10 KiB and itself the next turn, as fast as it is let.
    auto sent = std::make_shared<std::atomic<int>>(0);
    auto stop = std::make_shared<std::atomic<bool>>(false);
    const auto before = memory_kib();
    for (int i = 0; i < 3; ++i)
      f.all().start("", "feeder" + std::to_string(i), [=](child_start& at) {
        return at.spawn([=](process* self) -> caf::behavior {
          self->send(self, go_atom::value);
          return {[=](go_atom) {
            if (*stop) return;
            for (int n = 0; n < 10; ++n) {
              self->send(target, std::string(10'240, 'x'));
              ++*sent;
            }
            self->send(self, go_atom::value);
          }};
        });
      });
    long most = 0;
    const auto end = std::chrono::steady_clock::now() + 3s;
    while (std::chrono::steady_clock::now() < end) {
      most = std::max(most, memory_kib() - before);
      std::this_thread::sleep_for(5ms);
    }
    const auto figures = f.status("slow").mailbox;
    CHECK(*done > 100);
    CHECK(figures.held_back > 3);
    // Over the bound at most by what each of the three sends in the turn that fills it.
    CHECK(figures.waiting_most <= messages_max + 30);
    CHECK(figures.refused + figures.dropped == 0);
    CHECK(most < 20'000);
    MESSAGE("sent " << *sent << " messages of 10 KiB in 3 s, most waiting " << figures.waiting_most << ", memory grew by at most "
                    << most << " KiB");
    *hurry = true;
    *stop = true;
    CHECK(eventually([&] { return *done == *sent; }));
  }

  TEST_CASE("two that fill each other go on, at the pace of the hold limit") {
    fixture f;
    auto turns = std::make_shared<std::atomic<int>>(0);
    child_options how{.mailbox = {.messages_max = 2, .hold_limit = 50ms}};
    // Each answers through its own life's address, so the holding back is of a process.
    auto self_made = [=](const std::string& peer, supervisors all) {
      return [=](child_start& at) {
        return at.spawn([=](process* self) -> caf::behavior {
          return {[=](int n) mutable {
            ++*turns;
            for (int i = 0; i < 3; ++i) self->send(all.address(peer), n);
          }};
        });
      };
    };
    f.all().start("", "ping", self_made("pong", f.all()), how);
    f.all().start("", "pong", self_made("ping", f.all()), how);
    caf::anon_send(f.all().address("ping"), 1);
    const auto grown = [&] {
      const int before = *turns;
      return eventually([&] { return *turns > before + 4; }, 5s);
    };
    CHECK(grown());
    CHECK(grown());
    f.all().remove("ping");
    f.all().remove("pong");
  }

  TEST_CASE("a skipped message waits for the behaviour it is for; an awaited answer lets the others wait") {
    fixture f;
    auto seen = std::make_shared<diary>();
    f.all().start("", "echo", [](child_start& at) {
      return at.spawn([](process*) -> caf::behavior { return {[](int n) { return n; }}; });
    });
    auto echo = f.all().address("echo");
    f.all().start("", "picky", [=](child_start& at) {
      return at.spawn([=](process* self) -> caf::behavior {
        self->set_default_handler(caf::skip);
        return {[=](int n) {
          seen->write("int " + std::to_string(n));
          self->request(echo, 5s, n).await([=](int back) {
            seen->write("back " + std::to_string(back));
            self->become([=](const std::string& s) { seen->write(s); });
          });
        }};
      });
    });
    auto picky = f.all().address("picky");
    caf::anon_send(picky, std::string("x"));
    caf::anon_send(picky, 1);
    caf::anon_send(picky, std::string("y"));
    CHECK(eventually([&] { return seen->text() == "int 1 back 1 x y"; }));
    CHECK(seen->text() == "int 1 back 1 x y");
  }
}
