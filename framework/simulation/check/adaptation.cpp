// X1, X10: a running group's rules change only as somebody asked who knew those before; what was called done is in force; and no view
// carries what its rules do not allow.
#include "framework/simulation/check/properties.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace cohort::sim {

using namespace protocol;

namespace {

class adaptation final : public checker {
public:
  const char* property() const override { return "X10 adaptation"; }

  void asked(const life& l, std::uint64_t id, const view_options& wanted, const view_options& based_on) override {
    changes_.push_back({{l.number, id}, wanted, based_on});
  }

  void installed(const life& l, const deliver_view& v) override {
    const auto number = v.what->number;
    const auto& rules = v.what->options;
    if (!rules_of_.try_emplace(number, rules).second) return;  // that all install the same is I14
    const auto before = rules_of_.find(number - 1);
    if (number == 0 || before == rules_of_.end() || before->second == rules) return;
    if (std::ranges::none_of(changes_, [&](const change& c) { return c.wanted == rules && c.based_on == before->second; }))
      fail("member " + std::to_string(to_index(l.member())) + " installs view " + std::to_string(number) +
           " with rules that nobody asked for who knew those of the view before");
  }

  void happened(const life& l, const event& e) override {
    if (e.kind != event_kind::change_done) return;
    const auto done = std::ranges::find(changes_, std::pair{l.number, e.number}, &change::who);
    if (done == changes_.end()) return;
    if (std::ranges::none_of(rules_of_, [&](const auto& known) { return known.second == done->wanted; }))
      fail("member " + std::to_string(to_index(l.member())) + " is told that rules are in force which no view has");
  }

  void delivered(const life& l, const deliver_batch& d) override {
    const auto rules = rules_of_.find(d.view);
    if (rules != rules_of_.end() && !rules->second.orders.has(d.cls))
      fail("member " + std::to_string(to_index(l.member())) + " is delivered batch " + std::to_string(d.seq) + " of " +
           std::to_string(to_index(d.sender)) + " in an order that view " + std::to_string(d.view) + " does not have");
  }

private:
  struct change {
    std::pair<std::uint64_t, std::uint64_t> who;  ///< life and its number of the request
    view_options wanted, based_on;
  };
  std::vector<change> changes_;
  std::map<view_number, view_options> rules_of_;
};

}  // namespace

std::unique_ptr<checker> check_adaptation() { return std::make_unique<adaptation>(); }

}  // namespace cohort::sim
