// Lanes: submission, sealing, receipt, retransmission and flow control (sections 2, 10).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

/// Stamps are hybrid logical clocks: microseconds in the upper bits, a counter in the lower twelve (CK8).
static constexpr unsigned stamp_shift = 12;

/// Whether a message of that class can be taken at all.
submit_status core::impl::takes(order how, wall_time deadline) const {
  if (!has_state || my_slot == no_slot) return submit_status::not_member;
  if (!in_force->options.orders.has(how)) return submit_status::not_enabled;
  const bool goes_on = options.minority_multicast && !is_safe(how);  // V17
  if (!primary && !goes_on) return submit_status::no_quorum;
  if (deadline != wall_time{} && deadline <= std::max(wall, applied_time)) return submit_status::too_late;
  return submit_status::taken;
}

/// FC1. Something is always let through when nothing is under way, however large it is.
bool core::impl::window_full(std::size_t bytes) const {
  const std::size_t under_way = own_in_flight() + open_bytes;
  return (under_way > 0 && under_way + bytes > options.lane_window) || journal_full() || paced();
}

submit_status core::impl::submit(std::span<const std::span<const std::byte>> messages, order how, wall_time deadline) {
  if (const auto refusal = takes(how, deadline); refusal != submit_status::taken) return refusal;
  std::size_t bytes = 0;
  for (const auto& m : messages) {
    if (m.size() > options.part_bytes) return submit_status::too_large;
    bytes += m.size() + sizeof(std::uint32_t);
  }
  if (window_full(bytes)) {
    told_busy = true;
    return submit_status::busy;
  }
  auto& queue = open[static_cast<std::size_t>(kind_of(how))];
  std::size_t left = bytes;
  for (const auto& m : messages) {
    const auto fits = [&](const open_batch& b) { return b.cls == how && b.deadline == deadline; };
    // One class and deadline a batch; the lane keeps the order in which messages were submitted to it.
    if (queue.empty() || !fits(*queue.back()) || queue.back()->blob.size() + m.size() > options.batch_bytes) {
      if (queue.empty() || !fits(*queue.back()) || !queue.back()->sizes.empty()) {
        queue.push_back(std::make_shared<open_batch>());
        queue.back()->cls = how;
        queue.back()->deadline = deadline;
        queue.back()->blob.reserve(std::max(m.size(), std::min(options.batch_bytes, left)));
        queue.back()->oldest = now;
      }
    }
    auto& b = *queue.back();
    b.sizes.push_back(static_cast<std::uint32_t>(m.size()));
    b.blob.insert(b.blob.end(), m.begin(), m.end());
    left -= m.size() + sizeof(std::uint32_t);
  }
  open_bytes += bytes;
  pace.room -= static_cast<std::int64_t>(bytes);
  return submit_status::taken;
}

std::uint64_t core::impl::undelivered(order o) const {
  std::uint64_t messages = 0;
  for (const auto& [seq, count] : own_undelivered[static_cast<std::size_t>(o)]) messages += count;
  return messages;
}

bool core::impl::all_delivered() const {
  return std::ranges::all_of(own_undelivered, [](const auto& of_class) { return of_class.empty(); });
}

std::size_t core::impl::own_in_flight() const {
  std::size_t bytes = 0;
  for (slot s = my_slot; s < own_slots_end(); ++s) bytes += lanes.find(in_force->number, s)->bytes_above(slowest(s));
  return bytes;
}

/// A view's number and a slot may mean another lane while competing VIEW entries are about: the name decides.
lane* core::impl::lane_of(const lane_name& name, view_number number, slot hint) const {
  auto* l = lanes.find(number, hint);
  if (l && (l->name() == name || mutated(mutation::lane_by_slot_alone))) return l;
  return lanes.find(name);
}

sequence core::impl::slowest(slot s) const {
  // PA7: the leader vouches that every active member has applied `leader_min_applied`.
  sequence vouched = at(view_floor, s);
  if (!mutated(mutation::pa7_windows_by_acks_alone) && leader_min_applied > view_index && leader_min_applied <= applied && leader_min_applied >= log.base().index)
    vouched = std::max(vouched, at(log.cut_behind(leader_min_applied), s));
  sequence least = lanes.find(in_force->number, s)->held();
  for (const auto& r : in_force->roster) {
    if (!r.active || !r.voter || r.id == start.self) continue;  // a learner that is still being fed holds nobody up
    const auto* p = known_peer(r.id);
    const bool current = p && p->inc == r.inc && p->view == in_force->number;
    least = std::min(least, std::max(vouched, current ? at(p->have, s) : 0));
  }
  return least;
}

/// The active members that are sent the batch `next` of our lane of that kind.
std::vector<member_id> core::impl::served_others(lane_kind k, sequence next) {
  std::vector<member_id> members;
  for (const auto& r : in_force->roster) {
    if (!r.active || r.id == start.self) continue;
    auto* p = place_of(r.id) < peers.size() ? &peers[place_of(r.id)] : nullptr;
    const bool served = !p || (!p->no_state && !far_behind(r, *p));
    if (served) members.push_back(r.id.member);
    if (!p) continue;
    auto& from = p->served_from[static_cast<std::size_t>(k)];
    from = r.voter || !served ? 0 : from > 0 && from <= next ? from : next;
  }
  return members;
}

/// A learner that has not come to this view, or lacks more of our lanes than it would take (FC2), pulls what it can use.
bool core::impl::far_behind(const roster_entry& r, const peer& p) const {
  if (r.voter || p.inc != r.inc) return false;
  if (p.view != in_force->number) return !mutated(mutation::learner_fed_early);
  for (slot s = my_slot; s < own_slots_end(); ++s)
    if (lanes.find(in_force->number, s)->bytes_above(at(p.have, s)) > 2 * options.lane_window) return true;
  return false;
}

bool core::impl::seal() {
  if (!may_seal() || nothing_open()) return false;
  const bool plain = seal(lane_kind::plain);  // first: what the causal lane depends on
  return seal(lane_kind::causal) || plain;
}

bool core::impl::seal(lane_kind k) {
  auto& queue = open[static_cast<std::size_t>(k)];
  bool sealed = false;
  while (!queue.empty()) {
    const auto cls = queue.front()->cls;
    const bool full = queue.size() > 1 || queue.front()->blob.size() >= options.batch_bytes;
    const bool old = options.batch_delay.count() > 0 && now - queue.front()->oldest >= options.batch_delay;
    // N3: while own batches are under way small ones gather, so batches grow with the load by themselves. T is under way
    // until it is ordered, the others until they are stable: the slowest member holds up nobody's latency.
    const auto s = own_slot(k);
    const auto under_way = cls == order::total ? own_undelivered[static_cast<std::size_t>(cls)].size()
                                               : lanes.find(in_force->number, s)->held() - stable(s);
    if (!full && !old && under_way >= options.batches_in_flight) break;
    auto b = std::move(queue.front());
    queue.pop_front();
    seal_one(std::move(b));
    sealed = true;
  }
  return sealed;
}

void core::impl::seal_all(lane_kind k) {
  for (auto& queue = open[static_cast<std::size_t>(k)]; !queue.empty();) {
    auto b = std::move(queue.front());
    queue.pop_front();
    seal_one(std::move(b));
  }
}

void core::impl::seal_one(std::shared_ptr<open_batch> b) {
  const auto kind = kind_of(b->cls);
  const bool depends = kind == lane_kind::causal && needs_dependencies(in_force->options.orders);
  // L5, O6: it waits for what was sent before it in the other lane, so none of that stays open to gather more.
  if (depends && !mutated(mutation::open_plain_left_behind)) seal_all(lane_kind::plain);
  const slot s = own_slot(kind);
  auto* own = lanes.find(in_force->number, s);
  batch sealed;
  sealed.view = in_force->number;
  sealed.slot = s;
  sealed.owner = self();
  sealed.inc = promises.inc;
  sealed.cls = b->cls;
  sealed.deadline = b->deadline;
  sealed.seq = own->held() + 1;
  largest_stamp = std::max(static_cast<std::uint64_t>(wall.count()) << stamp_shift, largest_stamp + 1);  // L4
  if (mutated(mutation::stamp_restarts)) largest_stamp = static_cast<std::uint64_t>(wall.count()) << stamp_shift;
  sealed.stamp = largest_stamp;
  if (depends) {
    // L5: what was delivered here, and what was sent before in the other lane.
    sealed.deps = passed;
    if (b->cls == order::total && mutated(mutation::deps_of_total_left_out)) std::ranges::fill(sealed.deps, 0);
    if (const slot plain = own_slot(lane_kind::plain); plain != no_slot && !mutated(mutation::own_plain_not_depended_on))
      sealed.deps[plain] = lanes.find(in_force->number, plain)->held();
    sealed.tdep = applied;
  }
  open_bytes -= b->blob.size() + b->sizes.size() * sizeof(std::uint32_t);
  sealed_bytes += b->blob.size() + b->sizes.size() * sizeof(std::uint32_t);
  sealed_rate.add(now, b->blob.size() + b->sizes.size() * sizeof(std::uint32_t));
  own_inc = promises.inc;
  sealed.part = b->part;
  sealed.what.sizes = b->sizes;
  sealed.what.blob = b->blob;
  sealed.what.owner = std::move(b);
  own_undelivered[static_cast<std::size_t>(sealed.cls)].emplace_back(sealed.seq, sealed.messages());
  const auto position = persist(persist_batch{sealed});
  begin_waiting();
  send_to(served_others(kind, sealed.seq), sealed);
  own->store(std::move(sealed), position);
  ack_due = true;
}

void core::impl::receive_batch(voter_id from, batch&& b) {
  if (!has_state || b.what.sizes.empty() || (!b.part.whole() && b.what.sizes.size() != 1)) return;
  // L6, I12: lanes that ended with an older view have delivered all they ever will; staying ones are beyond it.
  if (b.view < in_force->number && !mutated(mutation::late_batches_accepted)) return;
  auto* l = lane_of(b.lane(), b.view, b.slot);
  // Lanes of an earlier life of ours are like anybody else's: a crash may have lost what the others hold.
  if (!l || (l->owner == start.self && l->inc == promises.inc)) return;
  const bool from_owner = l->owner == from;
  if (b.seq <= l->held()) {
    ack_due = all_acked_due = true;  // the owner has missed our ack (mutation 53: no duplicates are delivered, only acknowledged again)
    return;
  }
  const bool wanted = !offered.empty() || change.running;  // a cut that we were offered covers it, or a flush pulls it
  if (!wanted && from_owner) {
    // FC2: two windows per lane; the owner sends again what is dropped here.
    const bool current = b.view == in_force->number;
    if (current && l->bytes_above(at(applied_cut, slot_of(*in_force, l->owner, l->inc, l->kind))) + b.what.bytes() > 2 * options.lane_window + options.part_bytes) return;
  }
  if (journal_full()) return;  // a disk that does not keep up must not fill the memory
  if (b.seq > l->held() + lane_ahead_max) return;
  if (l->find(b.seq)) return;
  // PA21: a sender whose clock runs ahead must not drag everybody's stamps along. Its batches are taken all the same: stamps never
  // go back, so it would stay mute long after its clock was set right.
  const auto bound = static_cast<std::uint64_t>((wall + options.max_ahead).count()) << stamp_shift;
  const bool read_off_the_clock = (b.stamp & ((std::uint64_t{1} << stamp_shift) - 1)) == 0;  // the others count on from that
  if (b.stamp > bound && read_off_the_clock) notify(event_kind::clock_ahead, l->owner.member);
  const bool follow = b.stamp <= bound || mutated(mutation::pa21_stamps_unbounded);
  largest_stamp = std::max(largest_stamp, follow ? b.stamp : bound);
  const auto position = persist(persist_batch{b});
  const sequence seq = b.seq;
  l->store(std::move(b), position);
  if (seq > l->held()) deliver_unordered(*l, *l->find(seq));
  ack_due = true;
}

bool core::impl::lacks_ours(const peer& p) const {
  for (slot s = my_slot; s < own_slots_end(); ++s)
    if (at(p.have, s) < lanes.find(in_force->number, s)->held()) return true;
  return false;
}

/// From now on it lacks a batch: who lacked nothing has owed no ack so far (L7).
void core::impl::begin_waiting() {
  for (const auto& r : in_force->roster)
    if (auto& p = peer_of(r.id); r.active && r.id != start.self && p.view == in_force->number && !lacks_ours(p)) p.lane_progress = now;
  resend_due = std::min(resend_due, now + 4 * options.heartbeat);
}

/// L7: what an active member's acks show missing is sent again, after a link came up or when nothing moved for long.
void core::impl::resend_lanes() {
  if (my_slot == no_slot || now < resend_due) return;
  resend_due = never;
  for (const auto& r : in_force->roster) {
    if (!r.active || r.id == start.self) continue;
    auto& p = peer_of(r.id);
    // Who has not said yet that it is in this view is looked at when it does.
    if (p.inc != r.inc || p.view != in_force->number || superseded(p) || !lacks_ours(p)) continue;
    if (now - p.lane_progress >= 4 * options.heartbeat && !may_be_slow(p)) resend_to(p);
    resend_due = std::min(resend_due, p.lane_progress + 4 * options.heartbeat);
  }
}

void core::impl::resend_to(peer& p) {
  bool again = false;
  std::size_t bytes = 0;
  for (slot s = my_slot; s < own_slots_end(); ++s) {
    const sequence has = at(p.have, s);
    if (wedged.on && has >= at(wedged.front, s)) continue;
    again = true;
    const auto& own = *lanes.find(in_force->number, s);
    for (sequence q = std::max(has, own.trimmed()) + 1; q <= own.held() && bytes < options.pull_bytes_max; ++q) {
      const auto* b = own.find(q);
      if (!b) continue;
      bytes += b->what.bytes();
      send(p.id.member, *b);
    }
  }
  if (again) p.lane_progress = now;
}

/// L8: what is held, on disk in durable groups, capped by the wedge front.
sequence core::impl::acked(slot s) {
  auto& l = *lanes.find(in_force->number, s);
  sequence has = kept == keeping::disk && !mutated(mutation::frontier_acked_unsynced) ? l.durable(persisted_to) : l.held();
  if (in_force->options.durable && !secured()) has = std::min(has, at(view_floor, s));  // X3
  return wedged.on && !mutated(mutation::acks_not_frozen) ? std::min(has, at(wedged.front, s)) : has;
}

frontier core::impl::acked_frontier() {
  frontier f(lane_count(*in_force));
  for (slot s = 0; s < f.size(); ++s) f[s] = acked(s);
  return f;
}

void core::impl::window_check() {
  if (told_part_waits && my_slot != no_slot && may_seal() && part_bytes_under_way() <= part_window() / 2) {
    told_part_waits = false;
    notify(event_kind::window_open);
  }
  if (!told_busy || my_slot == no_slot) return;
  if (own_in_flight() + open_bytes > options.lane_window / 2 || journal_full() || paced()) return;
  told_busy = false;
  notify(event_kind::window_open);
}

}  // namespace cohort::protocol
