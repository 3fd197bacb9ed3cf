#pragma once

#include "framework/simulation/partition/history.hpp"

/// Writes histories of partitionable groups for the tests of checkers.
namespace cohort::test::partition {

using namespace cohort::sim::partition;
namespace pp = cohort::protocol::partition;

inline constexpr process A{member_id{0}, 1}, B{member_id{1}, 1}, C{member_id{2}, 1};

inline component_id id(view_number n, process coordinator = A) { return {n, coordinator.member, coordinator.inc}; }

/// Others than those at the start.
inline pp::component_rules rules_since(view_number n) {
  pp::component_rules r;
  r.options.lane_window = 1000 + n;
  r.since = id(n);
  r.largest_message = r.options.message_bytes_max;
  return r;
}

/// Writes histories of up to three processes.
struct scribe {
  history h;
  std::uint64_t at = 0;
  std::map<process, component_id> descent;  ///< of each one's state
  component_ptr last;
  pp::component_rules rules = initial();  ///< of the views that are entered from now on
  static pp::component_rules initial() {
    pp::component_rules r;
    r.largest_message = r.options.message_bytes_max;
    return r;
  }
  scribe& runs_by(pp::component_rules by) {
    rules = by.largest_message == 0 ? initial() : by;
    return *this;
  }
  scribe& ask(process p, const protocol::view_options& what) {
    add(p, step_kind::asks).rules = std::make_shared<const protocol::view_options>(what);
    return *this;
  }
  scribe& told(process p, const protocol::view_options& what) {
    add(p, step_kind::changed).rules = std::make_shared<const protocol::view_options>(what);
    return *this;
  }
  scribe() {
    h.founders = {A.member, B.member, C.member};
    for (const auto p : {A, B, C}) h.lives.push_back({p, false, {}});
    h.healed = true;
  }
  life& of(process p) { return h.lives[to_index(p.member)]; }
  step& add(process p, step_kind k) {
    of(p).steps.push_back({});
    of(p).steps.back().kind = k;
    of(p).steps.back().at = ++at;
    return of(p).steps.back();
  }
  scribe& submit(process p, std::uint64_t m, order how) {
    h.messages[m] = {p, how, 0, {}};
    add(p, step_kind::submits).message = m;
    return *this;
  }
  scribe& get(process p, std::uint64_t m, std::uint64_t position = 0) {
    auto& s = add(p, step_kind::delivers);
    s.message = m;
    s.position = position;
    return *this;
  }
  scribe& enter(std::vector<process> all, component_id view, std::size_t sides = 1, bool primary = false) {
    auto v = std::make_shared<pp::component_view>();
    v->id = view;
    v->rules = rules;
    v->members = all;
    v->primary = primary;
    const auto more = all.size() - sides;  // in the first side
    for (std::size_t i = 0; i < sides; ++i) {
      const auto begin = all.begin() + static_cast<std::ptrdiff_t>(i == 0 ? 0 : i + more);
      const auto end = all.begin() + static_cast<std::ptrdiff_t>(i + more + 1);
      v->sides.push_back({{view, static_cast<std::uint16_t>(i)}, {begin, end}, {}, {}, false});
    }
    for (auto& s : v->sides) s.descends_from = descent[s.members.front()];
    if (sides == 1 && primary)
      for (const auto p : all) descent[p] = view;
    last = v;
    for (const auto p : all) add(p, step_kind::enters).view = v;
    return *this;
  }
  scribe& leave(process p, component_id view, std::vector<process> together) {
    auto& s = add(p, step_kind::transition);
    s.id = view;
    s.together = std::move(together);
    return *this;
  }
  scribe& merge(process p, component_id view, std::uint64_t state) {
    auto& s = add(p, step_kind::merges);
    s.id = view;
    s.state = state;
    for (const auto& side : last->sides) descent[p] = std::max(descent[p], side.descends_from);
    if (last->primary) descent[p] = view;
    return *this;
  }
  scribe& crash(process p) {
    of(p).ended = true;
    return *this;
  }
  scribe& unhealed() {
    h.healed = false;
    return *this;
  }
};

}  // namespace cohort::test::partition
