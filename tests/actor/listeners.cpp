// What listeners and subscribers are told besides messages and views: contact with a quorum, rules, what came late.
#include "cluster.hpp"

#include "actors/group_rules.hpp"
#include "actors/replica.hpp"

#include "persistence/checkpoints.hpp"

#include <cohort/group.hpp>

#include <caf/all.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <mutex>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// What was told, in its order.
struct story {
  std::mutex mutex;
  std::vector<std::string> all;

  void add(std::string what) {
    std::lock_guard guard(mutex);
    all.push_back(std::move(what));
  }
  bool has(const std::string& what) {
    std::lock_guard guard(mutex);
    return std::ranges::find(all, what) != all.end();
  }
  std::string last() {
    std::lock_guard guard(mutex);
    return all.empty() ? "" : all.back();
  }
};

std::string told_primary(bool primary) { return primary ? "contact" : "no contact"; }

class chronicler final : public listener {
public:
  explicit chronicler(std::shared_ptr<story> out) : out_(std::move(out)) {}
  void deliver(const delivery_batch& b) override {
    for (std::size_t i = 0; i < b.sizes.size(); ++i) out_->add(b.late ? "late message" : "message");
  }
  void view_changed(const group_view& v) override {
    std::string what = "view " + std::to_string(v.number);
    for (const auto& m : v.members)
      if (m.witness) what += ", witness " + m.name;
    for (const auto& c : v.changes) what += ", " + c.name + ' ' + to_string(c.cause);
    out_->add(what);
  }
  void primary_changed(bool primary) override { out_->add(told_primary(primary)); }
  void rules_changed(const contract& now, const std::string& what) override { out_->add("rules: " + std::to_string(now.fail_after.count()) + ": " + what); }

private:
  std::shared_ptr<story> out_;
};

class lateness final : public state_machine {
public:
  explicit lateness(std::shared_ptr<story> out) : out_(std::move(out)) {}
  void apply(const delivery& d, reply&) override { out_->add(d.late ? "applied late" : "applied"); }
  void checkpoint(sink&) const override {}
  void restore(source&) override {}

private:
  std::shared_ptr<story> out_;
};

/// A replica without a node, with a listener beside its state machine.
struct lone_replica {
  lone_replica() {
    entry->name = std::string("g");
    entry->how.compare_every = 0;
    entry->make_listener = [told = told] { return std::make_unique<chronicler>(told); };
    entry->make_machine = [told = told] { return std::make_unique<lateness>(told); };
    services.nodes = std::make_shared<detail::known_nodes>(std::vector<member_config>{{"n1", "127.0.0.1:1"}, {"n2", "127.0.0.1:2"}, {"n3", "127.0.0.1:3"}});
    services.self = member_id(0);
    inside = std::make_unique<detail::replica>(entry, services);
  }
  std::vector<std::string> run(detail::work& w) {
    inside->run(w);
    return std::exchange(told->all, {});
  }

  std::shared_ptr<story> told = std::make_shared<story>();
  std::shared_ptr<detail::group_entry> entry = std::make_shared<detail::group_entry>();
  detail::replica_services services;
  std::unique_ptr<detail::replica> inside;
};

protocol::deliver_batch batch(std::uint64_t position, bool late = false) {
  protocol::deliver_batch b;
  b.position = position;
  b.cls = order::total;
  b.late = late;
  b.what = persistence::one_message(std::vector<std::byte>(3));
  return b;
}

using texts = std::vector<std::string>;

}  // namespace

TEST_SUITE("listeners") {
  TEST_CASE("contact is told before what is delivered since, its loss behind what was delivered before; what is late is marked") {
    lone_replica r;
    detail::work w;
    w.primary = true;
    w.ops.emplace_back(batch(1));
    w.ops.emplace_back(batch(2, true));
    CHECK(r.run(w) == texts{"contact", "message", "applied", "late message", "applied late"});
    detail::work lost;
    lost.primary = false;
    lost.ops.emplace_back(batch(3));
    CHECK(r.run(lost) == texts{"message", "applied", "no contact"});
    detail::work again;
    again.primary = false;  // nothing new
    CHECK(r.run(again) == texts{});
  }

  TEST_CASE("a view is told with its witnesses and causes, and behind it the rules that it brings, once") {
    lone_replica r;
    auto v = std::make_shared<protocol::view>();
    v->number = 7;
    v->options = detail::rules_of(r.entry->how);
    v->options.fail_after = 5s;
    v->roster = {{{member_id(0), 100}, 1, true, true}, {{member_id(1), 101}, 1, true, false}, {{member_id(2), 102}, 0, true, false, true}};
    using protocol::view_cause;
    v->notes = {{{member_id(1), 101}, view_cause::excluded}, {{member_id(1), 101}, view_cause::failed}};
    const auto install = [&] {
      detail::work w;
      protocol::deliver_view d;
      d.what = v;
      d.member = true;
      w.ops.emplace_back(std::move(d));
      return r.run(w);
    };
    auto told = install();
    REQUIRE(told.size() == 2);
    CHECK(told[0] == "view 7, witness n3, n2 cut off");
    CHECK(told[1].starts_with("rules: 5000: "));
    CHECK(told[1].find("fail_after") != std::string::npos);
    v = std::make_shared<protocol::view>(*v);
    v->number = 8;
    v->notes = {{{member_id(1), 101}, view_cause::excluded}};
    CHECK(install() == texts{"view 8, witness n3, n2 excluded"});
  }

  TEST_CASE("contact that is lost and found without a view, and rules that change, are told to listeners and subscribers") {
    std::vector<std::shared_ptr<story>> told;
    for (int i = 0; i < 3; ++i) told.push_back(std::make_shared<story>());
    cluster c(3, {}, [&](node& n, int i) { n.listen("room", [out = told[static_cast<std::size_t>(i)]] { return std::make_unique<chronicler>(out); }); });
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve() && told[0]->has("contact"); }));
    auto heard = std::make_shared<story>();
    auto& system = actor_system_of(c.at(0));
    auto ear = system.spawn([heard](caf::event_based_actor*) -> caf::behavior {
      return {[heard](const group_view& v) { heard->add("view " + std::to_string(v.number)); },
              [heard](const group_primary& p) { heard->add(p.group + ": " + told_primary(p.primary)); },
              [heard](const group_rules_changed& r) { heard->add(r.group + ": " + std::to_string(r.now.fail_after.count()) + " in view " + std::to_string(r.view)); }};
    });
    subscribe(c.at(0), "room", ear, group_news::all);
    CHECK(eventually([&] { return heard->has("room: contact"); }));

    REQUIRE(c.at(1).change("room", c.at(1).rules("room").with(&contract::fail_after, 3000ms)).get().done);
    CHECK_MESSAGE(eventually([&] { return heard->last().starts_with("room: 3000 in view "); }), heard->last());
    for (auto& t : told) CHECK(eventually([&] { return t->last().starts_with("rules: 3000: "); }));

    c.kill(1);
    c.kill(2);
    CHECK(eventually([&] { return told[0]->last() == "no contact" && heard->last() == "room: no contact"; }));
    c.start(1);
    CHECK(eventually([&] {
      std::lock_guard guard(told[0]->mutex);
      const auto lost = std::ranges::find(told[0]->all, "no contact");
      return std::find(lost, told[0]->all.end(), "contact") != told[0]->all.end();
    }));
    CHECK(eventually([&] {  // a new life is told what it cannot know from its configuration
      std::lock_guard guard(told[1]->mutex);
      return std::ranges::count_if(told[1]->all, [](auto& t) { return t.starts_with("rules: 3000: "); }) == 2;
    }));
    caf::anon_send_exit(ear, caf::exit_reason::user_shutdown);
    ear = nullptr;
  }
}
