#include "framework/simulation/partition/history.hpp"

#include <algorithm>
#include <map>

namespace cohort::sim::partition {

const std::vector<property>& properties() {
  static const std::vector<property> all{
      {"self inclusion", self_inclusion},
      {"monotonic views", monotonic_views},
      {"view agreement", view_agreement},
      {"sending view", sending_view},
      {"integrity", integrity},
      {"self delivery", self_delivery},
      {"virtual synchrony", virtual_synchrony},
      {"transitional sets", transitional_sets},
      {"safe delivery", safe_delivery},
      {"fifo order", fifo_order},
      {"causal order", causal_order},
      {"total order", total_order},
      {"merge barrier", merge_barrier},
      {"merged states", merged_states},
      {"winning side", winning_side},
      {"primary chain", primary_chain},
      {"whole messages", whole_messages},
      {"bounded memory", bounded_memory},
      {"termination", termination},
      {"durability", durability},
      {"rules in force", rules_in_force},
      {"liveness", liveness},
  };
  return all;
}

std::string first_broken(const history& h) {
  for (const auto& p : properties())
    if (auto why = p.check(h); !why.empty()) return std::string(p.name) + ": " + why;
  return {};
}

std::vector<stay> stays(const history& h) {
  std::vector<stay> all;
  for (const auto& l : h.lives) {
    stay now{&l, {}, {}, {}, {}, {}};
    bool after_transition = false;
    for (const auto& s : l.steps) {
      if (s.kind == step_kind::enters) {
        if (now.view) {
          now.next = s.view;
          all.push_back(now);
        }
        now = {&l, s.view, {}, {}, {}, {}};
        after_transition = false;
      } else if (s.kind == step_kind::transition) {
        now.together = s.together;
        after_transition = true;
      } else if (s.kind == step_kind::delivers) {
        (after_transition ? now.transitional : now.regular).push_back(&s);
      }
    }
    if (now.view) all.push_back(now);
  }
  return all;
}

std::vector<const step*> timeline(const life& l) {
  std::multimap<std::uint64_t, const step*> in_order;  // those of one moment as they come
  for (const auto& tail : l.lost)
    for (const auto& s : tail) in_order.emplace(s.at, &s);
  for (const auto& s : l.steps) in_order.emplace(s.at, &s);
  std::vector<const step*> all;
  for (const auto& [at, s] : in_order) all.push_back(s);
  return all;
}

bool is_in(const std::vector<process>& set, process who) { return std::ranges::find(set, who) != set.end(); }

std::string name_of(process p) {
  return std::to_string(to_index(p.member)) + "." + std::to_string(p.inc % 1'000'000'007);
}

std::string name_of(const component_id& v) {
  return "view " + std::to_string(v.counter) + "/" + std::to_string(to_index(v.coordinator));
}

std::string message_name(const history& h, std::uint64_t message) {
  const auto at = h.messages.find(message);
  if (at == h.messages.end()) return "an unknown message";
  return std::string(to_string(at->second.how)) + " message " + std::to_string(message) + " of " +
         name_of(at->second.sender);
}

}  // namespace cohort::sim::partition
