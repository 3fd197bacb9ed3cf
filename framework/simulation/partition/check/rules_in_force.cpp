// A view runs by rules that one of its members had asked for when it was proposed, or by those that were changed last
// of all that its members came with (rules X1, X8). Whoever is told that his change is done is in a view that has it.
#include "framework/simulation/partition/history.hpp"

#include <algorithm>

namespace cohort::sim::partition {
namespace {

struct request {
  process by;
  std::uint64_t at = 0;
  std::shared_ptr<const protocol::view_options> rules;
};

}  // namespace

std::string rules_in_force(const history& h) {
  std::vector<request> asked;
  for (const auto& l : h.lives)
    for (const auto* s : timeline(l))
      if (s->kind == step_kind::asks) asked.push_back({l.who, s->at, s->rules});
  std::map<component_id, protocol::view_options> brought{{component_id{}, h.rules}};
  for (const auto& l : h.lives) {
    component_ptr in;
    for (const auto& s : l.steps) {
      if (s.kind == step_kind::changed && (!in || in->rules.options != *s.rules))
        return name_of(l.who) + " is told that its change is done, and its view runs by other rules";
      if (s.kind != step_kind::enters) continue;
      const auto& now = s.view->rules;
      if (now.since == s.view->id) {
        const auto by_member = [&](const request& r) {
          return r.at < s.at && is_in(s.view->members, r.by) && *r.rules == now.options;
        };
        if (std::ranges::none_of(asked, by_member))
          return name_of(s.view->id) + " brings rules that no member had asked for";
      } else if (in && now.since < in->rules.since) {
        return name_of(l.who) + " comes to " + name_of(s.view->id) + " with rules of " + name_of(in->rules.since) +
               ", and it runs by those of " + name_of(now.since);
      }
      const auto& first = brought.emplace(now.since, now.options).first->second;
      if (first != now.options) return "the rules of " + name_of(now.since) + " are others in " + name_of(s.view->id);
      if (now.largest_message < std::max(now.options.message_bytes_max, in ? in->rules.largest_message : 0))
        return name_of(s.view->id) + " forgets how large messages may have been";
      in = s.view;
    }
  }
  return {};
}

}  // namespace cohort::sim::partition
