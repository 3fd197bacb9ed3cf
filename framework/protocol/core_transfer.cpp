// Checkpoints, their transfer, and trimming (section 8).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

static constexpr std::uint32_t chunks_max = 1u << 22;  // 1 TiB in chunks of 256 KiB: a bound on what a peer may claim

// ---- making and keeping ---------------------------------------------------------------------------------------------

/// What is applied between checkpoints, and so the measure of payload in memory.
std::uint64_t core::impl::checkpoint_distance() const {
  return std::max({checkpoint_bytes(), last_checkpoint_bytes, options.lane_window});
}

void core::impl::maybe_checkpoint() {
  if (checkpoint_pending || incoming.running) return;
  const bool in_memory = kept == keeping::memory;
  const bool due = !in_memory && (bytes_since_mark >= std::max(checkpoint_bytes(), last_checkpoint_bytes) ||
                                  entries_since_mark >= options.checkpoint_entries);
  const bool later = due && somebody_is_fed() && bytes_since_mark < 4 * checkpoint_distance();
  if ((!due || later) && !checkpoint_wanted) return;
  checkpoint_wanted = false;
  checkpoint_pending = true;
  if (!in_memory) bytes_since_mark = entries_since_mark = 0;
  pending_mark = mark_here();
  pending_on_disk = !in_memory;
  out.deliveries.emplace_back(deliver_checkpoint{pending_mark, pending_on_disk});
}

/// A transfer that is under way goes on from the checkpoint it began with, and while a learner catches up there are other things to do:
/// nothing would be trimmed (S3).
bool core::impl::somebody_is_fed() const {
  if (mutated(mutation::fed_made_to_wait)) return false;
  return now < checkpoint_in_use_until() || std::ranges::any_of(in_force->roster, is_learner);
}

void core::impl::checkpoint_stored(log_index index, std::uint32_t chunks) {
  if (!checkpoint_pending || pending_mark.index != index) return;
  checkpoint_pending = false;
  if (!checkpoints.empty() && checkpoints.back().at.index == index) {
    checkpoints.back().on_disk |= pending_on_disk;
    checkpoints.back().chunks = chunks;
  }
  if (!checkpoints.empty() && checkpoints.back().at.index >= index) return;  // a received one overtook it
  checkpoints.push_back({pending_mark, chunks, pending_on_disk, now});
  if (checkpoints.size() > 2) checkpoints.pop_front();
  last_checkpoint_bytes = std::uint64_t(chunks) * 256 * 1024;
}

/// S4: payload is kept for a member that is away, within limits of bytes and time; then it is given a checkpoint.
bool core::impl::retained() const {
  if (options.retain_bytes == 0 && options.retain_time == duration(0)) return false;
  if (options.retain_bytes > 0 && lanes.bytes() > options.retain_bytes) return false;
  return std::ranges::any_of(away, [&](const auto& gone) {
    const auto since = mutated(mutation::retention_begins_anew) ? view_since : gone.second;
    return options.retain_time == duration(0) || now - since <= options.retain_time;
  });
}

/// However many views come and go meanwhile, each is away since it went.
void core::impl::note_away() {
  const auto before = std::move(away);
  away.clear();
  for (const auto& r : in_force->roster) {
    if (!r.voter || r.active || r.witness) continue;
    const auto known = std::ranges::find(before, r.id, &std::pair<voter_id, instant>::first);
    away.emplace_back(r.id, known == before.end() ? now : known->second);
  }
}

/// S2, S3, PA7, PA17: the log begins at the older of two checkpoints, or of two places, as far as every active member has applied it.
void core::impl::trim() {
  if (!may_begin_later() || retained()) return;
  const auto* place = trim_place(role == core_role::leader ? minimal_applied() : leader_min_applied);
  if (place) begin_log_at(*place);
}

void core::impl::begin_log_at(mark base) {
  log.trim(base);
  std::erase_if(places, [&](const mark& m) { return m.index <= base.index; });
  const auto& lanes_there = *lanes.table_of(base.in_force->number);
  for (slot s = 0; s < lanes_there.lanes.size() && !is_witness(); ++s) lanes_there.lanes[s]->trim(at(base.cut, s));
  lanes.forget_below(base.in_force->number);
  promises.base = std::move(base);
  save_state();
  journal_position needed = log.first_position(next_position);
  for (const auto& l : lanes.all()) needed = l->first_position(needed);
  if (kept != keeping::memory) persist(persist_trim{needed});
}

// ---- giving ---------------------------------------------------------------------------------------------------------

void core::impl::offer_checkpoint(peer& p) {
  if (withholds_state() || !p.linked) return;
  if (checkpoints.empty() || is_below_log(checkpoints.back().at) || too_old_to_give(checkpoints.back().at)) {
    checkpoint_wanted |= !checkpoint_pending;
    return;
  }
  // S6: a member that was excluded while it was alive takes no checkpoint of a view in which it was still active, under whatever
  // incarnation: it may have taken another one since.
  const auto* r = find(*in_force, p.id);
  const auto* then = find(*checkpoints.back().at.in_force, p.id);
  const bool active_now = r && r->active && r->inc == p.inc;
  if (!p.no_state && !active_now && then && then->active) {
    checkpoint_wanted |= !r || !r->active;
    return;
  }
  if (now - p.offer_sent < options.election_min) return;
  if (now - p.chunk_asked < options.pull_wait) return;  // it is pulling
  p.offer_sent = now;
  const auto& newest = checkpoints.back();
  chunk offer;
  offer.term = promises.term;
  offer.index = newest.at.index;
  const bool witness = r && r->witness;  // W1: the place in the log is all it needs
  offer.count = witness ? 0 : newest.chunks;
  struct head {
    std::vector<std::byte> bytes;
    std::uint32_t size = 0;
  };
  auto h = std::make_shared<head>();
  auto at = newest.at;
  at.missed = nullptr;  // what we were not delivered ourselves
  h->bytes = encode_mark(at, offer.count, start.checksum);
  h->size = static_cast<std::uint32_t>(h->bytes.size());
  offer.data = {h, {&h->size, 1}, h->bytes};
  send(p.id.member, std::move(offer));
}

void core::impl::receive_pull_chunk(voter_id from, const pull_chunk& p) {
  if (!has_state || p.number == 0) return;
  const auto known = std::ranges::find(checkpoints, p.index, [](const auto& c) { return c.at.index; });
  auto& asker = peer_of(from);
  if (known == checkpoints.end() || is_below_log(known->at) || p.number > known->chunks || withholds_state()) {
    asker.chunk_asked = instant{};
    if (role == core_role::leader) offer_checkpoint(asker);
    return;
  }
  asker.chunk_asked = now;
  const auto of_asker = std::ranges::count(wanted_chunks, from.member, &wanted_chunk::by);
  if (of_asker < options.chunk_window) wanted_chunks.push_back({from.member, p.index, p.number});
}

void core::impl::chunk_loaded(member_id to, log_index index, std::uint32_t number, payload data) {
  if (data.sizes.empty()) return;
  const auto known = std::ranges::find(checkpoints, index, [](const auto& c) { return c.at.index; });
  if (known == checkpoints.end() || withholds_state()) return;
  send(to, chunk{promises.term, index, number, known->chunks, std::move(data)});
}

// ---- receiving ------------------------------------------------------------------------------------------------------

void core::impl::receive_chunk(voter_id from, chunk&& c) {
  if (c.data.sizes.size() != 1 || c.count > chunks_max || c.number > c.count) return;
  if (c.number == 0) {
    mark at;
    std::uint32_t chunks = 0;
    if (decode_mark(c.data.blob, start.checksum, at, chunks) != record_error::none || !at.in_force) return;
    if (at.index != c.index || chunks != c.count || c.term < promises.term) return;
    if (c.term > promises.term) adopt_term(c.term);
    if (role == core_role::leader) return;
    leader_heard(from);
    if (has_state) {
      if (at.index <= applied) return;
      // S3: an active member never skips deliveries of its view; it may once a later view is without it (S6).
      const bool excluded = at.in_force->number > in_force->number && slot_of(*at.in_force, start.self, promises.inc) == no_slot;
      if (my_slot != no_slot && !excluded && !mutated(mutation::active_takes_checkpoint)) return;
      // I16: what it was delivered live beyond that cut it would be delivered again.
      const bool ran_ahead = !covers(at.cut, passed) || std::ranges::any_of(ahead, [](const auto& of_slot) { return !of_slot.empty(); });
      if (!total_only() && at.in_force->number == in_force->number && ran_ahead) return;
    }
    if (incoming.running && incoming.at.index >= at.index && now - incoming.progress < options.pull_wait) return;
    if (incoming.running && incoming.at.index == at.index && incoming.at.term == at.term && incoming.count == c.count) {
      // The same state is offered again because nothing arrived for long: go on with what is still missing.
      incoming.donor = from.member;
      incoming.asked = 0;
      incoming.asked_again = now;
      drive_transfer();
      return;
    }
    if (!has_state) keep_like(*at.in_force);
    incoming = {};
    incoming.running = true;
    incoming.donor = from.member;
    incoming.at = at;
    incoming.count = c.count;
    incoming.have.assign(c.count, false);
    incoming.progress = now;
    notify(event_kind::transfer_started, from.member, c.count, false, at.index);
    drive_transfer();
    return;
  }
  if (c.term > promises.term) adopt_term(c.term);
  if (role != core_role::leader && from == leader_id && c.term == promises.term) leader_heard(from);
  if (!incoming.running || c.index != incoming.at.index || c.number > incoming.count || incoming.have[c.number - 1]) return;
  incoming.have[c.number - 1] = true;
  ++incoming.received;
  incoming.progress = now;
  persist(persist_chunk{c.index, c.number, std::move(c.data)});
  drive_transfer();
}

void core::impl::drive_transfer() {
  if (!incoming.running) return;
  if (incoming.received == incoming.count) {
    finish_transfer();
    return;
  }
  if (now - std::max(incoming.progress, incoming.asked_again) >= options.pull_wait) {
    // Chunks or their requests were lost, or the donor died: the leader offers again, and any donor of the same
    // checkpoint goes on where this one stopped.
    incoming.asked_again = now;
    if (leader != no_member) incoming.donor = leader;
    incoming.asked = 0;
  }
  std::uint32_t open_asks = 0;
  for (std::uint32_t n = 1; n <= incoming.count && open_asks < options.chunk_window; ++n) {
    if (incoming.have[n - 1]) continue;
    ++open_asks;
    if (n <= incoming.asked) continue;
    incoming.asked = n;
    send(incoming.donor, pull_chunk{incoming.at.index, n});
  }
}

/// S4: what the group delivered up to the checkpoint, as its cuts and final cuts tell, and this member was not.
missed_ptr core::impl::missed_by(const mark& at) const {
  if (!has_state || is_witness() || mutated(mutation::gap_not_told)) return nullptr;
  auto m = std::make_shared<missed_messages>();
  m->after = applied;
  m->view = in_force->number;
  m->delivered = delivered;
  const auto had = [&](const lane_name& name) {
    had_of_lane h;
    const slot s = slot_of_lane(*in_force, name);
    if (s == no_slot) return h;
    h.upto = std::max(protocol::at(applied_cut, s), total_only() ? 0 : protocol::at(passed, s));
    const auto* l = lanes.find(in_force->number, s);
    for (sequence q = protocol::at(applied_cut, s) + 1; q <= h.upto; ++q)  // passed by live delivery, T apart
      if (const auto* b = l->find(q); b && b->cls == order::total && !mutated(mutation::passed_total_not_named)) h.not_these.push_back(q);
    if (s < ahead.size()) h.beyond = ahead[s];
    return h;
  };
  if (at.ended) {
    m->complete = at.ended->complete_from <= in_force->number;
    for (const auto& l : at.ended->lanes)
      if (l.view >= in_force->number && !mutated(mutation::ended_lanes_not_named))
        add_missed(m->runs, l.lane, l.view, had(l.lane), l.upto, l.extras);
  }
  for (slot s = 0; s < lane_count(*at.in_force); ++s) {
    const auto name = lane_at(*at.in_force, s);
    add_missed(m->runs, name, at.in_force->number, had(name), protocol::at(at.cut, s), {});
  }
  return m->runs.empty() && m->complete ? nullptr : m;
}

/// The lanes of `before` that end with the VIEW in `e`, in the order of their slots.
void core::impl::remember_ended(const entry& e, const view& before) {
  std::vector<ended_lane> over;
  for (slot s = 0; s < lane_count(before); ++s) {
    const auto name = lane_at(before, s);
    if (slot_of_lane(*e.next, name) != no_slot) continue;
    ended_lane l{name, before.number, at(e.cut, s), {}};
    for (const auto& x : e.extras)
      if (x.slot == s) l.extras.push_back(x.seq);
    if (l.upto > 0 || !l.extras.empty()) over.push_back(std::move(l));
  }
  ended = with_ended(ended, std::move(over));
}

void core::impl::finish_transfer() {
  mark at = incoming.at;
  const auto chunks = incoming.count;
  const auto donor = incoming.donor;
  incoming = {};
  notify(event_kind::transfer_finished, donor, chunks, false, at.index);
  if (has_state && at.index <= applied) return;  // the log was faster
  at.missed = missed_by(at);
  persist(persist_install{at, chunks});
  // S5: a suffix that agrees at the mark is kept, else the log is void. Its payload stays with it.
  const bool keep = has_state && log.has(at.index) && log.term_at(at.index) == at.term;
  if (keep) {
    // Everything up to the mark is replaced by the checkpoint; entries behind it stay appended and acked.
    while (checkpoints.size() > 1) checkpoints.pop_front();
  } else {
    if (has_state && log.last() > at.index) persist(persist_truncate{at.index + 1});
    log.reset(at);
    lanes.clear();
    lanes.learn(*at.in_force, at.cut);
    offered.clear();
    offered_term = 0;
    // PA5: a checkpoint verifies nothing against the leader's log.
    match = mutated(mutation::pa5_checkpoint_sets_match) ? at.index : 0;
    match_term = mutated(mutation::pa5_checkpoint_sets_match) ? promises.term : 0;
    promises.base = at;
    checkpoints.clear();
    places.clear();
  }
  checkpoints.push_back({at, chunks, kept != keeping::memory, {}});
  checkpoint_pending = false;
  const bool was_founded = has_state;
  has_state = true;
  std::erase(odd_members, self());
  const view_ptr before = in_force;
  applied = at.index;
  commit = std::max(commit, at.index);
  applied_time = at.time;
  applied_cut = at.cut;
  if (mutated(mutation::joiner_skips))
    for (auto& s : applied_cut) ++s;
  delivered = at.delivered;
  in_force = at.in_force;
  ended = at.ended;
  view_since = now;
  note_away();
  adopt_options();
  begin_view_delivery();
  for (auto& p : peers) await_anew(p);
  view_floor = at.cut;
  view_index = 0;
  for (const auto& v : log.views())
    if (v.index <= applied) view_index = v.index;
  if (keep) seal_ended_lanes(at.index);
  promises.view_commit = std::max(promises.view_commit, view_index);
  save_state();
  view_position = state_position;
  if (tells_views_at_once()) durable_view = in_force->number;
  wedged.on = false;
  change = {};
  bytes_since_mark = 0;
  entries_since_mark = 0;
  last_checkpoint_bytes = std::uint64_t(chunks) * 256 * 1024;
  out.deliveries.emplace_back(deliver_restore{at, chunks});
  restoring = at.index;
  deliver_view d;
  d.index = at.index;
  d.time = at.time;
  d.what = in_force;
  for (const auto k : {lane_kind::plain, lane_kind::causal}) lose_own(d, k);
  const bool was_active = my_slot != no_slot;
  place_self();
  honour_blank_report();
  if (was_active && my_slot == no_slot) excluded(d);  // S6
  d.member = my_slot != no_slot;
  out.deliveries.emplace_back(std::move(d));
  if (!was_founded) notify(event_kind::founded, self(), in_force->number);
  ack_due = true;
  draw_election();
}

}  // namespace cohort::protocol
