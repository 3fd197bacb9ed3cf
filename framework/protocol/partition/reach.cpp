// Who is there: heartbeats, mutual hearing, and who would form whose view (rule P3).
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {

/// Heard lately, and hears this process: a view of members that hear each other one way only would never agree on
/// anything.
bool core::impl::reaches(const peer& p) const {
  if (p.who.inc == 0 || now - p.heard >= options.fail_after) return false;
  return std::ranges::find(p.said.hears, self) != p.said.hears.end();
}

standing core::impl::own_standing() {
  standing s{promised, leader, wishes(), {}, own_progress()};
  for (const auto& [member, p] : peers)
    if (p.who.inc != 0 && now - p.heard < options.fail_after) s.hears.push_back(p.who);
  return s;
}

void core::impl::beat() {
  next_beat = now + (mistaken(mistake::sham_slower_heartbeat) ? options.heartbeat * 5 / 4 : options.heartbeat);
  std::vector<member_id> all;
  for (const auto& [member, p] : peers)
    if (p.up) all.push_back(member);
  send(own_standing(), all);
  if (!leading) return;
  for (const auto& m : leading->asked) {  // what was lost on the way
    if (m == self) continue;
    const std::array to{m.member};
    if (!leading->proposed) {
      if (!leading->accounts.contains(m)) promise(gather{leading->id}, to);
    } else if (rank_of(*leading->proposed, m) != no_slot &&
               std::ranges::find(leading->ready, m) == leading->ready.end()) {
      promise(proposal{leading->proposed}, to);
    }
  }
}

bool core::impl::must_change(const std::vector<process>& set) const {
  if (wedged() || set != view->members || wishes()) return true;
  // One that stands still in this view, after an attempt that came to nothing or a restart, goes on only in another
  // one.
  return std::ranges::any_of(set, [&](const process& m) {
    if (m == self) return false;
    const auto& said = peers.at(m.member).said;
    return said.now.view != view->id || said.promised > view->id.counter || said.wishes;
  });
}

/// The leader is the smallest process in reach that takes itself for one: without a common neighbour nobody waits for
/// somebody who waits for another.
void core::impl::look_around() {
  auto chosen = self.member;
  for (const auto& [member, p] : peers)
    if (reaches(p) && p.said.leader == member) chosen = std::min(chosen, member);
  if (std::exchange(leader, chosen) != chosen) {
    leading.reset();
    next_beat = now;
    happened(event_kind::leader_changed, false, leader, view->id.counter);
  }
  std::vector<process> set;
  if (leader == self.member) {
    set.push_back(self);
    for (const auto& [member, p] : peers)
      if (reaches(p) && p.said.leader == self.member) set.push_back(p.who);
    std::ranges::sort(set);
  }
  if (set != wanted) {
    wanted = std::move(set);
    wanted_since = now;
  }
  if (leader == self.member && !leading && now - wanted_since >= steady_for() && must_change(wanted))
    begin_attempt(wanted);
}

}  // namespace cohort::protocol::partition
