// What a side's state descends from is told truly, and a merge by a policy gives the state of the side that the policy
// names: not blank; `primary_descended`: of the newest descent; most members; from the later view; the first (rule P7).
#include "framework/simulation/partition/history.hpp"

#include <algorithm>
#include <tuple>

namespace cohort::sim::partition {
namespace {

/// What a process's state is made of, followed through its life without a look at what the sides say.
struct origin {
  component_id descends_from, since;  ///< newest primary view that went into it; view in which it became what it is
  bool blank = true;
  std::uint64_t state = 0;
};
using origins = std::map<std::pair<component_id, std::size_t>, origin>;  // by view and side

std::size_t named_by_policy(const history& h, const component_ptr& v, const origins& of) {
  const auto rank = [&](std::size_t i) {
    const auto& o = of.at({v->id, i});
    const auto descent = h.merge == merge_policy::primary_descended ? o.descends_from : component_id{};
    return std::tuple(!o.blank, descent, v->sides[i].members.size(), o.since);
  };
  std::size_t best = 0;
  for (std::size_t i = 1; i < v->sides.size(); ++i)
    if (rank(i) > rank(best)) best = i;
  return best;
}

std::size_t side_of(const component_ptr& v, process who) {
  std::size_t i = 0;
  while (i < v->sides.size() && !is_in(v->sides[i].members, who)) ++i;
  return i;
}

}  // namespace

std::string winning_side(const history& h) {
  if (h.merge == merge_policy::none) return {};
  // In the order of time: a view's sides are known once all of their members that enter it have done so, and before
  // any of them merges.
  std::vector<std::pair<const life*, const step*>> all;
  for (const auto& l : h.lives)
    for (const auto& s : l.steps) all.emplace_back(&l, &s);
  std::ranges::sort(all, {}, [](const auto& x) { return x.second->at; });
  std::map<process, origin> now;
  origins of;
  std::map<process, component_ptr> in;
  for (const auto& [l, s] : all) {
    auto& mine = now[l->who];
    if (s->kind == step_kind::delivers) mine.blank = false;
    if (s->kind == step_kind::enters) {
      const auto& v = s->view;
      in[l->who] = v;
      const auto i = side_of(v, l->who);
      if (i == v->sides.size()) return name_of(l->who) + " is on no side of " + name_of(v->id);
      const auto& told = v->sides[i];
      if (told.descends_from != mine.descends_from)
        return "the side of " + name_of(l->who) + " in " + name_of(v->id) + " says that it descends from " +
               name_of(told.descends_from) + ", it is " + name_of(mine.descends_from);
      if (told.blank && !mine.blank) return "a side of " + name_of(v->id) + " calls itself blank and is not";
      // One that holds messages which nobody could deliver says that it is not blank, and that is so.
      mine.blank = told.blank;
      mine.state = s->state;
      of.emplace(std::pair(v->id, i), mine);
      mine.since = v->id;
      if (v->sides.size() == 1 && v->primary) mine.descends_from = v->id;
    } else if (s->kind == step_kind::merges) {
      const auto& v = in[l->who];
      if (!v || v->id != s->id) return name_of(l->who) + " merges in a view in which it is not";
      for (std::size_t i = 0; i < v->sides.size(); ++i)
        if (!of.contains({v->id, i}))
          return name_of(l->who) + " merges in " + name_of(v->id) + " before anybody of side " + std::to_string(i) +
                 " is there";
      component_id newest;
      mine.blank = true;
      for (std::size_t i = 0; i < v->sides.size(); ++i) {
        newest = std::max(newest, of.at({v->id, i}).descends_from);
        mine.blank = mine.blank && of.at({v->id, i}).blank;
      }
      if (h.merge != merge_policy::application) {
        const auto i = named_by_policy(h, v, of);
        if (s->state != of.at({v->id, i}).state)
          return name_of(l->who) + " does not have the state of side " + std::to_string(i) + " behind the merge of " +
                 name_of(v->id);
        newest = of.at({v->id, i}).descends_from;
      }
      mine.descends_from = v->primary ? v->id : newest;
    }
  }
  return {};
}

}  // namespace cohort::sim::partition
