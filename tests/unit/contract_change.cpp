// Contracts of living groups (G16), of groups that depend on one another (G20), and what members compare.
#include "framework/contract/fields.hpp"

#include <cohort/contract_check.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

std::string told(const std::vector<finding>& found) {
  std::string all;
  for (const auto& f : found)
    all += std::string(f.severity == severity::reject ? "-" : "!") + f.rule + ' ' + f.message + "; " + f.reason +
           (f.nearest ? " => " + difference(contract{}, *f.nearest) : "") + '\n';
  return all;
}

bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_SUITE_BEGIN("changes");

TEST_CASE("changes: stronger, or other limits, are free") {
  const contract now;
  CHECK(check_change(now, now).empty());
  CHECK(check_change(now, now.with(&contract::election_min, 500ms)).empty());
  CHECK(check_change(now, now.with(order::causal)).empty());
  CHECK(check_change(now.with(durability::in_memory), now).empty());
  CHECK(check_change(now, now.with(&contract::lane_window, std::size_t{1} << 20)).empty());
}

TEST_CASE("changes: a weaker promise is refused unless it is asked for as such") {
  const contract now;
  for (const auto& [to, words] : {std::pair{now.with(durability::in_memory), "a restart of all ends the group"},
                                  std::pair{now.with(reads::local), "reads may be stale"},
                                  std::pair{now.with(reads::lease), "rely on clock rates"},
                                  std::pair{now.with(&contract::atomic, false), "all or none"},
                                  std::pair{now.with(partition_policy::partitionable), "both sides of a partition"},
                                  std::pair{now.with(&contract::message_bytes_max, std::size_t{100}), "too large"}}) {
    CAPTURE(std::string(words));
    const auto refused = check_change(now, to);
    CHECK(!legal(refused));
    CHECK(holds(told(refused), words));
    CHECK(holds(told(refused), "-G16"));
    for (const auto& f : refused)
      if (f.severity == severity::reject) {
        REQUIRE(f.nearest);
        CHECK(legal(check_change(now, *f.nearest)));
      }
    const auto accepted = check_change(now, to, {}, {}, true);
    CHECK(legal(accepted));
    CHECK(holds(told(accepted), std::string("!G16 the change weakens a promise: ")));
  }
  const auto fewer =
      check_change(contract::multicast(order::causal, {order::fifo}), contract::multicast(order::causal));
  CHECK(holds(told(fewer), "([\"fifo\", \"causal\"] -> [\"causal\"])"));
}

TEST_CASE("changes: the target is judged with the members there are") {
  const contract now;
  const auto to = now.with(&contract::witnesses, 2u);
  CHECK(holds(told(check_change(now, to, {.members = 3}, {}, true)), "-G5"));
  CHECK(legal(check_change(now, to, {.members = 5}, {}, true)));
}

TEST_CASE("changes: models change by the transitions there are") {
  const contract now;
  roster_facts roster{.members = 4, .lease_authority = true, .member_keys = true};
  node_facts node{.watchdog = true, .reaction_bound = 10ms};
  const auto fail_stop = now.with(failure_model::fail_stop);
  const auto byzantine = now.with(failure_model::byzantine).with(link_security::authenticated);
  const auto refusal = [&](const contract& a, const contract& b) {
    return told(check_change(a, b, roster, node, true));
  };

  CHECK(!holds(refusal(now, fail_stop), "-G16"));
  CHECK(!holds(refusal(now, byzantine), "-G16"));
  CHECK(holds(refusal(fail_stop, byzantine), "no transition leads from fail_stop to byzantine"));
  CHECK(holds(refusal(byzantine, fail_stop), "-G16 no transition"));
  CHECK(holds(refusal(byzantine, now), "without an operator's"));
  roster.operator_key = true;
  CHECK(!holds(refusal(byzantine, now), "-G16"));
  CHECK(holds(refusal(now.with(durability::in_memory), byzantine), "a volatile group becomes Byzantine"));
  roster.inactive = 1;
  CHECK(holds(refusal(now, fail_stop), "1 voters are away"));
  CHECK(holds(refusal(now, now.with(durability::in_memory)), "X3"));
  roster.inactive = 0;
  roster.primary_component = false;
  CHECK(holds(refusal(now.with(partition_policy::partitionable), now), "merge first"));
  // What is offered instead is something that the group would take.
  for (const auto& f : check_change(fail_stop, byzantine, roster, node))
    if (f.nearest) CHECK(legal(check_change(fail_stop, *f.nearest, roster, node)));
}

TEST_CASE("composition: as strong as its weakest group, and the chain is told") {
  const auto crash = contract::replicated();
  const auto byzantine = crash.with(failure_model::byzantine).with(link_security::authenticated);
  const roster_facts four{.members = 4, .member_keys = true};
  const composed_group chain[] = {{"orders", byzantine, four},
                                  {"stock", crash, {.members = 5}},
                                  {"cache", crash.with(durability::in_memory).with(reads::local), {}}};
  const auto all = compose(chain);
  CHECK(all.model == failure_model::crash);
  CHECK(all.failures_tolerated == 1);
  CHECK(all.durability == durability::in_memory);
  CHECK(all.reads == reads::local);
  CHECK(all.chain ==
        "orders (byzantine, f=1, journaled) -> stock (crash, f=2, journaled) -> cache (crash, f=1, volatile)");
  const auto text = told(all.findings);
  CHECK(holds(text, "-G20 orders promises the byzantine model and depends on stock, which is a crash group"));
  CHECK(holds(text, "!G20 orders is journaled and depends on cache"));
  CHECK(holds(text, "may be stale"));
  CHECK(!legal(all.findings));
  for (const auto& f : all.findings)
    if (f.severity == severity::reject) CHECK(f.nearest.value().model == failure_model::crash);
  CHECK(compose(std::span(chain).subspan(1, 1)).findings.empty());
  // What depends on more than it promises is fine.
  const composed_group sound[] = {{"stock", crash, {}}, {"orders", byzantine, four}};
  CHECK(compose(sound).findings.empty());
}

TEST_CASE("members compare every field but those that are local") {
  const contract a;
  contracts::for_each_field([&](const auto& f) {
    auto b = a;
    auto& value = b.*f.member;
    using type = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<type, bool>)
      value = !value;
    else if constexpr (std::is_same_v<type, order_set>)
      value.add(order::fifo);
    else if constexpr (std::is_same_v<type, reads>)
      value = reads::lease;
    else if constexpr (std::is_same_v<type, order>)
      value = order::fifo;
    else if constexpr (std::is_enum_v<type>)
      value = static_cast<type>(static_cast<int>(value) == 0 ? 1 : 0);
    else
      ++value;
    INFO(f.name);
    CHECK((agreed_text(a) != agreed_text(b)) == (f.shared == contracts::scope::agreed));
    CHECK((founding_text(a) != founding_text(b)) == (f.shared == contracts::scope::live));
    CHECK(fixed_because(a, b).starts_with(std::string(f.name) + ": ") == (f.shared != contracts::scope::live));
    CHECK(difference(a, b).starts_with(std::string(f.name) + " = "));
  });
  CHECK(founding_text(a) == founding_text(a.with(reads::local)));
  const auto parts = a.with(partition_policy::partitionable);
  CHECK(agreed_text(parts) != agreed_text(parts.with(durability::in_memory)));
}

TEST_CASE("X3: a partitionable group neither goes over to its disks nor leaves them") {
  const auto parts = contract::multicast(order::causal).with(partition_policy::partitionable).with(durability::in_memory);
  const auto findings = check_change(parts, parts.with(durability::journaled), {}, {}, true);
  CHECK(std::ranges::any_of(findings, [](const finding& f) { return f.message.find("goes over to its disks") != std::string::npos; }));
}

TEST_SUITE_END();
