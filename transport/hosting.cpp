// Which groups both ends of a link host (N5), and how that changes while it is up.
#include "transport/endpoint_state.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace cohort::transport {

/// Fills the link's table of the groups which both nodes host (N5), and tells of which of them the peer is blank.
std::vector<std::pair<std::uint32_t, bool>> endpoint::impl::match_groups(link& l) const {
  std::unordered_map<std::uint32_t, const group_config*> theirs;
  for (const auto& g : l.peer.groups) theirs.try_emplace(g.index, &g);
  std::vector<std::pair<std::uint32_t, bool>> common;
  l.shared.clear();
  for (const auto& g : config_.groups) {
    const auto there = theirs.find(g.index);
    if (there == theirs.end()) continue;
    l.identity_in(g.index) = there->second->identity;
    common.emplace_back(g.index, there->second->blank);
  }
  return common;
}

/// HELLO may have told an earlier state: on the way from one end to the other groups come and go.
void endpoint::impl::catch_up_groups(peer_slot& p) {
  if (p.current->groups_told != groups_state_) tell_groups(p, {config_.groups, dropped_});
}

void endpoint::impl::tell_groups(peer_slot& p, const hosted& what) {
  const auto frame = encode_hosted(config_.member, what);
  if (!frame) return tell_later(link_event_kind::dropped, p.member, "this node's groups do not fit into a frame; " + p.name + " is not told of them");
  if (send(p, frame)) p.current->groups_told = groups_state_;
}

void endpoint::impl::host(group_config what) {
  const auto group = what.index;
  config_.groups.push_back(std::move(what));
  ++groups_state_;
  const auto here = config_.groups.back();  // whoever is told below may host another one
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    auto& p = *peers_[i];
    if (!p.current) continue;
    tell_groups(p, {{here}, {}});
    const auto& theirs = p.current->peer.groups;
    const auto there = std::ranges::find(theirs, group, &group_config::index);
    if (there != theirs.end()) (void)match(p, here, *there);
  }
}

void endpoint::impl::drop(std::uint32_t group) {
  if (std::erase_if(config_.groups, [&](const group_config& g) { return g.index == group; }) == 0) return;
  std::erase_if(dropped_, [&](std::uint32_t other) { return place_of(other) == place_of(group); });
  dropped_.push_back(group);
  ++groups_state_;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    auto& p = *peers_[i];
    if (!p.current) continue;
    tell_groups(p, {{}, {group}});
    part(*p.current, group);
  }
}

/// The link is used by a group that both ends host.
bool endpoint::impl::match(peer_slot& p, const group_config& here, const group_config& there) {
  auto& l = *p.current;
  if (const auto difference = compare(here, there, p.name)) {
    tell_refused(&p, p.member, difference->text);
    p.trouble.clear();  // the link itself has none
    return false;
  }
  if (l.identity_of(here.index) == there.identity) return true;
  part(l, here.index);  // it was another life of the peer's
  l.identity_in(here.index) = there.identity;
  handler_.on_link_up(here.index, {p.member, there.identity}, there.blank);
  return true;
}

void endpoint::impl::part(link& l, std::uint32_t group) {
  if (l.identity_of(group) == 0) return;
  l.identity_in(group) = 0;
  handler_.on_group_down(group, l.member);
}

void endpoint::impl::on_hosted(link& l, std::span<const std::byte> bytes) {
  hosted news;
  std::string why;
  if (!decode_hosted(bytes, news, why)) return violated(l, why);
  auto& known = l.peer.groups;
  // A node has one group at a place, one after the other: of those that it does not host any more it tells the last one.
  const auto leaves = [&](std::uint32_t number) {
    const auto at = std::ranges::find_if(known, [&](const group_config& g) { return place_of(g.index) == place_of(number) && g.index <= number; });
    if (at == known.end()) return true;
    const auto group = at->index;
    known.erase(at);
    part(l, group);
    return l.state() == link_state::up;  // whoever was told may have closed it
  };
  for (const auto group : news.dropped)
    if (!leaves(group)) return;
  for (auto& g : news.added) {
    auto at = std::ranges::find(known, g.index, &group_config::index);
    if (at == known.end()) {
      if (!leaves(g.index)) return;
      at = known.end();
    }
    if (at == known.end()) {
      if (known.size() >= groups_max) return violated(l, "more groups than there are numbers");
      at = known.insert(at, g);
    } else {
      *at = g;
    }
    const auto here = std::ranges::find(config_.groups, g.index, &group_config::index);
    if (here == config_.groups.end()) continue;
    const auto mine = *here;
    (void)match(*find(l.member), mine, g);
    if (l.state() != link_state::up) return;
  }
}

}  // namespace cohort::transport
