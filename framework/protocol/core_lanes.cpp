// Lanes: submission, sealing, receipt, retransmission and flow control (sections 2, 10).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

/// Stamps are hybrid logical clocks: microseconds in the upper bits, a counter in the lower twelve (CK8).
static constexpr unsigned stamp_shift = 12;

submit_status core::impl::submit(std::span<const std::span<const std::byte>> messages) {
  if (!has_state || my_slot == no_slot) return submit_status::not_member;
  if (!primary) return submit_status::no_quorum;
  std::size_t bytes = 0;
  for (const auto& m : messages) {
    if (m.size() > options.message_bytes_max) return submit_status::too_large;
    bytes += m.size() + sizeof(std::uint32_t);
  }
  // FC1. Something is always let through when nothing is under way, however large it is.
  const std::size_t under_way = own_in_flight() + open_bytes;
  if ((under_way > 0 && under_way + bytes > options.lane_window) || (journal_full() && options.durable)) {
    told_busy = true;
    return submit_status::busy;
  }
  std::size_t left = bytes;
  for (const auto& m : messages) {
    if (open.empty() || open.back()->blob.size() + m.size() > options.batch_bytes) {
      if (open.empty() || !open.back()->sizes.empty()) {
        open.push_back(std::make_shared<open_batch>());
        open.back()->blob.reserve(std::max(m.size(), std::min(options.batch_bytes, left)));
        open.back()->oldest = now;
      }
    }
    auto& b = *open.back();
    b.sizes.push_back(static_cast<std::uint32_t>(m.size()));
    b.blob.insert(b.blob.end(), m.begin(), m.end());
    left -= m.size() + sizeof(std::uint32_t);
  }
  open_bytes += bytes;
  return submit_status::taken;
}

std::size_t core::impl::own_in_flight() const {
  if (my_slot == no_slot) return 0;
  return lanes.find(in_force->number, my_slot)->bytes_above(slowest(my_slot));
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

std::vector<member_id> core::impl::active_others() const {
  std::vector<member_id> members;
  for (const auto& r : in_force->roster) {
    if (!r.active || r.id == start.self) continue;
    const auto* p = known_peer(r.id);
    if (!p || !p->no_state) members.push_back(r.id.member);
  }
  return members;
}

bool core::impl::seal() {
  if (!may_seal() || open.empty()) return false;
  bool sealed = false;
  while (!open.empty()) {
    const bool full = open.size() > 1 || open.front()->blob.size() >= options.batch_bytes;
    const bool old = options.batch_delay.count() > 0 && now - open.front()->oldest >= options.batch_delay;
    // N3: while own batches are under way small ones gather, so batches grow with the load by themselves.
    if (!full && !old && own_unapplied.size() >= options.batches_in_flight) break;
    auto b = std::move(open.front());
    open.pop_front();
    seal_one(std::move(b));
    sealed = true;
  }
  return sealed;
}

void core::impl::seal_one(std::shared_ptr<open_batch> b) {
  auto* own = lanes.find(in_force->number, my_slot);
  batch sealed;
  sealed.view = in_force->number;
  sealed.slot = my_slot;
  sealed.owner = self();
  sealed.inc = promises.inc;
  sealed.seq = own->held() + 1;
  largest_stamp = std::max(static_cast<std::uint64_t>(wall.count()) << stamp_shift, largest_stamp + 1);  // L4
  if (mutated(mutation::stamp_restarts)) largest_stamp = static_cast<std::uint64_t>(wall.count()) << stamp_shift;
  sealed.stamp = largest_stamp;
  open_bytes -= b->blob.size() + b->sizes.size() * sizeof(std::uint32_t);
  own_inc = promises.inc;
  own_unapplied.emplace_back(sealed.seq, b->sizes.size());
  sealed.what.sizes = b->sizes;
  sealed.what.blob = b->blob;
  sealed.what.owner = std::move(b);
  const auto position = persist(persist_batch{self(), promises.inc, sealed});
  send_to(active_others(), sealed);
  own->store(std::move(sealed), position);
  ack_due = true;
}

void core::impl::receive_batch(voter_id from, batch&& b) {
  if (!has_state || b.what.sizes.empty()) return;
  // L6, I12: lanes that ended with an older view have delivered all they ever will; staying ones are beyond it.
  if (b.view < in_force->number && !mutated(mutation::late_batches_accepted)) return;
  auto* l = lanes.find(b.view, b.slot);
  // An uncommitted VIEW of a deposed leader may have the number of the sender's view: then the slot means another lane.
  if (l && (l->owner.member != b.owner || l->inc != b.inc) && !mutated(mutation::lane_by_slot_alone)) return;
  // Lanes of an earlier life of ours are like anybody else's: a crash may have lost what the others hold.
  if (!l || (l->owner == start.self && l->inc == promises.inc)) return;
  const bool from_owner = l->owner == from;
  if (b.seq <= l->held()) {
    ack_due = true;  // the owner has missed our ack (mutation 53: no duplicates are delivered, only acknowledged again)
    return;
  }
  const bool wanted = !offered.empty() || change.running;  // a cut that we were offered covers it, or a flush pulls it
  if (!wanted && from_owner) {
    // FC2: two windows per lane; the owner sends again what is dropped here.
    const bool current = b.view == in_force->number;
    if (current && l->bytes_above(at(applied_cut, b.slot)) + b.what.bytes() > 2 * options.lane_window + options.message_bytes_max) return;
  }
  if (options.durable && journal_full()) return;  // a disk that does not keep up must not fill the memory
  if (b.seq > l->held() + lane_ahead_max) return;
  if (l->find(b.seq)) return;
  // PA21: a sender whose clock runs ahead must not drag everybody's stamps along. Its batches are taken all the same: stamps never
  // go back, so it would stay mute long after its clock was set right.
  const auto bound = static_cast<std::uint64_t>((wall + options.max_ahead).count()) << stamp_shift;
  const bool read_off_the_clock = (b.stamp & ((std::uint64_t{1} << stamp_shift) - 1)) == 0;  // the others count on from that
  if (b.stamp > bound && read_off_the_clock) notify(event_kind::clock_ahead, l->owner.member);
  const bool follow = b.stamp <= bound || mutated(mutation::pa21_stamps_unbounded);
  largest_stamp = std::max(largest_stamp, follow ? b.stamp : bound);
  const auto position = persist(persist_batch{l->owner.member, l->inc, b});
  l->store(std::move(b), position);
  ack_due = true;
}

void core::impl::receive_pull(voter_id from, const pull& p) {
  if (!has_state) return;
  const auto* l = lanes.find(p.view, p.slot);
  if (!l || ((l->owner.member != p.owner || l->inc != p.inc) && !mutated(mutation::lane_by_slot_alone))) return;
  std::size_t bytes = 0;
  for (sequence q = std::max(p.from, l->trimmed() + 1); q <= p.to && q >= p.from && bytes < options.pull_bytes_max; ++q) {
    const auto* b = l->find(q);
    if (!b) {
      if (q > l->held()) break;
      continue;
    }
    bytes += b->what.bytes();
    // The slot is named in the asker's terms: it may not know the view in which the batch was sealed.
    batch answer = *b;
    answer.view = p.view;
    answer.slot = p.slot;
    answer.owner = l->owner.member;
    answer.inc = l->inc;
    send(from.member, std::move(answer));
  }
}

/// L7: what an active member's acks show missing is sent again, after a link came up or when nothing moved for long.
void core::impl::resend_lanes() {
  if (my_slot == no_slot) return;
  auto* own = lanes.find(in_force->number, my_slot);
  for (const auto& r : in_force->roster) {
    if (!r.active || r.id == start.self) continue;
    auto& p = peer_of(r.id);
    if (p.inc != r.inc || p.view != in_force->number || superseded(p)) continue;
    const sequence has = at(p.have, my_slot);
    if (has >= own->held()) {
      p.lane_progress = now;
      continue;
    }
    if (now - p.lane_progress < 4 * options.heartbeat) continue;
    if (wedged.on && has >= at(wedged.front, my_slot)) continue;
    p.lane_progress = now;
    std::size_t bytes = 0;
    for (sequence q = std::max(has, own->trimmed()) + 1; q <= own->held() && bytes < options.pull_bytes_max; ++q) {
      const auto* b = own->find(q);
      if (!b) continue;
      bytes += b->what.bytes();
      batch again = *b;
      again.view = in_force->number;
      again.slot = my_slot;
      again.owner = self();
      again.inc = own->inc;
      send(r.id.member, std::move(again));
    }
  }
}

void core::impl::pull_missing(const frontier& want, view_number number, member_id from) {
  const auto held = lanes.held(number);
  for (slot s = 0; s < want.size() && s < held.size(); ++s) {
    if (held[s] >= want[s]) continue;
    const auto& l = *lanes.find(number, s);
    send(from, pull{number, s, held[s] + 1, want[s], l.owner.member, l.inc});
  }
}

/// L8: what is held, on disk in durable groups, capped by the wedge front.
frontier core::impl::acked_frontier() {
  frontier f;
  const auto* t = lanes.table_of(in_force->number);
  for (const auto& l : t->lanes) f.push_back(options.durable && !mutated(mutation::frontier_acked_unsynced) ? l->durable(persisted_to) : l->held());
  if (wedged.on && !mutated(mutation::acks_not_frozen))
    for (slot s = 0; s < f.size(); ++s) f[s] = std::min(f[s], at(wedged.front, s));
  return f;
}

void core::impl::window_check() {
  if (!told_busy || my_slot == no_slot) return;
  if (own_in_flight() + open_bytes > options.lane_window / 2 || (journal_full() && options.durable)) return;
  told_busy = false;
  notify(event_kind::window_open);
}

}  // namespace cohort::protocol
