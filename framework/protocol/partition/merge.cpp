// One state out of those of all sides, and the barrier behind it (rule P7).
#include "framework/protocol/partition/core_impl.hpp"
#include "framework/protocol/partition/policy.hpp"

namespace cohort::protocol::partition {
namespace {

constexpr std::uint32_t parts_in_flight = 64;

}  // namespace

void core::impl::begin_merge(std::uint16_t own_side) {
  states.sides.resize(view->sides.size());
  for (auto& s : states.sides) s.asked = now;
  if (mistaken(mistake::no_barrier)) open_for_messages = true;
  if (view->sides[own_side].members.front() != self) return;
  states.offered = true;
  results.deliveries.push_back(deliver_offer{view->id});
}

void core::impl::offer_ready(component_id of, std::vector<std::byte> bytes) {
  if (of != view->id || merged || wedged() || !states.offered) return;  // an attempt has ended this view: it asks anew
  auto& s = states.sides[state.side];
  s.bytes = std::move(bytes);
  s.count = static_cast<std::uint32_t>(std::max<std::size_t>(1, (s.bytes.size() + offer_bytes - 1) / offer_bytes));
  COHORT_INVARIANT(s.count <= offer_parts_max, s.bytes.size(), offer_parts_max);
  s.next = s.count;
  send_offer(state.side, 0, others());
  complete_merge();
}

void core::impl::send_offer(std::uint16_t i, std::uint32_t from, std::span<const member_id> to) {
  const auto& s = states.sides[i];
  for (auto number = from; number < s.count && number < from + parts_in_flight; ++number) {
    const auto begin = s.bytes.begin() + static_cast<std::ptrdiff_t>(std::size_t{number} * offer_bytes);
    const auto size = std::min<std::size_t>(offer_bytes, static_cast<std::size_t>(s.bytes.end() - begin));
    send(offer{view->id, i, number, s.count, {begin, begin + static_cast<std::ptrdiff_t>(size)}}, to);
  }
}

void core::impl::receive_offer(const offer& o) {
  // While wedged the account that was given stands: a state that is still one side's stays so.
  if (o.view != view->id || merged || wedged() || o.side >= states.sides.size()) return;
  auto& s = states.sides[o.side];
  if (s.complete() || o.number != s.next || (s.count != 0 && s.count != o.count)) return;
  s.count = o.count;
  s.bytes.insert(s.bytes.end(), o.data.begin(), o.data.end());
  ++s.next;
  s.asked = now;
  if (s.complete()) return complete_merge();
  if (s.next % parts_in_flight == 0)
    send(offer_wanted{view->id, o.side, s.next}, std::array{view->sides[o.side].members.front().member});
}

void core::impl::receive_wanted(member_id from, const offer_wanted& w) {
  if (w.view != view->id || w.side >= states.sides.size() || view->sides[w.side].members.front() != self) return;
  if (states.sides[w.side].complete()) send_offer(w.side, w.from, std::array{from});
}

void core::impl::ask_for_offers() {
  if (merged || wedged()) return;
  for (std::size_t i = 0; i < states.sides.size(); ++i) {
    auto& s = states.sides[i];
    const auto& owner = view->sides[i].members.front();
    if (s.complete() || owner == self || now - s.asked < pull_wait()) continue;
    s.asked = now;
    send(offer_wanted{view->id, static_cast<std::uint16_t>(i), s.next}, std::array{owner.member});
  }
}

void core::impl::complete_merge() {
  if (std::ranges::any_of(states.sides, [](const auto& s) { return !s.complete(); })) return;
  deliver_merge m{view, {}};
  for (auto& s : states.sides) m.states.push_back(std::make_shared<const std::vector<std::byte>>(s.bytes));
  if (mistaken(mistake::own_side_first)) std::swap(m.states[0], m.states[state.side]);
  results.deliveries.push_back(std::move(m));
  merged = true;
  state = {view->id, merged_side};
  blank = std::ranges::all_of(view->sides, &side::blank);
  if (!mistaken(mistake::descent_not_inherited)) descends_from = descent_of_merged(*view, options.merge);
  if (options.durable) {
    // S1: who relies on this state being there must find it after a restart of all.
    take_checkpoint(true);
    if (!mistaken(mistake::merge_told_unwritten)) return;
  }
  members[rank].merged = true;
  progress_due = true;
  see_barrier();
}

/// Messages of the view wait until the last of its members has the merged state: a change before that finds all of them
/// without any message delivered in it.
void core::impl::see_barrier() {
  if (open_for_messages || std::ranges::any_of(members, [](const auto& m) { return !m.merged; })) return;
  open_for_messages = true;
  next_beat = now;
  states.sides.clear();
}

}  // namespace cohort::protocol::partition
