// How explorations copy a core and tell whether two are alike. Compiled for simulations only.
#include "framework/protocol/inspect.hpp"

#include "framework/protocol/digester.hpp"

namespace cohort::protocol {

namespace {

using impl = inspector::inside;

void add_peer(digester& d, const peer& x) {
  const auto& [id, heard, heard_order, inc, match_term, match, applied, base, view, have, no_state, match_progress, echo, lease_echo, next,
               probing, append_sent, went_back, offer_sent, chunk_asked, match_below, unservable_since, refused_our_clock,
               told, heard_at, rhythm, watched, patience, watched_from, suspected_since, probe_sent, asked_since, vouched_at, vouched_by,
               voucher_deaf, lag_told, lane_progress, served_from, join_inc, join_heard, join_has_state, linked, node, blank, reset_at, reset_elsewhere] = x;
  // `rhythm` is taken apart by who may see it.
  d.all(id, heard, heard_order, inc, match_term, match, applied, base, view, have, no_state, match_progress, echo, lease_echo, next, probing,
        append_sent, went_back, offer_sent, chunk_asked, match_below, unservable_since, refused_our_clock, told, heard_at, watched,
        patience, watched_from, suspected_since, probe_sent, asked_since, vouched_at, vouched_by, voucher_deaf, lag_told, lane_progress, served_from,
        join_inc, join_heard, join_has_state, linked, node, blank, reset_at, reset_elsewhere);
}

void add_change(digester& d, const view_change& x) {
  const auto& [running, proposed, attempt, started, wedge_sent, pull_started, pull_sent, pull_held, reports, dead_sources] = x;
  d.all(running, proposed, attempt, started, wedge_sent, pull_started, pull_sent, pull_held, reports, dead_sources);
}

void add_transfer(digester& d, const transfer& x) {
  const auto& [running, donor, at, count, received, asked, have, progress, asked_again] = x;
  d.all(running, donor, at, count, received, asked, have, progress, asked_again);
}

}  // namespace

// ---- copies ---------------------------------------------------------------------------------------------------------

core inspector::copy(const core& c) {
  core other(c.impl_->options, core_start{});
  auto made = std::make_unique<impl>(*c.impl_);  // lane_store copies its lanes
  for (auto& queue : made->open)
    for (auto& b : queue) b = std::make_shared<open_batch>(*b);
  other.impl_ = std::move(made);
  return other;
}

// ---- what has no influence ------------------------------------------------------------------------------------------

void inspector::without_clocks(core& c, bool silences) {
  auto& i = *c.impl_;
  i.deadline = never;
  // Every acknowledgement goes to everybody, which is never wrong: whom the last ones went to tells no states apart.
  i.all_acked_due = true;
  i.resend_due = {};
  i.all_acked = {};
  i.all_acked_view = 0;
  i.told_front.clear();
  i.told_match_term = 0;
  i.told_match = i.told_commit = 0;
  // In times so short nothing has a pace.
  i.sealed_bytes = 0;
  i.sealed_rate = i.delivered_rate = {};
  i.pace = {};
  i.giving = {};
  for (auto& p : i.peers) {
    // In beats so long nothing is ever a sample, and patience stays at its most.
    p.rhythm.begin(i.options.fail_after, silences ? p.rhythm.last_heard() : i.now);
    p.patience = silences ? i.options.election_min : i.options.fail_after;
    p.heard_at = i.now;
    if (!silences) p.watched_from = i.now;
    p.lease_echo = {};  // nothing here is read by lease
  }
}

journal_position inspector::simplify(core& c) {
  auto& i = *c.impl_;
  const auto by = i.persisted_to;
  const auto lower = [by](journal_position& p) { p -= std::min(p, by); };
  // What an acknowledgement would look up is looked up here: the marks of what is durable move when they are asked.
  if (i.kept == impl::keeping::disk && i.has_state) {
    i.log.durable(i.persisted_to);
    for (const auto& l : i.lanes.all()) l->durable(i.persisted_to);
  }
  for (auto* p : {&i.next_position, &i.persisted_to, &i.state_position, &i.view_position, &i.own_vote_position, &i.secured_at, &i.retired_at}) lower(*p);
  i.copy_from = 1;
  i.promises.valid_from = i.promises.valid_from != 0;
  for (auto& [position, bytes] : i.unwritten) {
    lower(position);
    bytes -= i.persisted_bytes;
  }
  i.written_bytes -= i.persisted_bytes;
  i.persisted_bytes = 0;
  for (auto& e : i.log.entries_) lower(e.position);
  for (const auto& l : i.lanes.all()) {
    for (auto& b : l->batches_) lower(b.position);
    for (auto& b : l->extras_) lower(b.position);
  }
  // A stamp of the same pass again: only reads, which compare them for order, could tell.
  i.stamp = i.now;
  i.random.state_ = i.start.seed;
  // Only the identities of one member are compared.
  std::uint64_t largest = 0;
  std::vector<std::uint64_t> ranks;
  for (const auto& p : i.peers)
    ranks.push_back(static_cast<std::uint64_t>(std::ranges::count_if(i.peers, [&](const peer& other) {
      return other.id.member == p.id.member && other.heard_order < p.heard_order;
    })) + 1);
  for (std::size_t n = 0; n < ranks.size(); ++n) largest = std::max(largest, i.peers[n].heard_order = ranks[n]);
  i.heard_counter = largest;
  std::ranges::sort(i.votes);
  std::ranges::sort(i.change.dead_sources);
  std::ranges::sort(i.forming.accepted);
  for (auto& of_slot : i.ahead) std::ranges::sort(of_slot);
  i.scratch.clear();
  return by;
}

// ---- digests --------------------------------------------------------------------------------------------------------

fingerprint inspector::digest(const message& m) {
  digester d;
  d.add(m);
  return d.result();
}

fingerprint inspector::digest(const core& c) {
  digester d;
  const auto& [options, start, restarted, random, known_members, now, wall, stamp, ticked, booted, awake_since, promises, kept, copy_from, secured_at, retired_at, next_position, persisted_to,
               state_position, view_position, durable_view, written_bytes, persisted_bytes, unwritten, disk_progress, log,
               lanes, has_state, commit, applied, applied_cut, applied_time, delivered, in_force, ended, view_index, view_floor,
               my_slot, learning, passed, ahead, closed, scratch, match_term, match, offered, offered_term, offered_since,
               asked, open, open_bytes, own_undelivered, own_inc, largest_stamp, told_busy, sealed_bytes, sealed_rate, pace, open_messages, parts_under_way, told_part_waits,
               role, leader, leader_id,
               leader_contact, election_at, votes, own_vote_position, own_vote_counted, first_own_entry, led_since,
               cut_proposed, stand_not_before, handover, lease_given_up, primary, leader_min_applied, echo_time, wedged,
               blank_report, early_wedge, change, attempts, links_rest_until, departed, peers, resend_due, roster_memory, heard_counter, ack_due, all_acked_due, all_acked, all_acked_view, told_front, told_match_term,
               told_match, told_commit, reject_due, reject_prev, reject_hint,
               clock_refused, heartbeat_due, last_vouch, settled_since, resting, unattended, join_sent, unfounded_told, joining_since,
               asked_changes, request_ids, leaving, barred_told,
               wanted_changes, let_go, view_since, away, forming, reads, checkpoints, places, restoring, checkpoint_pending, pending_on_disk, pending_mark,
               bytes_since_mark, entries_since_mark, last_checkpoint_bytes, checkpoint_wanted, wanted_chunks, delivered_rate, giving, incoming, odd_members, odd_found_at, odd_yields_at, wanted_time, out,
               deadline] = *c.impl_;
  COHORT_INVARIANT(out.persists.empty() && out.sends.empty() && out.deliveries.empty(), out.sends.size(), out.persists.size());
  // Left out: `roster_memory`, which can be found again; of `options` what no view changes, it is the same for a whole exploration; `scratch`, empty between
  // uses; `unattended`, set by every tick before it is read; `out`, empty between passes.
  d.all(static_cast<const view_options&>(options), options.election_max, options.wedge_wait, options.pull_wait, options.join_hold);
  d.all(start.self, start.seed, start.founders, start.witnesses, start.blank, start.ever_founded, restarted, random.state_,
        known_members, now, wall, stamp, ticked, booted, awake_since, promises, kept, copy_from, secured_at, retired_at, next_position, persisted_to, state_position, view_position, durable_view, written_bytes,
        persisted_bytes, unwritten, disk_progress);
  {
    const auto& [base, entries, views, durable] = log;
    d.all(base, durable, entries.size());
    for (const auto& [what, position] : entries) d.all(what, position);
    for (const auto& [index, what] : views) d.all(index, what->number);  // what it says is in the entry, or the base
  }
  {
    const auto& [tables, known] = lanes;
    for (const auto& [number, of_table] : tables) {
      d.all(number, of_table.size());
      for (const auto& l : of_table) d.add(std::ranges::find(known, l) - known.begin());
    }
    const auto stored = [&](const lane::stored& s) {
      const auto& [what, position, bytes_through, present] = s;
      d.all(present, position, bytes_through);
      if (present) d.add(what);
    };
    for (const auto& l : known) {
      const auto& [owner, inc, kind, trimmed, held, durable, batches, extras, total, trimmed_bytes, ahead_bytes] = *l;
      d.all(owner, inc, kind, trimmed, held, durable, total, trimmed_bytes, ahead_bytes, batches.size(), extras.size());
      for (const auto& b : batches) stored(b);
      for (const auto& b : extras) stored(b);
    }
  }
  d.all(has_state, commit, applied, applied_cut, applied_time, delivered, in_force, ended, view_index, view_floor, my_slot, learning, passed,
        ahead, closed, match_term, match, offered, offered_term, offered_since);
  {
    const auto& [number, of, upto, held, moved, extras_of] = asked;
    d.all(number, of, upto, held, moved, extras_of);
  }
  for (const auto& queue : open) {
    d.add(queue.size());
    for (const auto& b : queue) {
      const auto& [cls, due, part, sizes, blob, oldest] = *b;
      d.all(cls, due, part, sizes, blob.size(), oldest);
      for (const auto byte : blob) d.add(std::to_integer<unsigned>(byte));
    }
  }
  {
    const auto& [on, usual, reached, taken, limit, room, filled, limited] = pace;
    d.all(sealed_bytes, on, usual, reached, limit, room, filled, limited);
    for (const auto* m : {&sealed_rate, &taken, &delivered_rate}) d.all(m->of_, m->newest_);
  }
  for (const auto& [parts, begun, inc] : open_messages) d.all(parts, begun, inc);
  d.all(open_bytes, own_undelivered, own_inc, largest_stamp, told_busy, parts_under_way, told_part_waits, role, leader, leader_id, leader_contact, election_at,
        votes, own_vote_position, own_vote_counted, first_own_entry, led_since, cut_proposed, stand_not_before);
  {
    const auto& [on, told, for_links, to, since, sent] = handover;
    d.all(on, told, for_links, to, since, sent);
  }
  d.all(lease_given_up, primary, leader_min_applied, echo_time);
  {
    const auto& [on, term, attempt, number, front] = wedged;
    d.all(on, term, attempt, number, front);
  }
  d.all(blank_report, early_wedge);
  add_change(d, change);
  d.all(attempts, links_rest_until, departed.size());
  for (const auto& [member, count, newest, seen] : departed) d.all(member, count, newest, seen);
  d.add(peers.size());
  for (const auto& p : peers) {
    add_peer(d, p);
    const auto& [beat, last, beat_begun, longest, pauses, next, count, sum, squares, lost, mean, deviation, per_beat] = p.rhythm;
    d.all(beat, last, beat_begun, longest, pauses, next, count, sum, squares, lost, mean, deviation, per_beat);
  }
  d.all(resend_due, heard_counter, ack_due, all_acked_due, all_acked, all_acked_view, told_front, told_match_term, told_match, told_commit, reject_due, reject_prev,
        reject_hint, clock_refused, heartbeat_due, last_vouch, settled_since, resting,
        join_sent, unfounded_told, joining_since);
  for (const auto& [what, since, sent] : asked_changes) d.all(what, since, sent);
  for (const auto& [origin, what, heard] : wanted_changes) d.all(origin, what, heard);
  for (const auto& [who, without, until] : let_go) d.all(who, without, until);
  d.all(asked_changes.size(), wanted_changes.size(), let_go.size(), request_ids, leaving, barred_told, view_since, away);
  {
    const auto& [proposed, attempt, accepted, sent, coordinating, committing] = forming;
    d.all(proposed, attempt, accepted, sent, coordinating, committing);
  }
  {
    const auto& [fresh, fresh_remote, unconfirmed, asked_of_leader, confirmed, ids] = reads;
    for (const auto& [origin, id, tags, at, index] : unconfirmed) d.all(origin, id, tags, at, index);
    for (const auto& [index, tags] : confirmed) d.all(index, tags);
    for (const auto& [id, tags, since, sent, asked_of] : asked_of_leader) d.all(id, tags, since, sent, asked_of);
    d.all(unconfirmed.size(), confirmed.size(), asked_of_leader.size(), fresh, fresh_remote, ids);
  }
  for (const auto& [at, chunks, on_disk, since] : checkpoints) d.all(at, chunks, on_disk, since);
  for (const auto& place : places) d.all(place);
  d.all(checkpoints.size(), places.size(), restoring.has_value(), restoring.value_or(0), checkpoint_pending, pending_on_disk, pending_mark, bytes_since_mark, entries_since_mark,
        last_checkpoint_bytes, checkpoint_wanted, odd_members, odd_found_at, odd_yields_at, wanted_time);
  for (const auto& [by, index, number] : wanted_chunks) d.all(by, index, number);
  d.all(wanted_chunks.size(), giving.room, giving.filled);
  add_transfer(d, incoming);
  d.add(deadline);
  return d.result();
}

}  // namespace cohort::protocol
