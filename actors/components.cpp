#include "actors/components.hpp"

#include "framework/memory_stream.hpp"
#include "framework/protocol/partition/messages.hpp"
#include "framework/protocol/partition/policy.hpp"

#include <algorithm>
#include <stdexcept>

namespace cohort::detail {
namespace {

namespace pp = protocol::partition;

/// P8: the newest view that both have behind them, and whether the total order had come to the same there and since.
void compare(const pp::side& first, const pp::side& other, component_side& out) {
  for (auto at = other.history.rbegin(); at != other.history.rend(); ++at) {
    const auto same = std::ranges::find(first.history, at->view, &pp::past_view::view);
    if (same == first.history.end()) continue;
    out.common_view = at->view.counter;
    out.diverged = same->digest != at->digest || at != other.history.rbegin() || same + 1 != first.history.end();
    return;
  }
  out.diverged = !first.history.empty() && !other.history.empty();
}

}  // namespace

std::vector<component_member> components::members(const std::vector<pp::process>& all) const {
  std::vector<component_member> out;
  for (const auto& p : all) out.push_back({nodes_->name_of(p.member), p.inc});
  return out;
}

std::vector<component_side> components::sides(const pp::component_view& v) const {
  std::vector<component_side> out;
  pp::component_id newest;
  for (const auto& s : v.sides) newest = std::max(newest, s.descends_from);
  for (const auto& s : v.sides) {
    component_side one;
    one.members = members(s.members);
    one.own = std::ranges::find(s.members, self_, &pp::process::member) != s.members.end();
    one.blank = s.blank;
    one.last_primary = newest.counter != 0 && s.descends_from == newest;
    if (&s == &v.sides.front())
      one.common_view = s.history.empty() ? 0 : s.history.back().view.counter;
    else
      compare(v.sides.front(), s, one);
    out.push_back(std::move(one));
  }
  return out;
}

void components::changed(const protocol::deliver_component& c) {
  const auto& v = *c.what;
  component_view told;
  told.number = v.id.counter;
  told.coordinator = members({{v.id.coordinator, v.id.inc}}).front().name;
  told.members = members(v.members);
  for (const auto& m : told.members)
    if (std::ranges::find(before_, m) == before_.end()) told.arrived.push_back(m);
  for (const auto& m : before_)
    if (std::ranges::find(told.members, m) == told.members.end()) told.gone.push_back(m);
  told.sides = sides(v);
  told.primary = v.primary;
  before_ = told.members;
  if (listener_) listener_->component_changed(told);
}

void components::transition(const protocol::deliver_transition& t) {
  if (listener_) listener_->transition(t.view.counter, members(t.together));
}

std::vector<std::byte> components::offer() const {
  memory_sink out;
  if (state_) state_->checkpoint(out);
  if (out.bytes().size() > std::size_t{pp::offer_parts_max} * pp::offer_bytes)
    throw std::length_error("a state of " + std::to_string(out.bytes().size()) +
                            " bytes cannot be merged: 1 GiB is the most");
  return out.take();
}

void components::checkpoint(sink& out) const {
  if (state_) state_->checkpoint(out);
}

void components::restore(source& in) {
  if (state_) state_->restore(in);
}

void components::merge(const protocol::deliver_merge& m) {
  if (!state_) return;
  if (how_ != merge_policy::application) {
    memory_source from(*m.states[pp::winner(*m.what, how_)]);
    return state_->restore(from);
  }
  std::vector<memory_source> sources;
  for (const auto& s : m.states) sources.emplace_back(*s);
  const auto who = sides(*m.what);
  std::vector<merge_side> all;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    all.push_back({who[i], &sources[i]});
    all.back().who.own = false;  // the result must not depend on where it is made
  }
  state_->reconcile(all);
}

}  // namespace cohort::detail
