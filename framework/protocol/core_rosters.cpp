// Who goes and who is in the next view (V9 to V11, V16, W6).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

/// W6. Everybody's window waits for it from its promotion on: it may lack no more of a lane than a voter may.
bool core::impl::caught_up(const roster_entry& r) const {
  const auto* p = known_peer(r.id);
  return p && p->inc == r.inc && !p->no_state && p->view == in_force->number && close_behind(*p) && (r.witness || window_behind(*p));
}

bool core::impl::close_behind(const peer& p) const {
  return p.match_term == promises.term && p.match + options.append_window >= log.last();
}

bool core::impl::window_behind(const peer& p) const {
  if (mutated(mutation::promoted_far_behind)) return true;
  const auto upto = std::min(p.match, log.last());
  if (log.last_view().what->number != in_force->number) return true;  // slots of another view; nobody is promoted before it is installed
  const auto cut = upto > view_index && upto >= log.base().index ? log.cut_behind(upto) : view_floor;
  for (slot s = 0; s < lane_count(*in_force); ++s)
    if (lanes.find(in_force->number, s)->bytes_above(at(cut, s)) > options.lane_window + options.part_bytes) return false;
  return true;
}

/// FC4, policy `exclude`: it answers heartbeats but has acknowledged nothing for T_fail although it lags, as with a disk
/// that is full. Windows must not wait for it for ever. They do not wait for a learner, which may take long to read its state.
bool core::impl::stuck(const roster_entry& r, const peer& p) const {
  return options.slow == slow_policy::exclude && (r.voter || mutated(mutation::learner_taken_for_stuck)) && lagging(p, options.fail_after);
}

/// A learner holds up nobody's window, so nothing else bounds what is kept for it: lanes are trimmed behind it (S3).
bool core::impl::learns_too_slowly(const roster_entry& r) const {
  return is_learner(r) && lanes.bytes() > 8 * checkpoint_distance() && !mutated(mutation::learner_kept);
}

/// The log begins above what it needs, and it takes no checkpoint.
bool core::impl::unservable(const peer& p) const {
  return p.unservable_since != never && now - std::max(p.unservable_since, awake_since) > options.fail_after &&
         now - p.chunk_asked >= options.join_hold;
}

/// V9, V11: who is in the next view, given the reports of this attempt (or, before one, everybody who is not silent).
view_ptr core::impl::next_view(bool with_promotions, bool with_requests) const {
  auto next = std::make_shared<view>();
  next->number = in_force->number + 1;
  next->burnt = in_force->burnt;
  next->options = in_force->options;
  next->kinds = in_force->kinds;
  next->barred = in_force->barred;
  next->largest_message = in_force->largest_message;
  if (with_requests) apply_requests(*next);
  const auto note = [&](voter_id id, view_cause cause) { next->notes.push_back({id, cause}); };
  const auto wants_in = [&](voter_id id) -> incarnation {
    if (is_barred(*next, id.member)) return 0;
    if (id == start.self) return leaving ? 0 : my_slot == no_slot ? promises.inc : 0;
    const auto* p = known_peer(id);
    if (!p || !admissible(*p)) return 0;
    return p->join_inc > burnt(*in_force, id.member) || mutated(mutation::burnt_readmitted) ? p->join_inc : 0;
  };
  std::size_t voters = voter_count(*in_force);
  for (roster_entry r : in_force->roster) {
    if (with_requests && goes(r)) {
      const bool removed = is_barred(*next, r.id.member);
      note(r.id, removed ? view_cause::removed : view_cause::left);
      voters -= r.voter;
      continue;
    }
    if (r.witness) {
      next->roster.push_back(r);  // it is never active: there is nothing to take from it
      continue;
    }
    bool here = r.active;
    bool excluded = false;
    bool cut_off = false;
    if (change.running && r.active) {
      const auto it = change.reports.find(r.id);
      here = (it != change.reports.end() && it->second.inc == r.inc) || mutated(mutation::silent_stays_active);
      const auto* p = known_peer(r.id);
      if (p && p->inc > r.inc) here = false;
      if (p && (stuck(r, *p) || unservable(*p) || learns_too_slowly(r))) {
        here = false;
        excluded = true;
      }
      if (p && vouched(*p)) excluded = cut_off = true;  // it lives; it is the link that does not
    }
    if (r.active && !here) {
      note(r.id, excluded ? view_cause::excluded : view_cause::failed);
      if (cut_off) note(r.id, view_cause::failed);  // both: who is only slow is heard
    }
    r.active = here;
    if (!here)
      if (const incarnation inc = wants_in(r.id); inc > r.inc) {
        note(r.id, !r.voter ? view_cause::joined : r.inc == 0 ? view_cause::founded : view_cause::recovered);
        r.active = true;
        r.inc = inc;
      }
    if (!r.active && !r.voter) continue;
    // V16: who failed leaves the quorum base, too, as long as enough voters stay. It comes back as a learner.
    if (!r.active && options.shrink && voters > options.min_voters) {
      --voters;
      note(r.id, view_cause::shrunk);
      continue;
    }
    next->roster.push_back(r);
  }
  for (const auto& p : peers) {
    if (find(*in_force, p.id) || p.id.member == self()) continue;
    if (const incarnation inc = wants_in(p.id)) {
      const bool witness = std::ranges::binary_search(start.witnesses, p.id.member);
      next->roster.push_back({p.id, inc, false, !witness, witness});
      note(p.id, view_cause::joined);
    }
  }
  if (my_slot == no_slot && !find(*in_force, start.self) && wants_in(start.self) != 0) next->roster.push_back({start.self, promises.inc, false, true});
  if (with_promotions) {
    const bool voter_away = std::ranges::any_of(next->roster, [](const auto& r) { return r.voter && !r.active; });
    const auto before = next->roster;
    for (const auto& r : before) {
      if (r.voter || (!r.active && !r.witness) || !caught_up(r)) continue;
      const auto* old = find_voter(*next, r.id.member);
      if (old && old->active) continue;
      auto promoted = next->roster;
      std::erase_if(promoted, [&](const auto& e) { return e.voter && e.id.member == r.id.member; });
      for (auto& e : promoted)
        if (e.id == r.id) e.voter = true;
      // V10, second part: with another voter away the new quorum must exist without the newcomer.
      const auto replaced_only_away = old && std::ranges::count_if(next->roster, [](const auto& e) { return e.voter && !e.active; }) == 1;
      if (voter_away && !replaced_only_away) {
        view trial{0, promoted, {}, {}};
        std::size_t without = 0;
        for (const auto& e : promoted)
          if (e.voter && e.active && e.id != r.id) ++without;
        if (without < quorum_size(trial)) continue;
      }
      if (old) note(old->id, view_cause::replaced);
      next->roster = std::move(promoted);
      note(r.id, view_cause::promoted);
    }
  }
  std::ranges::sort(next->roster, {}, &roster_entry::id);
  for (const auto& r : next->roster) {
    if (!r.active && !r.witness) continue;
    const auto it = std::ranges::find(next->burnt, r.id.member, &burnt_entry::member);
    if (it == next->burnt.end())
      next->burnt.push_back({r.id.member, r.inc});
    else
      it->inc = std::max(it->inc, r.inc);
  }
  std::ranges::sort(next->burnt, {}, &burnt_entry::member);
  const auto came = [&](const roster_entry& r) { return r.active && slot_of(*in_force, r.id, r.inc) == no_slot; };
  next->admitted = std::ranges::any_of(next->roster, came) ? next->number : in_force->admitted;
  return next;
}

/// V10: the reporters must contain a quorum of the new voters, else the VIEW could never be committed.
bool core::impl::feasible(const view& next) const {
  std::size_t reporters = 0;
  for (const auto& r : next.roster)
    if (r.voter && change.reports.contains(r.id)) ++reporters;
  // Requests that are sound one by one may not be so together.
  const bool enough = voter_count(next) > 0 && data_voter_count(next) >= next.options.min_copies;
  return enough && reporters >= quorum_size(next);
}

}  // namespace cohort::protocol
