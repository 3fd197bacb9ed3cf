#include "framework/protocol/view.hpp"

#include <algorithm>

namespace cohort::protocol {

duration lease_limit(const view_options& o) {
  const auto drift = o.election_min / 1'000'000 * o.clock_rate_ppm + o.election_min % 1'000'000 * o.clock_rate_ppm / 1'000'000;
  return std::max(o.election_min - drift - o.clock_margin, duration(0));
}

duration lease_of(const view_options& o) {
  const auto limit = lease_limit(o);
  return o.lease > duration(0) ? std::min(o.lease, limit) : limit;
}

lane_kinds kinds_of(order_set orders) {
  lane_kinds kinds = 0;
  for (unsigned o = 0; o < order_count; ++o)
    if (orders.has(static_cast<order>(o))) kinds = static_cast<lane_kinds>(kinds | bit_of(kind_of(static_cast<order>(o))));
  return kinds;
}

bool is_barred(const view& v, member_id m) { return std::ranges::binary_search(v.barred, m); }

bool needs_dependencies(order_set orders) {
  return orders.has_any({order::causal, order::safe_causal}) ||
         (orders.has(order::total) && orders.has_any({order::fifo, order::safe_fifo}));
}

std::size_t lanes_per_member(const view& v) {
  return has_lanes(v, lane_kind::plain) && has_lanes(v, lane_kind::causal) ? 2 : 1;
}

std::size_t lane_count(const view& v) {
  return lanes_per_member(v) * static_cast<std::size_t>(std::ranges::count_if(v.roster, &roster_entry::active));
}

slot slot_of(const view& v, voter_id id, incarnation inc) {
  slot s = 0;
  for (const auto& r : v.roster) {
    if (!r.active) continue;
    if (r.id == id && r.inc == inc) return static_cast<slot>(s * lanes_per_member(v));
    ++s;
  }
  return no_slot;
}

slot slot_of(const view& v, voter_id id, incarnation inc, lane_kind k) {
  if (!has_lanes(v, k)) return no_slot;
  const slot first = slot_of(v, id, inc);
  return first != no_slot && lanes_per_member(v) == 2 && k == lane_kind::causal ? static_cast<slot>(first + 1) : first;
}

slot slot_of_lane(const view& v, const lane_name& name) {
  if (!has_lanes(v, name.kind)) return no_slot;
  for (const auto& r : v.roster)
    if (r.active && r.id.member == name.owner && r.inc == name.inc) return slot_of(v, r.id, r.inc, name.kind);
  return no_slot;
}

const roster_entry* lane_owner(const view& v, slot s) {
  s = static_cast<slot>(s / lanes_per_member(v));
  for (const auto& r : v.roster)
    if (r.active && s-- == 0) return &r;
  return nullptr;
}

lane_kind kind_at(const view& v, slot s) {
  if (lanes_per_member(v) == 2) return s % 2 == 0 ? lane_kind::plain : lane_kind::causal;
  return has_lanes(v, lane_kind::plain) ? lane_kind::plain : lane_kind::causal;
}

lane_name lane_at(const view& v, slot s) {
  const auto* owner = lane_owner(v, s);
  return owner ? lane_name{owner->id.member, owner->inc, kind_at(v, s)} : lane_name{};
}

const roster_entry* find(const view& v, voter_id id) {
  const auto it = std::ranges::find(v.roster, id, &roster_entry::id);
  return it == v.roster.end() ? nullptr : &*it;
}

const roster_entry* find_voter(const view& v, member_id member) {
  const auto it = std::ranges::find_if(v.roster, [&](const auto& r) { return r.voter && r.id.member == member; });
  return it == v.roster.end() ? nullptr : &*it;
}

incarnation burnt(const view& v, member_id member) {
  const auto it = std::ranges::find(v.burnt, member, &burnt_entry::member);
  return it == v.burnt.end() ? 0 : it->inc;
}

std::size_t voter_count(const view& v) {
  return static_cast<std::size_t>(std::ranges::count_if(v.roster, &roster_entry::voter));
}

std::size_t data_voter_count(const view& v) {
  return static_cast<std::size_t>(std::ranges::count_if(v.roster, [](const auto& r) { return r.voter && !r.witness; }));
}

std::size_t quorum_size(const view& v) { return voter_count(v) / 2 + 1; }

std::size_t stability_threshold(const view& v) {
  const auto data = data_voter_count(v);
  const auto quorum = quorum_size(v) - std::min(quorum_size(v), voter_count(v) - data);
  return std::max<std::size_t>(1, data + 1 - std::min(data, quorum));
}

frontier carry_over(const view& from, const frontier& cut, const view& to) {
  std::vector<const roster_entry*> before;  // in the order of its slots
  for (const auto& r : from.roster)
    if (r.active) before.push_back(&r);
  const auto per_member = lanes_per_member(from);
  frontier result;
  auto next = before.begin();  // rosters keep their order: who stays is mostly behind who was before him
  for (const auto& r : to.roster) {
    if (!r.active) continue;
    const auto same = [&](const roster_entry* b) { return b->id == r.id && b->inc == r.inc; };
    const auto found = next != before.end() && same(*next) ? next : std::ranges::find_if(before, same);
    if (found != before.end()) next = found + 1;
    const auto first = static_cast<std::size_t>(found - before.begin()) * per_member;
    for (const auto k : {lane_kind::plain, lane_kind::causal}) {
      if (!has_lanes(to, k)) continue;
      const auto old = first + (per_member == 2 && k == lane_kind::causal ? 1 : 0);
      result.push_back(found == before.end() || !has_lanes(from, k) || old >= cut.size() ? 0 : cut[old]);
    }
  }
  return result;
}

}  // namespace cohort::protocol
