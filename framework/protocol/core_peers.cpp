// Who else is there: what is known of other processes, and whom the views that may govern name (E2, PA10). Groups may be
// large and this is asked with every pass, so nothing here looks through everybody unless something has changed.
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

static void grow_to(std::vector<std::uint32_t>& of_members, std::size_t member) {
  if (member >= of_members.size()) of_members.resize(member + 1, 0);
}

peer& core::impl::peer_of(voter_id id) {
  if (const auto i = place_of(id); i < peers.size()) return peers[i];
  // One line per identity a link has authenticated; old identities that no view knows are forgotten, so that a member
  // which restarts for ever does not grow the table.
  const auto forgotten = std::erase_if(peers, [&](const peer& p) {
    if (p.id.member != id.member || p.linked) return false;
    for (const auto& v : governing_views())
      if (find(*v, p.id)) return false;
    return true;
  });
  auto& identities = roster_memory.identities;
  grow_to(identities, to_index(id.member));
  identities[to_index(id.member)] += 1 - static_cast<std::uint32_t>(forgotten);
  auto& p = peers.emplace_back();
  p.id = id;
  p.next = log.last() + 1;
  p.echo = now;
  p.heard_at = now;
  p.rhythm.begin(options.heartbeat, now);
  await_anew(p);
  return p;
}

const peer* core::impl::known_peer(voter_id id) const {
  const auto i = place_of(id);
  return i < peers.size() ? &peers[i] : nullptr;
}

std::size_t core::impl::place_of(voter_id id) const {
  if (to_index(id.member) >= roster_memory.identities.size()) return peers.size();  // nobody of it was ever linked; or no member at all
  auto& places = roster_memory.places;
  grow_to(places, to_index(id.member));
  auto& last = places[to_index(id.member)];
  if (last < peers.size() && peers[last].id == id) return last;
  for (std::size_t i = 0; i < peers.size(); ++i)
    if (peers[i].id == id) return last = static_cast<std::uint32_t>(i);
  return peers.size();
}

bool core::impl::superseded(const peer& p) const {
  if (roster_memory.identities[to_index(p.id.member)] == 1) return false;
  return std::ranges::any_of(peers, [&](const peer& other) {
    return other.id.member == p.id.member && other.id != p.id && other.heard_order > p.heard_order;
  });
}

std::vector<view_ptr> core::impl::governing_views() const {
  std::vector<view_ptr> views;
  if (!has_state) return views;
  views.push_back(log.view_at(std::max(commit, log.base().index)));
  for (const auto& v : log.views())
    if (v.index > commit) views.push_back(v.what);
  return views;
}

const std::vector<roster_entry>& core::impl::governed_roster() const {
  recall_roster();
  return roster_memory.roster;
}

const std::vector<member_id>& core::impl::roster_members() const {
  recall_roster();
  return roster_memory.members;
}

void core::impl::recall_roster() const {
  auto& known = roster_memory;
  auto views = governing_views();
  if (in_force) views.push_back(in_force);
  std::vector<roster_entry> guests;
  // Who wants to come in is fed first, so that nobody's window waits for it (FC1).
  if (role == core_role::leader)
    for (const auto& p : peers)
      if (waits_for_admission(p)) guests.push_back({p.id, p.join_inc, false, false});
  for (const auto& d : let_go) {
    const auto* p = known_peer(d.who.id);
    if (now < d.until && !(p && p->view >= d.without)) guests.push_back(d.who);
  }
  if (views == known.views && guests == known.guests) return;

  known.roster.clear();
  known.members.clear();
  const auto add = [&](const roster_entry& r) {
    if (std::ranges::find(known.roster, r.id, &roster_entry::id) == known.roster.end()) known.roster.push_back(r);
  };
  for (const auto& v : views) std::ranges::for_each(v->roster, add);
  std::ranges::for_each(guests, add);
  for (const auto& r : known.roster)
    if (r.id.member != self() && std::ranges::find(known.members, r.id.member) == known.members.end()) known.members.push_back(r.id.member);
  known.views = std::move(views);
  known.guests = std::move(guests);
}

}  // namespace cohort::protocol
