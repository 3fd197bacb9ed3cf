#include "cluster.hpp"

#include <cohort/group.hpp>
#include <cohort/monitor.hpp>
#include <cohort/supervisor.hpp>

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <utility>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// What an actor was sent, in its order: downs, and texts from a listener.
struct heard {
  struct one {
    std::optional<down> gone;
    std::string text;
  };
  std::mutex mutex;
  std::vector<one> all;

  std::optional<down> of(monitor_id id) {
    std::lock_guard guard(mutex);
    for (auto& o : all)
      if (o.gone && o.gone->monitor == id) return o.gone;
    return {};
  }
  std::size_t downs() {
    std::lock_guard guard(mutex);
    return static_cast<std::size_t>(std::ranges::count_if(all, [](auto& o) { return o.gone.has_value(); }));
  }
};

caf::actor spawn_ear(caf::actor_system& system, std::shared_ptr<heard> into) {
  return system.spawn([into](caf::event_based_actor*) -> caf::behavior {
    return {[into](const down& d) {
              std::lock_guard guard(into->mutex);
              into->all.push_back({d, {}});
            },
            [into](const std::string& text) {
              std::lock_guard guard(into->mutex);
              into->all.push_back({{}, text});
            }};
  });
}

/// Waits for the down of `id`.
down got(heard& h, monitor_id id, std::chrono::milliseconds bound = 15s) {
  REQUIRE(eventually([&] { return h.of(id).has_value(); }, bound));
  return *h.of(id);
}

/// Hands each message, and "view" for each view, to an actor.
struct relay final : listener {
  explicit relay(std::shared_ptr<std::atomic<caf::actor*>> to) : to_(std::move(to)) {}
  void deliver(const delivery_batch& b) override {
    const auto* at = reinterpret_cast<const char*>(b.blob.data());
    for (const auto size : b.sizes) say({std::exchange(at, at + size), size});
  }
  void view_changed(const group_view& v) override { say("view " + std::to_string(v.number)); }
  void say(std::string text) {
    if (auto* to = to_->load()) caf::anon_send(*to, std::move(text));
  }
  std::shared_ptr<std::atomic<caf::actor*>> to_;
};

/// What is monitored on a node, without the node.
struct alone {
  caf::actor_system& system() { return *system_; }
  void view(const std::string& group, view_number number, std::vector<group_view::member> members, std::vector<group_view::change> changes,
            bool partitionable = false) {
    group_view v;
    v.number = number;
    v.active_here = true;
    v.members = std::move(members);
    v.changes = std::move(changes);
    all->view(group, v, partitionable);
  }

  std::shared_ptr<detail::monitors> all = std::make_shared<detail::monitors>(
    detail::monitors::facts{[](const std::string&) { return true; }, [](const std::string&) { return true; },
                            [](const std::string&) { return std::optional<child_status>(); }});

private:
  caf::actor_system_config config_;
  std::unique_ptr<caf::actor_system> system_ = std::make_unique<caf::actor_system>(config_);
};

}  // namespace

TEST_SUITE("monitors") {
  TEST_CASE("members: killed, removed by an operator, left; and the order among messages") {
    auto target = std::make_shared<std::atomic<caf::actor*>>(nullptr);
    cluster c(3, {}, [&](node& n, int i) {
      const auto records = [] { return std::make_unique<recorder>(std::make_shared<journal_of_messages>()); };
      n.replicate("room", records, {}, [i, target] {
        return std::make_unique<relay>(i == 0 ? target : std::make_shared<std::atomic<caf::actor*>>(nullptr));
      });
    });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    auto h = std::make_shared<heard>();
    auto ear = spawn_ear(actor_system_of(c.at(0)), h);
    target->store(&ear);
    const auto member = [&](const char* name) { return monitor(c.at(0), monitored::member("room", name), ear); };

    CHECK(c.insist(0, "before") == outcome::replied);
    const auto third = member("n3"), unwanted = member("n3");
    CHECK(demonitor(c.at(0), unwanted));
    CHECK_FALSE(demonitor(c.at(0), unwanted));
    c.kill(2);
    const auto d = got(*h, third);
    CHECK(d.what == down_kind::member);
    CHECK(d.group == "room");
    CHECK(d.name == "n3");
    CHECK(d.reason == down_reason::failed);
    CHECK(d.view > 0);
    CHECK(c.insist(0, "behind") == outcome::replied);
    REQUIRE(eventually([&] {
      std::lock_guard guard(h->mutex);
      return std::ranges::any_of(h->all, [](auto& o) { return o.text == "behind"; });
    }));
    {  // "before", ..., the down, the view without it, ..., "behind"
      std::lock_guard guard(h->mutex);
      const auto place = [&](auto&& is) { return std::ranges::find_if(h->all, is) - h->all.begin(); };
      const auto gone = place([&](auto& o) { return o.gone && o.gone->monitor == third; });
      CHECK(place([](auto& o) { return o.text == "before"; }) < gone);
      CHECK(place([&](auto& o) { return o.text == "view " + std::to_string(d.view); }) == gone + 1);
      CHECK(gone < place([](auto& o) { return o.text == "behind"; }));
    }
    CHECK_FALSE(h->of(unwanted));

    const auto again = got(*h, member("n3"), 1s);  // gone already: at once, with the reason
    CHECK(again.reason == down_reason::failed);
    CHECK(again.view == d.view);
    CHECK(got(*h, member("n9"), 1s).reason == down_reason::unknown);
    CHECK(got(*h, monitor(c.at(0), monitored::member("cellar", "n1"), ear), 1s).reason == down_reason::unknown);

    // The view in which n3 serves is delivered here, where it is monitored, a moment later.
    const auto seen_here = [&] {
      const auto view = "view " + std::to_string(c.at(2).status("room").view);
      std::lock_guard guard(h->mutex);
      return std::ranges::any_of(h->all, [&](auto& o) { return o.text == view; });
    };
    c.start(2);
    REQUIRE(eventually([&] { return c.all_serve() && seen_here(); }));
    const auto barred = member("n3");
    CHECK_FALSE(eventually([&] { return h->of(barred).has_value(); }, 200ms));
    REQUIRE(c.at(0).remove_member("room", "n3").get().done);
    CHECK(got(*h, barred).reason == down_reason::removed);
    REQUIRE(c.at(0).restore_member("room", "n3").get().done);
    REQUIRE(eventually([&] { return c.all_serve() && seen_here(); }, 30s));
    const auto leaver = member("n3");
    REQUIRE(c.at(2).leave("room").get().done);
    CHECK(got(*h, leaver).reason == down_reason::left);

    target->store(nullptr);
    caf::anon_send_exit(ear, caf::exit_reason::user_shutdown);
    ear = nullptr;
  }

  TEST_CASE("nodes and groups") {
    cluster c(3, {});
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    auto h = std::make_shared<heard>();
    auto ear = spawn_ear(actor_system_of(c.at(0)), h);
    const auto second = monitor(c.at(0), monitored::node("n2"), ear), third = monitor(c.at(0), monitored::node("n3"), ear);
    const auto room = monitor(c.at(0), monitored::group_of("room"), ear);
    CHECK(got(*h, monitor(c.at(0), monitored::node("n9"), ear), 1s).reason == down_reason::unknown);
    CHECK(got(*h, monitor(c.at(0), monitored::group_of("cellar"), ear), 1s).reason == down_reason::unknown);
    c.kill(2);
    const auto d = got(*h, third);
    CHECK(d.what == down_kind::node);
    CHECK(d.name == "n3");
    CHECK(d.reason == down_reason::ended);
    CHECK_FALSE(h->of(second));
    CHECK_FALSE(h->of(room));
    CHECK(got(*h, monitor(c.at(0), monitored::node("n3"), ear), 1s).reason == down_reason::ended);
    c.kill(1);
    CHECK(got(*h, second).reason == down_reason::ended);
    CHECK(got(*h, room).reason == down_reason::partitioned);  // one of three is no quorum
    CHECK(got(*h, monitor(c.at(0), monitored::group_of("room"), ear), 1s).reason == down_reason::partitioned);
    c.start(1);
    REQUIRE(eventually([&] { return c.serves(0); }));
    const auto later = monitor(c.at(0), monitored::group_of("room"), ear), up = monitor(c.at(0), monitored::node("n2"), ear);
    CHECK_FALSE(eventually([&] { return h->of(later) || h->of(up); }, 200ms));
    caf::anon_send_exit(ear, caf::exit_reason::user_shutdown);
    ear = nullptr;
  }

  TEST_CASE("actors and children of supervisors") {
    cluster c(1, {});
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    auto& n = c.at(0);
    auto& system = actor_system_of(n);
    auto h = std::make_shared<heard>();
    auto ear = spawn_ear(system, h);
    const auto idle = [&] { return system.spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; }); };
    auto well = idle(), ill = idle();
    const auto first = monitor(n, monitored::process(well), ear), second = monitor(n, monitored::process(ill), ear);
    const auto unwanted = monitor(n, monitored::process(well), ear);
    CHECK(demonitor(n, unwanted));
    caf::anon_send_exit(well, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(ill, caf::exit_reason::kill);
    CHECK(got(*h, first).reason == down_reason::ended);
    CHECK(got(*h, second).reason == down_reason::failed);
    CHECK(got(*h, second).why.find("kill") != std::string::npos);
    CHECK(got(*h, monitor(n, monitored::process(ill), ear), 1s).reason == down_reason::failed);
    CHECK_FALSE(h->of(unwanted));

    auto all = supervisors_of(n);
    supervision_tree shop("shop");
    shop.child("till", [](child_start& at) {
      return at.spawn([](process*) -> caf::behavior {
        return {[](const std::string& what) {
          if (what == "break") throw std::runtime_error("the till broke");
        }};
      });
    }, {.mailbox = {.poison_after = 1}});
    all.start(shop);
    const auto life = monitor(n, monitored::child("shop/till"), ear);
    CHECK_FALSE(eventually([&] { return h->of(life).has_value(); }, 100ms));
    caf::anon_send(all.address("shop/till"), std::string("break"));
    const auto d = got(*h, life);
    CHECK(d.what == down_kind::process);
    CHECK(d.name == "shop/till");
    CHECK(d.reason == down_reason::failed);
    CHECK(d.why.find("the till broke") != std::string::npos);
    const auto next = monitor(n, monitored::child("shop/till"), ear);  // the life that follows
    CHECK_FALSE(eventually([&] { return h->of(next).has_value(); }, 100ms));
    REQUIRE(all.remove("shop/till"));
    CHECK(got(*h, next).reason == down_reason::ended);
    CHECK(got(*h, monitor(n, monitored::child("shop/till"), ear), 1s).reason == down_reason::unknown);
    const auto before = h->downs();
    CHECK_FALSE(eventually([&] { return h->downs() > before; }, 100ms));  // each was told once
    caf::anon_send_exit(ear, caf::exit_reason::user_shutdown);
    ear = nullptr;
    well = ill = nullptr;
  }

  TEST_CASE("what a view tells of a member is the reason of its down") {
    alone on;
    auto h = std::make_shared<heard>();
    auto ear = spawn_ear(on.system(), h);
    using enum change_cause;
    using members = std::vector<group_view::member>;
    struct row {
      members behind;
      std::vector<group_view::change> changes;
      down_reason reason;
      const char* why;
      bool partitionable = false;
    };
    const group_view::member one{"n1", 1, true, true, false, 101}, two{"n2", 1, true, true, false, 102};
    const group_view::member away{"n2", 1, true, false, false, 102}, back{"n2", 2, true, true, false, 102};
    const group_view::member other{"n2", 3, false, true, false, 202};  // another disk under its name
    const row rows[] = {
      {{one, away}, {{"n2", failed}}, down_reason::failed, "failed"},
      {{one}, {{"n2", failed}, {"n2", shrunk}}, down_reason::failed, "failed, shrunk"},
      {{one, away}, {{"n2", excluded}}, down_reason::excluded, "excluded"},
      {{one, away}, {{"n2", cut_off}}, down_reason::cut_off, "cut off"},
      {{one}, {{"n2", left}}, down_reason::left, "left"},
      {{one}, {{"n2", removed}}, down_reason::removed, "removed"},
      {{one, back}, {{"n2", failed}, {"n2", recovered}}, down_reason::recovered, "failed, recovered"},
      {{one, away, other}, {{"n2", failed}, {"n2", joined}}, down_reason::replaced, "failed, joined"},
      {{one, other}, {{"n2", failed}, {"n2", shrunk}, {"n2", joined}}, down_reason::replaced, "failed, shrunk, joined"},
      {{one}, {}, down_reason::partitioned, "it is not in the view", true},
    };
    for (const auto& r : rows) {
      CAPTURE(r.why);
      const std::string g = std::string("g-") + r.why;
      on.view(g, 1, {one, two}, {{"n1", founded}, {"n2", founded}}, r.partitionable);
      const auto first = on.all->add(monitored::member(g, "n1"), ear), second = on.all->add(monitored::member(g, "n2"), ear);
      on.view(g, 2, r.behind, r.changes, r.partitionable);
      const auto d = got(*h, second);
      CHECK(d.reason == r.reason);
      CHECK(d.why == r.why);
      CHECK(d.view == 2);
      CHECK_FALSE(h->of(first));
      CHECK(on.all->remove(first));
    }
    CHECK(on.all->held().watches == 0);
    caf::anon_send_exit(ear, caf::exit_reason::user_shutdown);
    ear = nullptr;
  }

  TEST_CASE("a witness is a member as long as the view has it; a group is down here with the node's replicas, or its place") {
    alone on;
    auto h = std::make_shared<heard>();
    auto ear = spawn_ear(on.system(), h);
    const group_view::member one{"n1", 1, true, true, false, 101}, witness{"w", 0, true, false, true, 103}, later{"w", 4, true, false, true, 103};
    on.view("g", 1, {one, witness}, {});
    const auto w = on.all->add(monitored::member("g", "w"), ear);
    on.view("g", 2, {one, later}, {});
    CHECK_FALSE(eventually([&] { return h->of(w).has_value(); }, 50ms));
    on.view("g", 3, {one}, {{"w", change_cause::left}});
    CHECK(got(*h, w).reason == down_reason::left);

    on.all->primary("g", true);
    const auto place = on.all->add(monitored::group_of("g"), ear);
    group_view out;
    out.number = 4;
    out.members = {one};
    on.all->view("g", out, false);  // this node is not active in it
    CHECK(got(*h, place).reason == down_reason::excluded);
    on.view("g", 5, {one}, {});
    const auto again = on.all->add(monitored::group_of("g"), ear);
    on.all->runtime_ended();
    CHECK(got(*h, again).reason == down_reason::stopped);
    caf::anon_send_exit(ear, caf::exit_reason::user_shutdown);
    ear = nullptr;
  }

  TEST_CASE("nothing is kept of watchers that ended, and one word for each actor that is watched") {
    alone on;
    on.all->node_up("n2");
    const auto idle = [&] { return on.system().spawn([](caf::event_based_actor*) -> caf::behavior { return {[](int) {}}; }); };
    auto watched = idle(), stays = idle();
    for (int i = 0; i < 100; ++i) {
      auto brief = idle();
      on.all->add(monitored::node("n2"), brief);
      on.all->add(monitored::process(watched), brief);
      caf::anon_send_exit(brief, caf::exit_reason::user_shutdown);
    }
    CHECK(eventually([&] { return on.all->held().watches == 0; }));
    CHECK(on.all->held().actors == 1);  // who is watched, or was
    for (int i = 0; i < 100; ++i) CHECK(on.all->remove(on.all->add(monitored::process(watched), stays)));
    CHECK(on.all->held().watches == 0);
    CHECK(on.all->held().actors == 2);
    auto h = std::make_shared<heard>();
    auto ear = spawn_ear(on.system(), h);
    const auto id = on.all->add(monitored::process(watched), ear);
    caf::anon_send_exit(watched, caf::exit_reason::user_shutdown);
    CHECK(got(*h, id).reason == down_reason::ended);
    for (auto* a : {&stays, &ear}) caf::anon_send_exit(*a, caf::exit_reason::user_shutdown);
    CHECK(eventually([&] { return on.all->held().actors == 0; }));
    watched = stays = ear = nullptr;
  }

  TEST_CASE("a node that was not started monitors nothing") {
    node_config config;
    config.name = "n1";
    config.data = "/tmp/none";
    config.members = {{"n1", "127.0.0.1:4711"}};
    config.log_level = "off";
    node n(config);
    CHECK_THROWS_AS(monitor(n, monitored::node("n1"), nullptr), node_error);
  }
}
