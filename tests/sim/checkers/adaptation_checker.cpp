// The checker of X1 and X10, against histories: who asked for which rules, which views came, and what was delivered in them.
#include "tests/sim/checkers/parts.hpp"

#include <doctest/doctest.h>

#include <functional>

using namespace cohort;
using namespace cohort::sim;

namespace {

view_options rules(std::size_t window, bool causal = true) {
  view_options o;
  o.lane_window = window;
  o.orders = causal ? order_set{order::total, order::causal} : order_set{order::total};
  return o;
}

struct history {
  std::unique_ptr<checker> c = check_adaptation();
  void asks(const life& who, std::uint64_t id, const view_options& wanted, const view_options& based_on) { c->asked(who, id, wanted, based_on); }
  void view(const life& who, view_number number, const view_options& o) {
    auto v = std::make_shared<protocol::view>(*view_of(number, {{0, 1}, {1, 1}}));
    v->options = o;
    c->installed(who, install(v));
  }
  void done(const life& who, std::uint64_t id) { c->happened(who, {event_kind::change_done, false, {}, id, 0}); }
  void message(const life& who, view_number number, order how) {
    auto d = batch_at(1, 0, 1, "x", number);
    d.cls = how;
    c->delivered(who, d);
  }
};

bool holds(const std::function<void(history&)>& what) {
  history h;
  what(h);
  return good(h.c);
}

const auto one = rules(1), two = rules(2), three = rules(3), plain = rules(1, false);

}  // namespace

TEST_SUITE("checkers") {
  TEST_CASE("X10: adaptation, histories") {
    const std::function<void(history&)> legal[] = {
      [](history& h) { h.view(a, 0, one), h.view(a, 1, one), h.view(b, 1, one); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, one), h.view(a, 1, two), h.done(a, 1); },
      [](history& h) { h.view(a, 0, one), h.asks(b, 1, two, one), h.view(a, 1, two), h.view(b, 1, two), h.done(b, 1); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, one), h.asks(b, 1, three, one), h.view(a, 1, three), h.done(b, 1); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, one), h.view(a, 1, two), h.asks(a, 2, one, two), h.view(a, 2, one), h.done(a, 2); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, one, one), h.done(a, 1); },                                // they are already
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, one), h.view(a, 1, one); },                           // it was not its turn
      [](history& h) { h.view(a, 0, one), h.view(a, 7, three); },                                                 // what came between is not known
      [](history& h) { h.view(a, 0, one), h.message(a, 0, order::causal), h.message(b, 0, order::total); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, plain, one), h.view(a, 1, plain), h.message(a, 1, order::total), h.message(b, 0, order::causal); },
      [](history& h) { h.view(a, 0, one), h.done(a, 4); },                                                        // of another kind of change
      [](history& h) { h.message(a, 3, order::causal); },                                                         // of a view nobody saw
    };
    for (const auto& each : legal) CHECK(holds(each));
    const std::function<void(history&)> illegal[] = {
      [](history& h) { h.view(a, 0, one), h.view(a, 1, two); },
      [](history& h) { h.view(a, 0, one), h.view(b, 1, two); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, three, one), h.view(a, 1, two); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, three), h.view(a, 1, two); },
      [](history& h) { h.view(a, 0, one), h.view(a, 1, two), h.asks(a, 1, two, one); },                           // asked afterwards
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, one), h.view(a, 1, two), h.view(a, 2, one); },        // put back
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, one), h.asks(b, 1, three, one), h.view(a, 1, two), h.view(a, 2, three); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, one), h.done(a, 1); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, two, one), h.view(a, 1, one), h.done(a, 1); },
      [](history& h) { h.view(a, 0, plain), h.message(a, 0, order::causal); },
      [](history& h) { h.view(a, 0, one), h.asks(a, 1, plain, one), h.view(a, 1, plain), h.message(b, 1, order::causal); },
      [](history& h) { h.view(a, 0, one), h.message(a, 0, order::fifo); },
    };
    for (const auto& each : illegal) CHECK_FALSE(holds(each));
  }
}
