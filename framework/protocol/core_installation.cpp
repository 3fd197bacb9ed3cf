// A view takes effect: lanes end, a member that is not in it any more goes on as another one (V13, V14).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>
#include <utility>

namespace cohort::protocol {

/// What this member sealed in its lane of that kind and has not delivered is delivered nowhere any more.
void core::impl::lose_own(deliver_view& told, lane_kind k) {
  for (std::size_t c = 0; c < order_count; ++c) {
    if (kind_of(static_cast<order>(c)) != k) continue;
    if (!mutated(mutation::lost_not_told)) told.lost_messages[c] += undelivered(static_cast<order>(c));
    own_undelivered[c].clear();
  }
}

/// What waits to be sealed in an order that the group does not take any more is lost (X1).
void core::impl::drop_disabled(deliver_view& told) {
  for (auto& queue : open)
    std::erase_if(queue, [&](const std::shared_ptr<open_batch>& b) {
      if (in_force->options.orders.has(b->cls)) return false;
      told.lost_messages[static_cast<std::size_t>(b->cls)] += b->sizes.size();
      open_bytes -= b->blob.size() + b->sizes.size() * sizeof(std::uint32_t);
      return true;
    });
}

/// This member is out of the view under its incarnation; it goes on as a new one. What was taken and never sent is lost.
void core::impl::excluded(deliver_view& told) {
  if (!leaving) notify(event_kind::excluded, self(), in_force->number);
  for (auto& queue : open) {
    for (const auto& b : queue) told.lost_messages[static_cast<std::size_t>(b->cls)] += b->sizes.size();
    queue.clear();
  }
  open_bytes = 0;
  if (!leaving) take_incarnation(0);
}

/// Lanes that ended with a view up to `upto` held nothing beyond their final cut that was ever delivered (L8 b).
void core::impl::seal_ended_lanes(log_index upto) {
  for (const auto& v : log.views()) {
    if (v.index <= log.base().index || v.index > upto) continue;
    const auto* ended = lanes.table_of(log.view_at(v.index - 1)->number);
    for (slot s = 0; s < ended->lanes.size() && !is_witness(); ++s) {
      auto& l = *ended->lanes[s];
      if (slot_of(*v.what, l.owner, l.inc, l.kind) == no_slot) seal_lane(l, s, log.at(v.index));
    }
  }
}

/// V13, L8: batches above the final cut of a lane that ends were delivered by nobody who stays; they are void, but for
/// the extras of the entry.
void core::impl::seal_lane(lane& l, slot s, const entry& e) {
  std::vector<sequence> extras;
  for (const auto& x : e.extras)
    if (x.slot == s && !mutated(mutation::extras_dropped)) extras.push_back(x.seq);
  l.seal(at(e.cut, s), extras);
}

void core::impl::install(const entry& e) {
  const view_ptr next = e.next;
  const log_index index = e.index;
  const view_ptr before = in_force;
  COHORT_INVARIANT(next->number == before->number + 1, next->number, before->number);
  const auto* ended = lanes.table_of(before->number);
  deliver_view d;
  d.index = index;
  d.time = applied_time;
  d.what = next;
  for (slot s = 0; s < ended->lanes.size() && !is_witness(); ++s) {
    auto& l = *ended->lanes[s];
    if (slot_of(*next, l.owner, l.inc, l.kind) != no_slot) continue;
    if (!mutated(mutation::sealed_lane_not_capped)) seal_lane(l, s, e);
    if (l.owner == start.self && l.inc == own_inc) lose_own(d, l.kind);
  }
  if (mutated(mutation::install_drops_later_lanes)) {
    for (const auto& v : log.views())
      if (v.what->number > next->number)
        for (const auto& l : lanes.table_of(v.what->number)->lanes)
          if (slot_of(*next, l->owner, l->inc, l->kind) == no_slot) l->seal(l->trimmed());
  }
  remember_ended(e, *before);
  const bool was_active = my_slot != no_slot;
  if (was_active && slot_of(*next, start.self, promises.inc) != no_slot)
    for (const auto& r : next->roster)
      if (r.active && (slot_of(*before, r.id, r.inc) != no_slot || (mutated(mutation::together_by_name) && find(*before, r.id))))
        d.together.push_back(r.id.member);
  in_force = next;
  view_since = now;
  note_away();
  adopt_options();
  note_departures(*before, *next);
  view_index = index;
  applied_cut = carry_over(*before, e.cut, *next);
  begin_view_delivery();
  view_floor = applied_cut;
  if (wedged.on) {
    wedged.on = false;
    notify(event_kind::wedged, leader, next->number, false);
  }
  promises.view_commit = index;  // PA4
  save_state();
  view_position = state_position;
  if (tells_views_at_once()) durable_view = next->number;
  change = {};
  place_self();
  honour_blank_report();
  d.member = my_slot != no_slot;
  for (const auto& r : before->roster)
    if (!find(*next, r.id)) let_go.push_back({r, next->number, now + options.fail_after});
  std::erase_if(let_go, [&](const departed_member& m) { return now >= m.until || find(*next, m.who.id); });
  drop_disabled(d);
  if (was_active && my_slot == no_slot) {
    excluded(d);
    join_sent = instant{};
  }
  out.deliveries.emplace_back(std::move(d));
  ack_due = true;
  for (auto& p : peers) {
    p.lane_progress = now;
    p.lease_echo = instant{};
    if (p.join_inc != 0 && p.join_inc <= burnt(*next, p.id.member)) p.join_inc = 0;
  }
  if (role == core_role::leader) {
    const auto* r = find(*next, start.self);
    settle_requests();
    if (!r || !r->voter) step_down();  // V14
  }
}

}  // namespace cohort::protocol
