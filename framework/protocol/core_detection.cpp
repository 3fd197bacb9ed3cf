// Who is alive: suspicion from the rhythm of answers, a second path, own stalls, broken links, members that come and go
// (section 6, V20 to V23).
#include "framework/protocol/core_impl.hpp"
#include "framework/protocol/detection_bounds.hpp"

#include <algorithm>

namespace cohort::protocol {

namespace {

std::uint64_t in_milliseconds(duration d) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count(), 0));
}

}  // namespace

// ---- this process itself (V22) --------------------------------------------------------------------------------------

/// A tick that comes long after the deadline we had asked for: it was us who stood still. What the others said meanwhile
/// may still wait to be read, so the silence until now is no evidence against anybody.
void core::impl::notice_stall(instant mono) {
  if (!ticked || deadline == never || mutated(mutation::stall_not_noticed)) return;
  const auto late = mono - std::max(deadline, now);
  if (late <= 2 * options.heartbeat) return;
  now = mono;
  stood_still();
  notify(event_kind::stalled, self(), in_milliseconds(late));
}

void core::impl::stood_still() {
  awake_since = now;
  for (auto& p : peers) await_anew(p);
  // Nor against the leader: first its heartbeats get time to arrive. Standing later is never unsafe.
  if (role != core_role::leader && election_at <= now) draw_election();
}

// ---- evidence (V20) -------------------------------------------------------------------------------------------------

/// Evidence of life is due from now on.
void core::impl::await_anew(peer& p) {
  const auto* r = in_force ? find(*in_force, p.id) : nullptr;
  p.watched = r && r->active;
  p.rhythm.restart(now);
  p.watched_from = now;
  p.suspected_since = never;
  p.vouched_at = p.asked_since = never;
  p.patience = std::clamp(p.rhythm.patience(options.suspect_at), options.election_min, options.fail_after);
}

/// It has echoed a newer heartbeat of ours, or its node has for all its groups (Q5). Only that counts: what it sends by
/// itself does not prove that it hears us (PA7).
void core::impl::alive(peer& p, instant at) {
  at = std::max(at, p.rhythm.last_heard());
  if (!p.watched) return p.rhythm.restart(at);
  if (!p.rhythm.heard(at)) return;
  p.patience = std::clamp(p.rhythm.patience(options.suspect_at), options.election_min, options.fail_after);
}

/// Who may be asked about others: active, and itself beyond suspicion.
bool core::impl::helps(const roster_entry& r) const {
  if (!r.active || r.id == start.self) return false;
  const auto* p = known_peer(r.id);
  return p && !superseded(*p) && p->suspected_since == never;
}

/// A fresh answer of its own has come by another member: it lives, and only the link to it is broken.
bool core::impl::vouched(const peer& p) const {
  return p.suspected_since != never && p.vouched_at != never && now - p.vouched_at <= options.election_min;
}

/// Improbably silent for E_max, and for E_min nobody whom we asked could reach it either. Where nobody is left to be
/// asked, T_fail has to pass. Who can be asked again only now, because all were silent, is asked first.
bool core::impl::given_up(const peer& p) const {
  if (p.suspected_since == never || silence(p) < options.election_max) return false;
  if (mutated(mutation::death_by_one_path)) return true;
  const auto asked = mutated(mutation::given_up_unasked) ? p.suspected_since : p.asked_since;
  if (asked == never || now - asked < options.election_min) return false;
  if (vouched(p) && !mutated(mutation::vouched_given_up)) return false;
  return std::ranges::any_of(in_force->roster, [&](const roster_entry& r) { return r.id != p.id && helps(r); });
}

void core::impl::watch_members() {
  for (const auto& r : in_force->roster) {
    if (!r.active || r.id == start.self) continue;
    auto& p = peer_of(r.id);
    if (superseded(p)) continue;
    if (lagging(p, options.fail_after / 2) && !mutated(mutation::lag_not_told)) {
      if (!p.lag_told) notify(event_kind::member_stuck, r.id.member, in_milliseconds(now - std::max(p.match_progress, led_since)));
      p.lag_told = true;
    } else {
      p.lag_told = false;
    }
    const auto silent_for = silence(p);
    ask_about_reset(p);
    if (silent_for < p.patience) {
      if (p.suspected_since != never) notify(event_kind::member_suspected, r.id.member, 0, false);
      p.suspected_since = p.vouched_at = p.asked_since = never;
      continue;
    }
    if (p.suspected_since == never) {
      p.suspected_since = now;
      p.probe_sent = instant{};
      notify(event_kind::member_suspected, r.id.member, in_milliseconds(silent_for), true);
    }
    if (now - p.probe_sent < options.heartbeat) continue;
    p.probe_sent = now;
    ask_others(p);
  }
  yield_for_links();
}

/// V24: a process that has ended has closed its links to everybody, and opens none again.
void core::impl::ask_about_reset(peer& p) {
  if (p.reset_at == never || p.suspected_since != never || now - p.probe_sent < options.heartbeat) return;
  p.probe_sent = now;
  std::vector<member_id> others;
  for (const auto& r : in_force->roster)
    if (confirms_resets(r, p)) others.push_back(r.id.member);
  send_to(others, probe{promises.term, self(), p.id.member, stamp, false, 0, false});
}

/// Who can tell whether the link to that one is gone for it, too: witnesses as well, but nobody who may be gone itself.
bool core::impl::confirms_resets(const roster_entry& r, const peer& subject) const {
  if ((!r.active && !r.witness) || r.id == start.self || r.id.member == subject.id.member) return false;
  const auto* p = known_peer(r.id);
  return p && p->linked && !superseded(*p) && p->suspected_since == never;
}

/// All who can be asked say so, and there has been time to dial again.
bool core::impl::ended_everywhere(const peer& p) const {
  if (p.reset_at == never || now - std::max(p.reset_at, awake_since) <= reset_patience(options)) return false;
  if (mutated(mutation::reset_taken_alone)) return true;
  bool confirmed = false;
  for (const auto& r : in_force->roster) {
    if (!confirms_resets(r, p)) continue;
    if (std::ranges::find(p.reset_elsewhere, r.id.member) == p.reset_elsewhere.end()) return false;
    confirmed = true;
  }
  return confirmed;
}

void core::impl::ask_others(peer& p) {
  std::vector<member_id> helpers;
  for (const auto& r : in_force->roster)
    if (r.id != p.id && helps(r)) helpers.push_back(r.id.member);
  if (!helpers.empty()) p.asked_since = std::min(p.asked_since, now);
  send_to(helpers, probe{promises.term, self(), p.id.member, stamp, false, 0, false});
}

/// How many active members this one has not heard for E_max.
std::uint32_t core::impl::deaf_to() const {
  if (!in_force) return 0;
  return static_cast<std::uint32_t>(std::ranges::count_if(in_force->roster, [&](const roster_entry& r) {
    if (!r.active || r.id == start.self) return false;
    const auto* p = known_peer(r.id);
    return !p || now - std::max(p->heard_at, awake_since) > options.election_max;
  }));
}

/// Relays know nothing of what they relay: one message out for one in, and only along the path leader, helper, subject.
void core::impl::receive_probe(voter_id from, const probe& p) {
  const auto known = [&](member_id m) { return std::ranges::binary_search(known_members, m); };
  if (!known(p.asker) || !known(p.subject) || p.asker == p.subject) return;
  auto next = p;
  if (!p.answered) {
    if (p.subject == self()) {
      next.answered = true;
      send(from.member, next);
    } else if (from.member == p.asker) {
      next.reset = std::ranges::any_of(peers, [&](const peer& o) { return o.id.member == p.subject && !superseded(o) && o.reset_at != never; });
      next.answered = next.reset;
      send(next.reset ? p.asker : p.subject, next);
    }
    return;
  }
  if (p.asker != self()) {
    if (from.member != p.subject) return;
    next.deaf = deaf_to();
    send(p.asker, next);
    return;
  }
  if (role != core_role::leader || p.term != promises.term || from.member == p.subject) return;
  for (auto& subject : peers) {
    if (subject.id.member != p.subject || superseded(subject)) continue;
    if (p.reset) {
      const auto told = std::ranges::find(subject.reset_elsewhere, from.member) != subject.reset_elsewhere.end();
      if (subject.reset_at != never && p.asked >= subject.reset_at && !told) subject.reset_elsewhere.push_back(from.member);
      continue;
    }
    if (subject.suspected_since == never || p.asked < subject.suspected_since) continue;
    // The one that hears most is remembered: it may lead instead.
    if (!vouched(subject) || subject.vouched_by == from.member || p.deaf < subject.voucher_deaf) {
      subject.vouched_by = from.member;
      subject.voucher_deaf = p.deaf;
    }
    subject.vouched_at = now;
  }
}

// ---- the verdict ----------------------------------------------------------------------------------------------------

bool core::impl::lagging(const peer& p, duration least) const {
  return p.match_term == promises.term && p.match < commit && now - std::max({p.match_progress, led_since, awake_since}) > least;
}

/// V1: T_fail without an echo of a heartbeat of mine (PA7) is the most that anybody is waited for. A reset link shortens
/// the patience, more so if all others say the same of theirs (V24), and so does an improbable silence that a second path confirms; a higher incarnation ends it (PA11).
absence core::impl::absence_of(const roster_entry& r) const {
  if (r.id == start.self) return r.inc != promises.inc && !r.witness ? absence::restarted : absence::none;
  const auto* known = known_peer(r.id);
  if (!known) return now - std::max(led_since, awake_since) > options.fail_after ? absence::silent : absence::none;
  const auto& p = *known;
  if (((p.inc > r.inc && !r.witness) || superseded(p)) && !mutated(mutation::pa11_old_life_not_silent)) return absence::restarted;
  if (p.reset_at != never && now - std::max({p.echo, p.reset_at, awake_since}) > options.election_min) return absence::reset;
  if (ended_everywhere(p)) return absence::reset;
  if (given_up(p)) return absence::unheard;
  if (now - std::max(p.echo, p.watched_from) <= options.fail_after) return absence::none;
  return vouched(p) ? absence::link : absence::silent;
}

void core::impl::tell_absent() {
  const auto tell = [&](const roster_entry& r, absence why, duration without) {
    out.events.push_back({event_kind::member_silent, false, r.id.member, in_milliseconds(without), 0, why});
  };
  for (const auto& r : in_force->roster) {
    if (!r.active) continue;
    if (const auto why = absence_of(r); why != absence::none) {
      const auto* p = known_peer(r.id);
      tell(r, why, p ? silence(*p) : duration(0));
    } else if (const auto* p = known_peer(r.id); p && (stuck(r, *p) || learns_too_slowly(r))) {
      tell(r, absence::stuck, now - std::max(p->match_progress, led_since));
    } else if (p && unservable(*p)) {
      tell(r, absence::unservable, now - p->unservable_since);
    }
  }
}

// ---- broken links (V21) ---------------------------------------------------------------------------------------------

/// A member lives, others hear it and we do not: whoever hears more of the group than we do should lead, for between
/// followers a broken link hurts nobody (PA7). Each hand-over needs a successor that misses fewer members, and is not
/// repeated for a long time: links that are bad all round end in an exclusion, never in leadership that wanders.
void core::impl::yield_for_links() {
  if (handover.on || change.running || commit < first_own_entry || log.last_view().index > applied) return;
  if (mutated(mutation::links_never_handed_over)) return;
  if (now < links_rest_until && !mutated(mutation::links_handed_round)) return;
  std::uint32_t deaf = 0;
  const peer* best = nullptr;
  for (const auto& r : in_force->roster) {
    if (!r.active || r.id == start.self) continue;
    const auto* p = known_peer(r.id);
    if (!p || p->suspected_since == never || silence(*p) < options.election_max) continue;
    ++deaf;
    if (vouched(*p) && (!best || p->voucher_deaf < best->voucher_deaf)) best = p;
  }
  if (!best || (best->voucher_deaf >= deaf && !mutated(mutation::links_handed_round)) || !successor(best->vouched_by)) return;
  links_rest_until = now + links_rest();
  hand_over(best->vouched_by);
  handover.for_links = true;
}

// ---- members that come and go (V23) ---------------------------------------------------------------------------------

namespace {

constexpr unsigned free_departures = 3;

}  // namespace

/// Every view tells who went; agreed time tells how often lately, the same at everybody. Who has just come is awaited anew.
void core::impl::note_departures(const view& before, const view& next) {
  for (auto& p : peers) {
    const auto* is = find(next, p.id);
    const auto* was = find(before, p.id);
    if (is && is->active && (!was || !was->active || was->inc != is->inc)) await_anew(p);
    p.watched = is && is->active;
  }
  for (const auto& n : next.notes) {
    if (n.cause != view_cause::failed && n.cause != view_cause::excluded) continue;
    const view_note other{n.id, view_cause::excluded};
    if (n.cause == view_cause::failed && std::ranges::find(next.notes, other) != next.notes.end()) continue;  // cut off: told by both
    const auto stays = [&](const roster_entry& r) { return r.id.member == n.id.member && r.active; };
    if (std::ranges::any_of(next.roster, stays)) continue;  // back in the same view, after a restart of everybody
    auto d = std::ranges::find(departed, n.id.member, &departures::member);
    if (d == departed.end()) d = departed.insert(d, {n.id.member, 0, applied_time, now});
    const auto forgiven = static_cast<std::uint64_t>(std::max<std::int64_t>((applied_time - d->newest) / (15 * options.fail_after), 0));
    d->count -= static_cast<unsigned>(std::min<std::uint64_t>(d->count, forgiven));
    ++d->count;
    d->newest = applied_time;
    d->seen = now;
  }
}

/// The fourth time within a minute or so it has to wait, longer each time: every coming and going is a view change for all.
bool core::impl::held_back(member_id m) const {
  if (mutated(mutation::flapping_not_held_back)) return false;
  const auto d = std::ranges::find(departed, m, &departures::member);
  if (d == departed.end() || d->count <= free_departures) return false;
  return now - d->seen < options.fail_after * (1 << std::min(d->count - free_departures - 1, 3u));
}

}  // namespace cohort::protocol
