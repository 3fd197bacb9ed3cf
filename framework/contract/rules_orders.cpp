// Orders, and what is built on them (sections 2 and 5).
#include "framework/contract/rules.hpp"

namespace cohort::contracts {

contract enabling(const contract& c, order o) { return c.with(o); }

contract disabling(const contract& c, order o) {
  contract less = c;
  less.orders = order_set::from_bits(static_cast<std::uint8_t>(c.orders.bits() & ~order_set{o}.bits()));
  if (less.default_order == o)
    for (std::size_t i = 0; i < order_count; ++i)
      if (less.orders.has(static_cast<order>(i))) less.default_order = static_cast<order>(i);
  return less;
}

void orders_are_named(const situation& s, ruling& r) {
  if (s.has(s.c.default_order)) return;
  const auto stronger = [&] {  // the weakest enabled one that is at least as strong, else the strongest
    for (std::size_t i = static_cast<std::size_t>(s.c.default_order); i < order_count; ++i)
      if (s.has(static_cast<order>(i))) return static_cast<order>(i);
    order strongest{};
    for (std::size_t i = 0; i < order_count; ++i)
      if (s.has(static_cast<order>(i))) strongest = static_cast<order>(i);
    return strongest;
  };
  std::vector<contract> remedies;
  if (!s.c.orders.empty()) remedies.push_back(s.c.with(&contract::default_order, stronger()));
  remedies.push_back(enabling(s.c, s.c.default_order));
  remedies.push_back(s.c.with(&contract::orders, order_set{s.c.default_order}));
  r.reject(s.c.orders.empty()
               ? "no order is enabled"
               : "default_order " + written(s.c.default_order) + " is not among orders " + written(s.c.orders),
           "messages that name no order are sent in the default one, which the members must have set up for",
           {"default_order", "orders"}, std::move(remedies));
}

void reads_need_an_order(const situation& s, ruling& r) {
  if (s.c.reads == reads::local || s.has(order::total)) return;
  r.reject(std::string(to_string(s.c.reads)) + " reads in a group without total order",
           "replicas that apply messages in different orders pass through different states: there is none which a read "
           "could "
           "be said to have seen",
           {"reads", "orders"}, {s.c.with(reads::local), enabling(s.c, order::total)});
}

void minority_multicast_is_unsafe(const situation& s, ruling& r) {
  if (!s.c.minority_multicast || s.is_partitionable()) return;
  std::vector<contract> remedies{s.c.with(&contract::minority_multicast, false)};
  bool any_unsafe = false;
  for (const auto o : {order::unordered, order::fifo, order::causal}) {
    if (!s.has(o)) continue;
    any_unsafe = true;
    remedies.push_back(s.c.with(&contract::default_order, o));
  }
  if (any_unsafe && !is_safe(s.c.default_order)) return;
  r.reject("minority_multicast cannot cover " + written(s.c.default_order) +
               (any_unsafe ? ", the default order" : ", and nothing else is enabled"),
           "safe and total messages wait for a quorum, so they stop in a minority whatever is set",
           {"minority_multicast", "default_order"}, std::move(remedies));
}

void atomicity_needs_views(const situation& s, ruling& r) {
  if (!s.c.atomic || s.c.virtual_synchrony) return;
  if (s.has(order::unordered)) {
    std::vector<contract> remedies{s.c.with(&contract::virtual_synchrony, true), s.c.with(&contract::atomic, false)};
    if (auto less = disabling(s.c, order::unordered); !less.orders.empty()) remedies.push_back(less);
    r.reject("atomic unordered messages without virtual_synchrony",
             "nothing but the flush at a view's end makes members agree on messages that stand in no order",
             {"virtual_synchrony", "atomic", "orders"}, std::move(remedies));
  } else if (s.has(order::fifo) || s.has(order::causal)) {
    r.warn("atomic fifo or causal messages without virtual_synchrony",
           "when a sender fails, only the flush at the view's end makes the others agree on its last messages",
           {"virtual_synchrony", "atomic"});
  }
}

void replication_needs_total(const situation& s, ruling& r) {
  const auto& c = s.c;
  if (c.replication != replication::none && (!s.has(order::total) || c.default_order != order::total)) {
    const auto ordered = enabling(c, order::total).with(&contract::default_order, order::total);
    r.reject(std::string(c.replication == replication::active ? "a state machine" : "a primary with backups") +
                 (s.has(order::total) ? " whose messages go in " + written(c.default_order) + " order by default"
                                      : " in a group without total order"),
             "replicas stay equal only if all apply the same messages in the same order",
             {s.has(order::total) ? "default_order" : "orders", "replication"}, {ordered, c.with(replication::none)});
  }
  if (c.sessions && !s.has(order::total))
    r.reject("sessions in a group without total order",
             "all members must agree which request of a session came first (F2)", {"sessions", "orders"},
             {enabling(c, order::total), c.with(&contract::sessions, false)});
  if (c.replication == replication::none && s.has(order::total) && c.default_order != order::total &&
      c.reads == reads::local && !c.action_participant)
    r.warn("total order is enabled and nothing shows its use",
           "it costs a log and elections; leave it out if no message is sent as total", {"orders"});
}

void causality_needs_dependencies(const situation& s, ruling& r) {
  if (s.c.causal_dependencies) return;
  const auto on = s.c.with(&contract::causal_dependencies, true);
  if (s.has(order::causal) || s.has(order::safe_causal)) {
    std::vector<contract> remedies{on};
    if (auto less = disabling(disabling(s.c, order::causal), order::safe_causal); !less.orders.empty())
      remedies.push_back(less);
    r.reject("causal orders with causal_dependencies = false",
             "a receiver cannot wait for what a message depends on if the message does not name it (L5)",
             {"causal_dependencies", "orders"}, std::move(remedies));
  }
  if (s.c.causal_total && s.has(order::total) && (s.has(order::fifo) || s.has(order::safe_fifo))) {
    r.reject("causal_total together with fifo messages and causal_dependencies = false",
             "a total message can follow the fifo messages its sender had got only if it names them (L5)",
             {"causal_dependencies", "causal_total", "orders"},
             {on, s.c.with(&contract::causal_total, false), disabling(disabling(s.c, order::fifo), order::safe_fifo)});
  }
}

}  // namespace cohort::contracts
