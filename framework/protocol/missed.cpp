#include "framework/protocol/missed.hpp"

#include "framework/protocol/mutations.hpp"

#include <algorithm>

namespace cohort::protocol {

void add_missed(std::vector<missed_run>& runs, const lane_name& lane, view_number view, const had_of_lane& had, sequence upto,
                const std::vector<sequence>& extras) {
  const auto add = [&](sequence from, sequence to) {
    if (from > to) return;
    if (!runs.empty() && runs.back().lane == lane && runs.back().to + 1 == from)
      runs.back().to = to;
    else
      runs.push_back({lane, view, from, to});
  };
  for (const auto s : had.not_these)
    if (s <= upto) add(s, s);
  sequence next = had.upto + 1;
  auto beyond = had.beyond;
  std::ranges::sort(beyond);
  for (const auto s : beyond) {
    if (s < next || s > upto) continue;
    add(next, s - 1);
    next = s + 1;
  }
  add(next, upto);
  for (const auto s : extras)
    if (s > had.upto && !std::ranges::binary_search(beyond, s) && !mutated(mutation::extras_not_named)) add(s, s);
}

lane_history_ptr with_ended(const lane_history_ptr& before, std::vector<ended_lane> ended) {
  if (ended.empty()) return before;
  auto all = before ? std::make_shared<lane_history>(*before) : std::make_shared<lane_history>();
  for (auto& lane : ended) all->lanes.push_back(std::move(lane));
  if (all->lanes.size() > ended_lanes_max) {
    const auto rest = all->lanes.end() - static_cast<std::ptrdiff_t>(ended_lanes_max);
    all->complete_from = std::max(all->complete_from, std::prev(rest)->view + 1);
    all->lanes.erase(all->lanes.begin(), rest);
  }
  return all;
}

}  // namespace cohort::protocol
