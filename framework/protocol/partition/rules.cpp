// By which rules a component runs, and how they change (rules X1, X8).
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {
namespace {

/// The rest of the rules has no effect in a partitionable group.
bool only_effective_ones(const view_options& from, view_options to) {
  to.orders = from.orders;
  to.default_order = from.default_order;
  to.heartbeat = from.heartbeat;
  to.election_min = from.election_min;
  to.fail_after = from.fail_after;
  to.message_bytes_max = from.message_bytes_max;
  to.lane_window = from.lane_window;
  return from == to;
}

}  // namespace

bool is_sound(const view_options& o) {
  return !o.orders.empty() && o.orders.has(o.default_order) && o.heartbeat >= std::chrono::milliseconds(1) &&
         o.election_min >= o.heartbeat && o.fail_after >= 4 * o.heartbeat && o.lane_window > 0 &&
         o.message_bytes_max > 0;
}

const char* core::impl::refuses(change_kind kind, const view_options& to) const {
  if (kind != change_kind::options) return "the views of a partitionable group follow the network alone";
  if (!is_sound(to)) return "the options contradict each other";
  if (!only_effective_ones(options, to))
    return "a partitionable group runs by orders, default_order, heartbeat, election_min, fail_after, "
           "message_bytes_max "
           "and lane_window; its other rules have no effect in it, so a change of them would promise what nobody does";
  return nullptr;
}

std::uint64_t core::impl::request(const view_options& to) {
  asked.push_back({++request_ids, to, now});
  return request_ids;
}

/// A change is done once this member is in a view that has it: all members of the view had agreed to install it (P6).
/// One that came from a component whose rules were changed later may never be.
void core::impl::settle_requests() {
  while (!asked.empty()) {
    const auto& first = asked.front();
    const bool done = first.options == view->rules.options || mistaken(mistake::change_told_early);
    if (!done && now - first.since <= request_patience) return;
    results.events.push_back({done ? event_kind::change_done : event_kind::change_refused, false, self.member, first.id,
                              static_cast<log_index>(done ? change_refusal::none : change_refusal::no_leader),
                              absence::none});
    asked.pop_front();
  }
}

/// The view's own if somebody asks for others; else, of the rules that its members bring, those that were changed last.
component_rules core::impl::rules_of_proposal() const {
  auto rules = view->rules;
  for (const auto& [who, a] : leading->accounts) {
    rules.largest_message = std::max(rules.largest_message, a.rules.largest_message);
    if (a.rules.since <= rules.since || mistaken(mistake::coordinator_rules)) continue;
    rules.options = a.rules.options;
    rules.since = a.rules.since;
  }
  for (const auto& [who, a] : leading->accounts) {
    if (!a.wish || *a.wish == rules.options || !is_sound(*a.wish)) continue;
    rules.options = *a.wish;
    rules.since = leading->id;
    break;
  }
  rules.largest_message = std::max(rules.largest_message, rules.options.message_bytes_max);
  return rules;
}

}  // namespace cohort::protocol::partition
