// Rules of partitionable groups that change while they work: the core alone.
#include "framework/protocol/partition/core.hpp"
#include "framework/protocol/partition/mistakes.hpp"
#include "tests/sim/partition_scribe.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

namespace {

using namespace cohort;
using namespace cohort::test::partition;
using protocol::change_kind;
using protocol::event_kind;
using protocol::submit_status;
using std::chrono::milliseconds;

/// A process that has heard of nobody.
struct hermit {
  pp::core_options options;
  pp::core core;
  milliseconds now{1};
  std::vector<protocol::event> told;  ///< what came of changes
  std::vector<pp::component_ptr> views;

  static pp::core_options causal_one() {
    pp::core_options o;
    o.orders = order_set{order::causal, order::safe_causal};
    o.default_order = order::causal;
    o.message_bytes_max = 1000;
    return o;
  }
  hermit() : options(causal_one()), core(options, {{A.member, 1}, A.inc, {A.member, B.member}, true}) {
    live(milliseconds(1));
  }
  void live(milliseconds time) {
    for (const auto until = now + time; now < until;) {
      now += milliseconds(10);
      core.tick(now, wall_time(std::chrono::microseconds(now).count()));
      core.drain();
      for (const auto& e : core.out().events)
        if (e.kind == event_kind::change_done || e.kind == event_kind::change_refused) told.push_back(e);
      for (const auto& op : core.out().deliveries)
        if (const auto* v = std::get_if<protocol::deliver_component>(&op)) views.push_back(v->what);
      core.drained();
    }
  }
  submit_status submit(order how, std::size_t bytes = 10) {
    const std::vector<std::byte> text(bytes);
    const std::span<const std::byte> one(text);
    return core.submit({&one, 1}, how);
  }
};

}  // namespace

TEST_SUITE("partition rules") {
  TEST_CASE("a change is a view, and holds from it on") {
    hermit h;
    auto wanted = h.core.rules();
    wanted.orders.add(order::total);
    wanted.default_order = order::total;
    wanted.message_bytes_max = 2000;
    CHECK(h.submit(order::total) == submit_status::not_enabled);
    CHECK(h.submit(order::causal, 1500) == submit_status::too_large);
    CHECK_FALSE(h.core.refuses(change_kind::options, wanted));
    const auto id = h.core.request(wanted);
    CHECK(h.core.rules().default_order == order::causal);
    h.live(milliseconds(500));
    REQUIRE(h.told.size() == 1);
    CHECK(h.told[0].kind == event_kind::change_done);
    CHECK(h.told[0].number == id);
    CHECK(h.core.rules() == wanted);
    CHECK(h.views.back()->rules.options == wanted);
    CHECK(h.views.back()->rules.since == h.views.back()->id);
    CHECK(h.submit(order::total) == submit_status::taken);
    CHECK(h.submit(order::causal, 1500) == submit_status::taken);
    // Smaller again: those that were taken may still be under way, somewhere.
    wanted.message_bytes_max = 500;
    h.core.request(wanted);
    h.live(milliseconds(500));
    CHECK(h.submit(order::causal, 1500) == submit_status::too_large);
    CHECK(h.views.back()->rules.largest_message == 2000);
    CHECK(pp::as_view(*h.views.back())->largest_message == 2000);
  }

  TEST_CASE("what is in force already is done at once; several are made one after another") {
    hermit h;
    const auto before = h.views.size();
    const auto same = h.core.request(h.core.rules());
    h.live(milliseconds(10));
    REQUIRE(h.told.size() == 1);
    CHECK(h.told[0].number == same);
    CHECK(h.views.size() == before);
    auto first = h.core.rules(), second = first;
    first.lane_window /= 2;
    second.lane_window *= 2;
    h.core.request(first);
    const auto last = h.core.request(second);
    h.live(milliseconds(1000));
    REQUIRE(h.told.size() == 3);
    CHECK(h.told.back().kind == event_kind::change_done);
    CHECK(h.told.back().number == last);
    CHECK(h.views.size() == before + 2);
    CHECK(h.core.rules() == second);
  }

  TEST_CASE("what contradicts itself, and what has no effect here, is refused") {
    hermit h;
    const auto refused = [&](auto change) {
      auto wanted = h.core.rules();
      change(wanted);
      const auto* why = h.core.refuses(change_kind::options, wanted);
      return std::string(why ? why : "");
    };
    const std::string contradict = "the options contradict each other";
    CHECK(refused([](auto& o) { o.default_order = order::total; }) == contradict);
    CHECK(refused([](auto& o) { o.orders = {}; }) == contradict);
    CHECK(refused([](auto& o) { o.heartbeat = protocol::duration(0); }) == contradict);
    CHECK(refused([](auto& o) { o.fail_after = o.heartbeat; }) == contradict);
    CHECK(refused([](auto& o) { o.lane_window = 0; }) == contradict);
    const auto no_effect = [&](auto change) { return refused(change).find("no effect") != std::string::npos; };
    CHECK(no_effect([](auto& o) { o.suspect_at = 5000; }));
    CHECK(no_effect([](auto& o) { o.retain_bytes = 1; }));
    CHECK(no_effect([](auto& o) { o.min_copies = 2; }));
    CHECK(h.core.refuses(change_kind::remove, h.core.rules()));
    CHECK(refused([](auto& o) { o.heartbeat *= 2; }) == "");
  }
}
