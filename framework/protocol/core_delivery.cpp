// Delivery: live, as lanes arrive, and by committed cuts (section 5, C6, C10).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

/// A view begins where the final cut of the one before has been delivered.
void core::impl::begin_view_delivery() {
  passed = applied_cut;
  passed.resize(lane_count(*in_force), 0);
  ahead.assign(passed.size(), {});
  closed = {};
  resend_due = {};
}

/// V17: without contact to a quorum's leader nothing is delivered live, unless the group says so.
bool core::impl::may_deliver_live() const { return my_slot != no_slot && (primary || options.minority_multicast); }

// ---- live -----------------------------------------------------------------------------------------------------------

bool core::impl::deliver_live() {
  if (total_only() || !may_deliver_live()) return false;
  const frontier limit = wedged.on && !mutated(mutation::deliveries_not_frozen) ? wedged.front : lanes.held(in_force->number);
  if (covers(passed, limit)) return false;
  // Where not everybody hears everybody's acknowledgements, nothing is known to be stable before a cut says so.
  return pass(limit, everybody_counts() ? stable_frontier() : frontier{}, false);
}

/// The table of section 5. What a committed cut covers counts as stable (O4).
bool core::impl::ready(const batch& b, slot s, const frontier& safe, bool by_cut) const {
  if (kind_of(b.cls) == lane_kind::plain) return b.cls != order::safe_fifo || by_cut || b.seq <= at(safe, s) || mutated(mutation::safe_at_receipt);
  const bool t = b.cls == order::total;
  // O3: T, too, is passed only behind its dependencies, for `passed` becomes those of other batches.
  if (!covers(passed, b.deps) && !mutated(t ? mutation::total_passed_early : mutation::causality_ignored)) return false;
  if (t) return true;
  if (applied < b.tdep && !mutated(mutation::tdep_ignored)) return false;
  if (b.cls == order::causal || by_cut) return true;
  // O2: its whole past must be as safe as itself, or a failure could lose the past and the message with it.
  return b.seq <= at(safe, s) && (covers(safe, b.deps) || mutated(mutation::safe_causal_alone));
}

bool core::impl::pass(const frontier& limit, const frontier& safe, bool by_cut) {
  const auto& table = *lanes.table_of(in_force->number);
  bool moved = false;
  for (bool again = true; again;) {
    again = false;
    for (slot s = 0; s < table.lanes.size(); ++s) {
      const auto& l = *table.lanes[s];
      while (passed[s] < at(limit, s)) {
        const batch* b = l.find(passed[s] + 1);
        if (!b && mutated(mutation::append_without_payload)) break;
        COHORT_INVARIANT(b != nullptr, passed[s] + 1, l.held());  // I7
        if (b->view != in_force->number && !by_cut && !mutated(mutation::later_view_delivered)) break;  // O9: of a later view
        if (!ready(*b, s, safe, by_cut)) break;
        ++passed[s];
        moved = again = true;
        if (b->cls == order::total) continue;  // O1: passed here, delivered by its cut
        if (std::erase(ahead[s], b->seq) > 0) continue;
        // O2: without its past a causal batch could still be lost.
        hand_out(l, *b, by_cut || is_safe(b->cls) || (b->seq <= at(safe, s) && (covers(safe, b->deps) || mutated(mutation::stable_without_past))));
      }
    }
  }
  return moved;
}

/// U waits for nothing, not even for a gap in its lane.
void core::impl::deliver_unordered(const lane& l, const batch& b) {
  if (b.cls != order::unordered || !b.part.whole() || b.view != in_force->number || wedged.on || !may_deliver_live()) return;
  const slot s = slot_of(*in_force, l.owner, l.inc, l.kind);
  if (s == no_slot) return;
  if (!mutated(mutation::unordered_forgotten)) ahead[s].push_back(b.seq);
  hand_out(l, b, false);
}

/// What does not depend on when it is delivered.
deliver_batch core::impl::describe(const lane& l, const batch& b) const {
  deliver_batch d;
  d.view = in_force->number;
  d.sender = l.owner.member;
  d.inc = l.inc;
  d.seq = b.seq;
  d.cls = b.cls;
  d.what = b.what;
  d.deadline = b.deadline;
  d.part = b.part;
  d.late = late(b);
  return d;
}

/// A batch whose outcome was told when a checkpoint was restored answers nobody any more.
bool core::impl::answers_own(const lane& l, const batch& b) const {
  const auto& undelivered = own_undelivered[static_cast<std::size_t>(b.cls)];
  return l.owner == start.self && l.inc == own_inc && !undelivered.empty() && undelivered.front().first == b.seq;
}

void core::impl::hand_out(const lane& l, const batch& b, bool is_stable) {
  auto& undelivered = own_undelivered[static_cast<std::size_t>(b.cls)];
  auto d = describe(l, b);
  d.index = applied;
  d.time = applied_time;
  d.stable = is_stable;
  const bool own = l.owner == start.self && l.inc == own_inc;
  // O10: extras are delivered behind the final cut, so what lies between is delivered nowhere.
  for (; own && b.cls == order::unordered && !undelivered.empty() && undelivered.front().first < b.seq; undelivered.pop_front())
    d.lost_before += undelivered.front().second;
  d.own = answers_own(l, b);
  if (d.own) undelivered.pop_front();
  count_delivered(b);
  if (interrupted(b)) return report_void(void_cause::interrupted, l, b, d.own);
  if (d.late && b.cls == order::unordered && !b.part.more) return report_void(void_cause::expired, l, b, d.own);  // DL2: else it would break lane and view
  out.deliveries.emplace_back(std::move(d));
}

// ---- by cuts --------------------------------------------------------------------------------------------------------

/// O4: first what is weaker than T, in dependency order, then T.
void core::impl::deliver_cut(const entry& e) {
  if (is_witness()) return;
  if (!total_only()) {
    pass(e.cut, {}, true);
    if (!mutated(mutation::append_without_payload)) COHORT_INVARIANT(covers(passed, e.cut), e.index, in_force->number);  // C6
    for (const auto& x : e.extras) {
      const auto* l = lanes.find(in_force->number, x.slot);
      const auto* b = l ? l->find(x.seq) : nullptr;
      if (!b || b->cls != order::unordered || !b->part.whole() || x.seq <= passed[x.slot]) continue;
      if (std::ranges::find(ahead[x.slot], x.seq) != ahead[x.slot].end()) continue;
      if (mutated(mutation::extras_ignored)) continue;
      hand_out(*l, *b, true);
    }
  }
  deliver_total(e);
}

/// C10: batches between the previous cut and this one by (stamp, slot, seq), a merge of runs that are sorted already.
void core::impl::deliver_total(const entry& e) {
  const auto* t = lanes.table_of(in_force->number);
  const bool mixed = !total_only();
  frontier next = applied_cut;
  next.resize(t->lanes.size(), 0);
  for (;;) {
    slot best = no_slot;
    const batch* b = nullptr;
    for (slot s = 0; s < t->lanes.size(); ++s) {
      if (mixed && t->lanes[s]->kind == lane_kind::plain) continue;
      const batch* candidate = nullptr;
      for (; next[s] < at(e.cut, s); ++next[s]) {
        candidate = t->lanes[s]->find(next[s] + 1);
        if (!candidate || candidate->cls == order::total) break;
        candidate = nullptr;
      }
      if (next[s] >= at(e.cut, s)) continue;
      if (!candidate && mutated(mutation::append_without_payload)) continue;
      COHORT_INVARIANT(candidate != nullptr, next[s] + 1, t->lanes[s]->held());  // I7: apply never waits
      if (!b || (candidate->stamp < b->stamp && !mutated(mutation::order_by_slot))) {
        b = candidate;
        best = s;
      }
    }
    if (!b) return;
    ++next[best];
    const auto& l = *t->lanes[best];
    auto& undelivered = own_undelivered[static_cast<std::size_t>(order::total)];
    const bool answers = answers_own(l, *b);
    if (const bool over = expired(*b, e); over || interrupted(*b)) {
      count_delivered(*b);
      if (answers) undelivered.pop_front();
      report_void(over ? void_cause::expired : void_cause::interrupted, l, *b, answers);
      continue;
    }
    auto d = describe(l, *b);
    d.index = e.index;
    d.time = e.time;
    d.position = delivered + 1;
    d.own = answers;
    delivered += b->messages();
    if (mutated(mutation::delivered_twice) && !d.own && d.seq % 64 == 0) out.deliveries.emplace_back(d);
    if (mutated(mutation::gap_skipped) && !d.own && d.seq % 64 == 0) continue;
    count_delivered(*b);
    if (d.own) undelivered.pop_front();
    out.deliveries.emplace_back(std::move(d));
  }
}

/// C12: an entry that brought its time to the replica with no T message, among what was delivered from `first` on.
void core::impl::tell_time(const entry& e, std::size_t first) {
  if (is_witness()) return;
  for (auto i = first; i < out.deliveries.size(); ++i)
    if (const auto* b = std::get_if<deliver_batch>(&out.deliveries[i]); b && b->cls == order::total && b->messages() > 0) return;
  const auto time = mutated(mutation::timers_by_own_clock) ? std::max(wall, e.time) : e.time;
  out.deliveries.emplace_back(deliver_time{e.index, time, in_force->number, delivered});
}

/// DL1: decided by the entry that orders it, so equal everywhere and for ever.
bool core::impl::expired(const batch& b, const entry& e) const {
  if (b.deadline == wall_time{} || b.part.more || mutated(mutation::deadline_at_sending_only)) return false;  // a large message is judged by its end
  return (mutated(mutation::expiry_by_own_clock) ? wall : e.time) > b.deadline;
}

void core::impl::report_void(void_cause why, const lane& l, const batch& b, bool own) {
  out.deliveries.emplace_back(deliver_void{why, l.owner.member, l.inc, b.seq, own, b.what, b.cls, b.part});
}

// ---- frontiers ------------------------------------------------------------------------------------------------------

/// D8: the highest batch that so many voters hold that every quorum contains one of them. Only who is active in this view
/// under the same incarnation counts: others' promises ended with their lives.
sequence core::impl::stable(slot s) {
  scratch.clear();
  for (const auto& r : in_force->roster) {
    if (r.witness) continue;
    if (!r.voter || (!r.active && !mutated(mutation::inactive_counted_stable))) continue;
    if (r.id == start.self) {
      if (r.inc == promises.inc) scratch.push_back(acked(s));
      continue;
    }
    const auto* p = known_peer(r.id);
    const bool current = p && (p->inc == r.inc || mutated(mutation::inactive_counted_stable)) && p->view == in_force->number;
    scratch.push_back(current ? at(p->have, s) : 0);
  }
  auto threshold = std::max<std::size_t>(1, stability_threshold(*in_force) - (mutated(mutation::stable_one_too_early) ? 1 : 0));
  // As if every member of a quorum held it, the witnesses too.
  if (mutated(mutation::witness_counted_stable)) threshold = 1 + data_voter_count(*in_force) - std::min(data_voter_count(*in_force), quorum_size(*in_force));
  return nth_largest(threshold);
}

frontier core::impl::stable_frontier() {
  frontier f(lane_count(*in_force));
  for (slot s = 0; s < f.size(); ++s) f[s] = stable(s);
  return f;
}

/// C6: the largest vector between `from`, which is closed, and `limit` that contains with every causal batch what it
/// depends on. Plain batches depend on nothing.
frontier core::impl::closed_frontier(frontier from, const frontier& limit) const {
  const auto& table = *lanes.table_of(in_force->number);
  if (!needs_dependencies(in_force->options.orders) || mutated(mutation::cut_not_closed)) {
    raise(from, limit);
    return from;
  }
  from.resize(table.lanes.size(), 0);
  for (slot s = 0; s < table.lanes.size(); ++s)
    if (table.lanes[s]->kind == lane_kind::plain) from[s] = std::max(from[s], at(limit, s));
  for (bool again = true; again;) {
    again = false;
    for (slot s = 0; s < table.lanes.size(); ++s) {
      while (from[s] < at(limit, s)) {
        const auto* b = table.lanes[s]->find(from[s] + 1);
        if (!b || !covers(from, b->deps)) break;
        ++from[s];
        again = true;
      }
    }
  }
  return from;
}

/// FC2: receivers drop what reaches two windows above the applied cut, and it is sent again a while later (L7). So the next cut does
/// not wait for its time once half a window is behind the last one.
bool core::impl::cut_is_large(const frontier& before, const frontier& cut) const {
  if (mutated(mutation::cuts_by_time_alone)) return false;
  const auto& table = *lanes.table_of(in_force->number);
  for (slot s = 0; s < table.lanes.size(); ++s)
    if (table.lanes[s]->bytes_above(at(before, s)) - table.lanes[s]->bytes_above(at(cut, s)) >= options.lane_window / 2) return true;
  return false;
}

/// Only T waits for cuts. What else there is can be covered by and by: for trimming, and for those who catch up by the log.
bool core::impl::cut_is_urgent(const frontier& before, const frontier& cut) const {
  if (!in_force->options.orders.has(order::total)) return false;
  const auto& table = *lanes.table_of(in_force->number);
  for (slot s = 0; s < table.lanes.size(); ++s) {
    if (table.lanes[s]->kind == lane_kind::plain) continue;
    for (sequence q = at(before, s) + 1; q <= at(cut, s); ++q)
      if (const auto* b = table.lanes[s]->find(q); b && b->cls == order::total) return true;
  }
  return false;
}

}  // namespace cohort::protocol
