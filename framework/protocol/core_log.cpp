// The log: replication, acknowledgement, commitment, delivery (section 3, O4, C10).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>
#include <utility>

namespace cohort::protocol {

namespace {

/// What a peer sends is input: an APPEND that no correct leader could have sent is dropped.
bool well_formed(const append& a) {
  log_index i = a.prev_index;
  term_number t = a.prev_term;
  for (const auto& e : a.entries) {
    if (e.index != ++i || e.term < t || e.term > a.term) return false;
    if ((e.kind == entry_kind::view) != (e.next != nullptr) || (e.kind != entry_kind::view && !e.extras.empty())) return false;
    t = e.term;
  }
  return a.prev_term <= a.term;
}

}  // namespace

void core::impl::receive_append(voter_id from, append&& a) {
  if (!well_formed(a)) return;
  ack_due = true;
  if (a.term < promises.term) return;  // the ack tells it our term
  if (a.term > promises.term) adopt_term(a.term);

  // A leader whose clock runs ahead of ours would drag agreed time along: not appended (decided: agreed time).
  const wall_time before = has_state ? (offered.empty() ? log.last_time() : offered.back().time) : wall_time::max();
  for (const auto& e : a.entries)
    if (e.index > log.last() + offered.size() && e.time > before && e.time > wall + options.max_ahead && !mutated(mutation::clock_ahead_accepted)) {
      if (!clock_refused) notify(event_kind::clock_ahead, from.member);
      clock_refused = true;
      return;
    }
  leader_heard(from);
  if (echo_time < a.send_time) echo_time = a.send_time;
  if (!has_state) return;  // PA6: the ack says so, the leader offers a checkpoint
  leader_min_applied = a.min_applied;

  log_index verified = 0;
  if (offered_term != a.term) {
    offered.clear();
    offered_term = a.term;
  }
  if (a.prev_index <= commit) {
    verified = std::min(commit, a.prev_index + a.entries.size());  // I4: every leader's log agrees up to our commit
  } else if (a.prev_index <= log.last()) {
    if (!mutated(mutation::ack_unverified) && log.term_at(a.prev_index) != a.prev_term) {
      reject_due = true;
      reject_prev = a.prev_index;
      reject_hint = std::max(commit, log.first_of_term(a.prev_index) - 1);
      return;
    }
    verified = a.prev_index;
  } else {
    const log_index beyond = log.last() + offered.size();
    if (a.prev_index > beyond || offered[a.prev_index - log.last() - 1].term != a.prev_term) {
      reject_due = true;
      reject_prev = a.prev_index;
      reject_hint = log.last();
      return;
    }
    verified = log.last();
    if (match_term != a.term || match < verified) verified = match_term == a.term ? match : 0;
  }
  for (auto& e : a.entries) {
    if (e.index <= verified) continue;
    if (e.index <= log.last()) {
      const bool same = mutated(mutation::conflict_by_index_only) || log.term_at(e.index) == e.term;
      if (same) {
        verified = e.index;
        continue;
      }
      truncate_from(e.index);
      offered.clear();
    }
    const auto place = e.index - log.last() - 1;
    if (place > offered.size() || offered.size() >= options.append_window) break;
    if (place < offered.size()) continue;
    if (offered.empty()) offered_since = now;
    offered.push_back(std::move(e));
  }
  // C3: counted is only what this leader's own messages have verified. PA5: also right after a truncation.
  if (match_term != a.term) {
    match_term = a.term;
    match = verified;
  } else {
    match = std::max(match, verified);
  }
  if (mutated(mutation::ack_unverified)) match = log.last();
  while (take_offered()) {
  }
  commit = std::max(commit, std::min(a.commit, match));
}

void core::impl::truncate_from(log_index from) {
  COHORT_INVARIANT(from > commit, from, commit);  // C2
  persist(persist_truncate{from});
  for (const auto& v : log.views())
    if (v.index >= from && v.index > log.base().index) {
      lanes.forget_from(v.what->number);
      break;
    }
  log.truncate(from);
  match = std::min(match, from - 1);
}

/// C1: an entry joins the log only when the payload that it covers is held.
bool core::impl::take_offered() {
  if (offered.empty() || offered_term != promises.term || role == core_role::leader) return false;
  auto& e = offered.front();
  COHORT_INVARIANT(e.index == log.last() + 1, e.index, log.last());
  const auto& newest = *log.last_view().what;
  if (e.term < log.last_term() || e.cut.size() != lane_count(newest) || !covers(e.cut, log.cut_behind(log.last()))) {
    offered.clear();  // no correct leader sends this
    return false;
  }
  if (!mutated(mutation::append_without_payload) && !is_witness()) {
    if (!covers(lanes.held(newest.number), e.cut)) return false;
    if (!holds(e.extras, newest.number)) return false;
  }
  const auto position = persist(persist_entry{e});
  const log_index index = e.index;
  if (e.kind == entry_kind::view) lanes.learn(*e.next, {});
  log.append(std::move(e), position);
  offered.pop_front();
  offered_since = now;
  if (match_term == offered_term && match == index - 1) match = index;
  ack_due = true;
  return true;
}

log_index core::impl::durable_match() {
  const auto bound = std::min(match, unsecured_bound());
  if (kept != keeping::disk || mutated(mutation::ack_before_fsync)) return bound;
  return std::min(bound, log.durable(persisted_to));
}

/// W3: how far the log may be offered to a witness: what so many active data voters hold that the loss of the leader cannot
/// leave an entry known to the witness alone, which would then refuse every living candidate. Those active in the newest view
/// of the log count, or the entry that lets a dead one go would wait for it for ever. And a new leader lets nobody go before its
/// first entry is committed: until then those whom it would let go do not count.
log_index core::impl::witness_bound() {
  const view& v = *log.last_view().what;
  const auto gone = [&](const roster_entry& r) {
    if (commit >= first_own_entry || mutated(mutation::dead_awaited_with_witness)) return false;
    const auto why = absence_of(r);
    return why != absence::none && why != absence::restarted;
  };
  std::size_t active = 0, witnesses = 0;
  for (const auto& r : v.roster) {
    active += r.voter && r.active && !gone(r);
    witnesses += r.voter && r.witness;
  }
  const auto need = quorum_size(v) - std::min(quorum_size(v), witnesses);
  const auto copies = std::max<std::size_t>(1, active + 1 - std::min(active, need));
  const auto own = durable_match();
  return copied(v, copies, [&](voter_id id) -> std::uint64_t {
    if (id == start.self) return own;
    const auto* p = known_peer(id);
    const auto* r = find(v, id);
    return p && r && r->active && p->match_term == promises.term ? p->match : 0;
  });
}

/// C4: a quorum of the view in force at our commit, and of every VIEW behind it, has acked under one leader's term.
bool core::impl::advance_commit() {
  const log_index last = log.last();
  if (commit >= last) return false;
  if (mutated(mutation::own_delivered_early) && role == core_role::leader) {
    commit = last;
    return true;
  }
  const term_number t = log.last_term();
  const auto matched = [&](voter_id id) -> std::uint64_t {
    if (id == start.self) return match_term == t ? durable_match() : 0;
    const auto* p = known_peer(id);
    if (!p) return 0;
    if (mutated(mutation::old_term_counted)) return p->match;
    return p->match_term == t ? p->match : 0;
  };
  log_index upto = std::min<log_index>(last, quorum_value(*log.view_at(std::max(commit, log.base().index)), matched));
  for (const auto& v : log.views()) {
    if (v.index <= commit || v.index > upto) continue;
    if (mutated(mutation::view_by_old_quorum)) continue;
    const log_index by_new = quorum_value(*v.what, matched);
    upto = std::min(upto, by_new >= v.index ? by_new : v.index - 1);
  }
  if (in_force->options.min_copies > 1) upto = std::min(upto, copied(*in_force, in_force->options.min_copies, matched));  // W4
  if (mutated(mutation::view_by_new_quorum))
    if (log.last_view().index > commit) upto = std::min<log_index>(last, quorum_value(*log.last_view().what, matched));
  if (upto <= commit) return false;
  if (log.term_at(upto) != t && !mutated(mutation::old_term_counted)) return false;  // C5
  commit = upto;
  return true;
}

bool core::impl::apply_committed() {
  const log_index before = applied;
  while (applied < commit && log.has(applied + 1)) {
    const entry e = log.at(applied + 1);
    apply(e);
  }
  return applied != before;
}

void core::impl::apply(const entry& e) {
  const auto ops = out.deliveries.size();
  deliver_cut(e);
  tell_time(e, ops);
  applied = e.index;
  applied_time = e.time;
  applied_cut = e.cut;
  ++entries_since_mark;
  bytes_since_mark += e.cut.size() * sizeof(sequence);  // in a large group more than the payload
  // What is applied goes along with the next ack, a heartbeat away at most: nobody waits for it, and an ack of its own
  // would wake every member once more for every message.
  if (e.kind == entry_kind::view) {
    install(e);
  } else if (wedged.on && (e.term > wedged.term || mutated(mutation::wedge_never_held))) {
    wedged.on = false;  // V5, PA3: the VIEW of that wedge can never be committed any more
    notify(event_kind::wedged, no_member, in_force->number, false);
  }
}

log_index core::impl::append_own(entry_kind kind, frontier cut, view_ptr next, std::vector<extra> extras) {
  entry e;
  e.index = log.last() + 1;
  e.term = promises.term;
  e.kind = kind;
  e.time = std::max(log.last_time(), wall);  // agreed time never goes back
  e.cut = std::move(cut);
  e.next = std::move(next);
  e.extras = std::move(extras);
  const log_index index = e.index;
  const auto position = persist(persist_entry{e});
  if (kind == entry_kind::view) lanes.learn(*e.next, {});
  log.append(std::move(e), position);
  match_term = promises.term;
  match = index;
  ack_due = true;
  return index;
}

/// C7, C9 (eager): cover everything held as soon as nothing stands against it.
bool core::impl::propose() {
  if (role != core_role::leader) return false;
  const bool settled = !change.running && !wedged.on && !handover.on && commit >= first_own_entry && log.last_view().index <= applied;
  if (!settled && !mutated(mutation::cut_behind_view)) return false;
  const auto before = log.cut_behind(log.last());
  auto cut = lanes.held(in_force->number);
  bool urgent = true;
  if (!total_only()) {
    auto from = before;
    raise(from, closed);
    cut = closed_frontier(from, cut);
    urgent = cut_is_urgent(from, cut) || cut_is_large(before, cut);
  }
  if (cut == before) return propose_time(before);
  COHORT_INVARIANT(covers(cut, before), log.last(), in_force->number);
  if (!urgent && now - cut_proposed < options.heartbeat) {
    closed = std::move(cut);
    return false;
  }
  closed = {};
  cut_proposed = now;
  append_own(entry_kind::cut, std::move(cut), nullptr);
  return true;
}

/// C12: a timer is due and nothing else carries the time to it. One entry at a time: while it is on its way the log is as new as the
/// timer wants it.
bool core::impl::propose_time(const frontier& cut) {
  if (!waits_for_time() || wall < wanted_time || mutated(mutation::timers_wait_for_messages)) return false;
  append_own(entry_kind::noop, cut, nullptr);
  return true;
}

log_index core::impl::minimal_applied() {
  log_index least = applied;
  for (const auto& r : in_force->roster) {
    if (!r.active || r.id == start.self) continue;
    const auto* p = known_peer(r.id);
    least = std::min(least, p && p->inc == r.inc && !p->no_state ? p->applied : 0);
  }
  return least;
}

/// PA10: to every roster entry of every view from our commit on, active or not.
void core::impl::send_appends() {
  leader_min_applied = minimal_applied();
  resting = leader_rests();  // Q7
  const bool commit_news = commit > told_commit && !everybody_counts();
  told_commit = std::max(told_commit, commit);
  for (const auto& r : governed_roster()) {
    if (r.id == start.self) continue;
    auto& p = peer_of(r.id);
    if (superseded(p)) continue;
    const bool due = heartbeat_due || commit_news || (!resting && now - p.append_sent >= beat(p));
    const bool more = !p.probing && p.next <= last_offered(p) && p.next < p.match + 1 + options.append_window;
    if (due || more) send_append(p);
    // Followers repeat their acks with every heartbeat; ours may have been lost, too, and owners resend by it (L7).
    if (due) ack_due = true;
  }
  heartbeat_due = false;
}

/// The newest entry that it may have now.
log_index core::impl::last_offered(const peer& p) {
  const auto* r = find(*in_force, p.id);
  const bool holds_no_payload = r && r->witness && !mutated(mutation::witness_first);
  return holds_no_payload ? std::min(log.last(), witness_bound()) : log.last();  // W3
}

void core::impl::send_append(peer& p) {
  const bool servable = p.next > log.base().index && !p.no_state;
  // It may hold the entries up to here and never get the payload of those that are trimmed: they wait for ever.
  const bool starved = p.match_term == promises.term && p.match < log.base().index;
  if (!servable || starved) {
    const auto* r = find(*in_force, p.id);
    const bool may_restore = p.no_state || !r || !r->active || p.inc > r->inc;
    offer_checkpoint(p);  // the receiver decides: one that is active in the view it has installed refuses (S3)
    if (!may_restore && p.unservable_since == never) p.unservable_since = now;
  } else {
    p.unservable_since = never;
  }
  append a;
  a.term = promises.term;
  a.prev_index = servable ? p.next - 1 : log.base().index;
  a.prev_term = log.term_at(a.prev_index);
  a.commit = commit;
  a.send_time = stamp;
  a.min_applied = leader_min_applied;
  if (servable) {
    const log_index window = std::max<log_index>(p.match + options.append_window, a.prev_index);
    const log_index upto = std::min({std::max(a.prev_index, last_offered(p)), a.prev_index + options.append_entries_max, window});
    for (log_index i = p.next; i <= upto; ++i) a.entries.push_back(log.at(i));
    if (!p.probing) p.next = upto + 1;
  }
  p.append_sent = now;
  send(p.id.member, std::move(a));
}

}  // namespace cohort::protocol
