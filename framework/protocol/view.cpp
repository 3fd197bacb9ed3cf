#include "framework/protocol/view.hpp"

#include <algorithm>

namespace cohort::protocol {

std::size_t lane_count(const view& v) {
  return static_cast<std::size_t>(std::ranges::count_if(v.roster, &roster_entry::active));
}

slot slot_of(const view& v, voter_id id, incarnation inc) {
  slot s = 0;
  for (const auto& r : v.roster) {
    if (!r.active) continue;
    if (r.id == id && r.inc == inc) return s;
    ++s;
  }
  return no_slot;
}

const roster_entry* lane_owner(const view& v, slot s) {
  for (const auto& r : v.roster)
    if (r.active && s-- == 0) return &r;
  return nullptr;
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

std::size_t quorum_size(const view& v) { return voter_count(v) / 2 + 1; }

frontier carry_over(const view& from, const frontier& cut, const view& to) {
  frontier result;
  for (const auto& r : to.roster) {
    if (!r.active) continue;
    const slot old = slot_of(from, r.id, r.inc);
    result.push_back(old == no_slot || old >= cut.size() ? 0 : cut[old]);
  }
  return result;
}

}  // namespace cohort::protocol
