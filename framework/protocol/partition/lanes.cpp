// Batches: submission, sealing, receipt, repair and flow control (sections 2, 10).
#include "framework/protocol/partition/core_impl.hpp"

namespace cohort::protocol::partition {
namespace {

constexpr std::size_t promises_max = 64;

}  // namespace

submit_status core::impl::takes(order how, wall_time deadline) const {
  if (!options.orders.has(how)) return submit_status::not_enabled;
  // Its stamp would be larger than all that are known: the group's time counts, not this clock alone (DL1).
  if (deadline != wall_time{} && deadline <= std::max(wall, time_of(clock))) return submit_status::too_late;
  return submit_status::taken;
}

bool core::impl::window_full(std::size_t bytes) const {
  std::size_t under_way = open_bytes;
  for (const auto k : {lane_kind::plain, lane_kind::causal}) {
    const auto s = slot_of(rank, k);
    under_way += lanes[s]->bytes_above(at(stable, s));
  }
  return under_way > 0 && under_way + bytes > options.lane_window;
}

submit_status core::impl::submit(std::span<const std::span<const std::byte>> messages, order how, wall_time deadline) {
  if (const auto refusal = takes(how, deadline); refusal != submit_status::taken) return refusal;
  std::size_t bytes = 0;
  for (const auto& m : messages) {
    if (m.size() > std::min(options.message_bytes_max, options.part_bytes)) return submit_status::too_large;
    bytes += m.size() + sizeof(std::uint32_t);
  }
  if (window_full(bytes)) {
    told_busy = true;
    return submit_status::busy;
  }
  auto& queue = open[static_cast<std::size_t>(kind_of(how))];
  for (const auto& m : messages) {
    if (queue.empty() || queue.back()->cls != how || queue.back()->deadline != deadline ||
        (queue.back()->blob.size() + m.size() > options.batch_bytes && !queue.back()->sizes.empty())) {
      queue.push_back(std::make_unique<open_batch>());
      queue.back()->cls = how;
      queue.back()->deadline = deadline;
    }
    auto& b = *queue.back();
    b.sizes.push_back(static_cast<std::uint32_t>(m.size()));
    b.blob.insert(b.blob.end(), m.begin(), m.end());
  }
  open_bytes += bytes;
  return submit_status::taken;
}

void core::impl::seal() {
  for (const auto k : {lane_kind::plain, lane_kind::causal}) {  // plain first: what the causal lane depends on
    auto& queue = open[static_cast<std::size_t>(k)];
    const auto s = slot_of(rank, k);
    while (!queue.empty()) {
      const bool full = queue.size() > 1 || queue.front()->blob.size() >= options.batch_bytes;
      // N3: while own batches are under way small ones gather.
      const auto under_way = queue.front()->cls == order::total ? totals[s].size() : lanes[s]->held() - at(stable, s);
      if (!full && under_way >= options.batches_in_flight) break;
      auto b = std::move(queue.front());
      queue.pop_front();
      seal_one(std::move(b));
    }
  }
}

/// In the kind's lane what comes next follows all that was submitted before it.
void core::impl::seal_all(lane_kind k) {
  for (auto& queue = open[static_cast<std::size_t>(k)]; !queue.empty();) {
    auto b = std::move(queue.front());
    queue.pop_front();
    seal_one(std::move(b));
  }
}

/// Told once for a `busy` and once for a `part_waits`.
void core::impl::tell_open_window() {
  const bool parts = told_part_waits && may_deliver() && part_bytes_under_way() <= part_window() / 2;
  const bool all = told_busy && !window_full(1);
  if (parts) told_part_waits = false;
  if (all) told_busy = false;
  if (parts || all) happened(event_kind::window_open);
}

void core::impl::seal_one(std::unique_ptr<open_batch> b) {
  const auto kind = kind_of(b->cls);
  const bool depends = kind == lane_kind::causal && needs_dependencies(options.orders);
  // L5, O6: it waits for what was sent before it in the other lane, so none of that stays open to gather more.
  if (depends) seal_all(lane_kind::plain);
  const auto s = slot_of(rank, kind);
  batch sealed;
  sealed.view = view->id.counter;
  sealed.slot = s;
  sealed.owner = self.member;
  sealed.inc = self.inc;
  sealed.cls = b->cls;
  sealed.deadline = b->deadline;
  sealed.part = b->part;
  sealed.seq = lanes[s]->held() + 1;
  clock = std::max(static_cast<std::uint64_t>(wall.count()) << stamp_shift, clock + 1);  // L4
  sealed.stamp = clock;
  if (depends) {
    sealed.deps = passed;
    sealed.deps[slot_of(rank, lane_kind::plain)] = lanes[slot_of(rank, lane_kind::plain)]->held();
    sealed.tdep = totals_delivered;
  }
  open_bytes -= b->blob.size() + b->sizes.size() * sizeof(std::uint32_t);
  const std::shared_ptr<open_batch> owner = std::move(b);
  sealed.what = {owner, owner->sizes, owner->blob};
  send(message(sealed), others(), identity_at);
  store(std::move(sealed));
}

/// Into its lane, and whatever is contiguous now takes effect.
void core::impl::store(batch&& b) {
  const auto bytes = b.what.bytes();
  if (!options.durable) {
    progress_due = true;
    take_into_lane(std::move(b), 0);
  } else if (take_into_lane(batch(b), last_position + 1)) {
    since_checkpoint += bytes;
    persist({0, persist_batch{std::move(b)}});  // it is acknowledged when that is done
  }
}

bool core::impl::take_into_lane(batch&& b, journal_position at) {
  const auto s = b.slot;
  auto& l = *lanes[s];
  const auto before = l.held();
  clock = std::max(clock, b.stamp);
  if (!l.store(std::move(b), at)) return false;
  for (auto seq = before + 1; seq <= l.held(); ++seq)
    if (const auto* next = l.find(seq); next->cls == order::total && seq > totals_passed[s]) totals[s].push_back(seq);
  if (kind_at(s) == lane_kind::causal) note_clock(s / 2u);
  return true;
}

void core::impl::receive_batch(voter_id from, batch&& b) {
  // Crash failures do not make up batches; what does not fit a view would still corrupt it, so it is not taken.
  const auto& sender = peers.at(from.member);
  if (!b.part.whole() && (b.what.sizes.size() != 1 || b.part.begun != b.view)) return;
  if (b.what.sizes.empty() || b.seq == 0 || b.stamp > ~std::uint64_t{0} / 2) return;
  const bool of_next = is_prepared && wedged() && b.view == taking_part.counter;
  const auto& v = of_next ? *next_view : *view;
  const auto r = rank_of(v, {b.owner, b.inc});
  if (r == no_slot || rank_of(v, sender.who) == no_slot) return;
  // Own ones come from others only if this process forgot them with a crash.
  if (process{b.owner, b.inc} == self && b.view > resumed) return;
  b.slot = slot_of(r, kind_of(b.cls));
  if (b.deps.size() > 2 * v.members.size()) return;
  if (of_next) {  // its view is being installed: the owner was told first
    early_bytes += b.what.bytes();
    if (early_bytes <= options.lane_window) early.push_back(std::move(b));
    return;
  }
  if (b.view != view->id.counter && !mistaken(mistake::late_batches_taken)) return;  // O9: its view has ended here
  auto& l = *lanes[b.slot];
  if (b.seq <= l.held()) {
    progress_due = true;  // the sender has missed our acknowledgement
    return;
  }
  if (wedged()) {  // V4: what is held stays as it was accounted for, but for what the flush asks for (P4)
    const auto* f = next_view ? own_flush(*next_view) : nullptr;
    if (!f || b.seq > at(f->want, b.slot)) return;
  } else if (l.bytes_above(at(stable, b.slot)) > 2 * options.lane_window + options.part_bytes) {
    return;  // FC2: it is asked for again
  }
  store(std::move(b));
}

void core::impl::receive_pull(member_id from, const pull& what) {
  if (what.view != view->id.counter) return;
  const auto r = rank_of(*view, {what.owner, what.inc});
  if (r == no_slot) return;
  const auto& l = *lanes[slot_of(r, what.kind)];
  std::size_t bytes = 0;
  const std::array to{from};
  const auto last = std::min(what.to, l.held());
  for (auto seq = std::max(what.from, l.trimmed() + 1); seq <= last && bytes < options.pull_bytes_max; ++seq) {
    const auto* b = l.find(seq);
    bytes += b->what.bytes();
    send(message(*b), to, identity_at);
  }
}

frontier core::impl::own_front() const {
  frontier front(lanes.size());
  for (std::size_t s = 0; s < lanes.size(); ++s) front[s] = lanes[s]->held();
  return front;
}

/// All of it is on disk, but for what was sealed: whoever hears of that asks for it.
progress core::impl::own_progress() {
  progress p{view->id, clock, members[rank].merged, own_front()};
  for (const auto k : {lane_kind::plain, lane_kind::causal})
    p.sealed[static_cast<std::size_t>(k)] = p.have[slot_of(rank, k)];
  if (options.durable && !mistaken(mistake::acknowledged_unwritten))
    for (std::size_t s = 0; s < lanes.size(); ++s) p.have[s] = lanes[s]->durable(persisted_to);
  return p;
}

void core::impl::receive_progress(process from, const progress& what) {
  if (what.view != view->id) {
    // P6: whoever has installed it has seen that all are prepared.
    if (next_view && rank_of(*next_view, from) != no_slot) may_be_installed(what.view);
    return;
  }
  const auto r = rank_of(*view, from);
  if (r == no_slot || what.have.size() != lanes.size()) return;
  auto& m = members[r];
  raise(m.have, what.have);
  m.merged |= what.merged;
  for (std::size_t k = 0; k < 2; ++k) m.sealed[k] = std::max(m.sealed[k], what.sealed[k]);
  m.promises.emplace_back(what.sealed[static_cast<std::size_t>(lane_kind::causal)], what.clock);
  if (m.promises.size() > promises_max) m.promises.pop_front();
  note_clock(r);
  see_barrier();
}

void core::impl::note_clock(std::size_t r) {
  auto& m = members[r];
  const auto& l = *lanes[slot_of(r, lane_kind::causal)];
  if (const auto* newest = l.find(l.held())) m.clock = std::max(m.clock, newest->stamp);
  std::erase_if(m.promises, [&](const auto& p) {
    if (p.first > l.held()) return false;
    m.clock = std::max(m.clock, p.second);
    return true;
  });
}

void core::impl::find_stable() {
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    auto least = options.durable ? lanes[s]->durable(persisted_to) : lanes[s]->held();
    for (std::size_t r = 0; r < members.size(); ++r)
      if (r != rank) least = std::min(least, at(members[r].have, s));
    stable[s] = std::max(stable[s], least);
  }
}

void core::impl::ask_for(slot s, sequence to, member_id whom) {
  if (whom == self.member) return;
  const auto& l = *lanes[s];
  const std::array target{whom};
  send(message(pull{view->id.counter, s, l.held() + 1, to, l.owner.member, l.inc, l.kind}), target, identity_at);
}

/// L7: what another is known to hold and did not come by itself.
void core::impl::pull_missing() {
  const auto* f = wedged() && next_view ? own_flush(*next_view) : nullptr;
  if (wedged() && !f) return;
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    const auto owner = s / 2;
    const auto target = f ? at(f->want, s) : members[owner].sealed[s % 2];
    auto& since = pulled[s];
    if (lanes[s]->held() >= target) {
      since = never;
    } else if (since == never && !f) {
      since = now;
    } else if (since == never || now - since >= pull_wait()) {
      since = now;
      ask_for(static_cast<slot>(s), target, f ? f->together[f->holders[s]].member : view->members[owner].member);
    }
  }
}

/// What all members hold and this one has delivered is needed by nobody (S3).
void core::impl::trim() {
  if (wedged()) return;
  for (std::size_t s = 0; s < lanes.size(); ++s) {
    auto upto = std::min(stable[s], passed[s]);
    if (!totals[s].empty()) upto = std::min(upto, totals[s].front() - 1);
    // The newest one stays: its stamp says what is still to come (note_clock).
    if (upto > 0 && upto - 1 > lanes[s]->trimmed()) lanes[s]->trim(upto - 1);
  }
}

}  // namespace cohort::protocol::partition
