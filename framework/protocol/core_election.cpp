// Election, stickiness, check-quorum, link evidence (section 4).
#include "framework/protocol/core_impl.hpp"

#include <algorithm>

namespace cohort::protocol {

void core::impl::draw_election() {
  election_at = now + random.between(options.election_min, 2 * options.election_min);
}

/// E1: voters of the last logged view or of the one at the commit index.
bool core::impl::may_stand() const {
  if (!has_state || now < stand_not_before || disk_stuck() || (is_witness() && !mutated(mutation::witness_leads))) return false;
  for (const auto& v : {log.last_view().what, log.view_at(std::max(commit, log.base().index))}) {
    const auto* r = find(*v, start.self);
    if (r && r->voter) return true;
  }
  return false;
}

/// E2: a quorum of the view at our commit and of every VIEW behind it.
bool core::impl::is_quorum(const std::vector<voter_id>& who) const {
  auto views = governing_views();
  if (mutated(mutation::quorum_of_last_view_only)) views = {log.last_view().what};
  if (mutated(mutation::quorum_of_committed_view_only)) views.resize(1);
  return std::ranges::all_of(views, [&](const view_ptr& v) {
    const auto votes_there = std::ranges::count_if(v->roster, [&](const roster_entry& r) {
      if (mutated(mutation::pa1_voter_by_name))
        return r.voter && std::ranges::any_of(who, [&](voter_id id) { return id.member == r.id.member; });
      return r.voter && std::ranges::find(who, r.id) != who.end();
    });
    return static_cast<std::size_t>(votes_there) >= quorum_size(*v);
  });
}

/// E5. The boot part is what leases rest on: a voter does not remember across a restart whom it heard. View 0 is exempt,
/// nobody can have held a lease before it.
bool core::impl::sticky() const {
  if (mutated(mutation::no_stickiness)) return false;
  if (role == core_role::leader) return true;
  if (leader_contact != instant::min() && now - leader_contact < options.election_min) return true;
  const bool fresh = in_force && in_force->number == 0 && applied == 0 && promises.term == 0;
  return !mutated(mutation::vote_right_after_boot) && !fresh && now - booted < options.election_min;
}

void core::impl::set_primary(bool on) {
  if (primary == on) return;
  primary = on;
  notify(event_kind::primary, leader, promises.term, on);
}

void core::impl::adopt_term(term_number t) {
  COHORT_INVARIANT(t > promises.term, t, promises.term);
  promises.term = t;
  promises.vote = {};
  if (!mutated(mutation::pa12_echo_of_any_term)) echo_time = instant{};  // PA12: echoes belong to one term
  save_state();
  if (role == core_role::leader) step_down();
  role = core_role::follower;
  if (leader != no_member) {
    leader = no_member;
    leader_id = {};
    notify(event_kind::leader_changed, no_member, t);
  }
  if (election_at == never) draw_election();
}

void core::impl::step_down() {
  if (role != core_role::leader) return;
  role = core_role::follower;
  change = {};
  wanted_changes.clear();
  if (!mutated(mutation::handover_outlives_term)) handover = {};
  leader = no_member;
  leader_id = {};
  notify(event_kind::stepped_down, self(), promises.term);
  refuse_reads();
  leader_contact = instant::min();
  set_primary(false);
  draw_election();
}

/// APPEND, WEDGE and checkpoint chunks of our term: contact with its leader (E7, PA20).
void core::impl::leader_heard(voter_id from) {
  COHORT_INVARIANT(role != core_role::leader, promises.term, to_index(from.member));
  role = core_role::follower;
  leader_contact = now;
  draw_election();
  set_primary(true);
  if (leader_id == from) return;
  leader = from.member;
  leader_id = from;
  match_term = match_term == promises.term ? match_term : 0;
  notify(event_kind::leader_changed, leader, promises.term);
  reads_lost_leader();
}

void core::impl::election_timers() {
  if (role == core_role::leader) {
    // E6: without a quorum's echoes for E_max we may have been deposed long ago.
    if (!roster_members().empty() && now - quorum_echo() > options.election_max && !mutated(mutation::no_check_quorum)) step_down();
    // A leader that cannot write promises nothing any more: let others lead.
    if (role == core_role::leader && disk_stuck() && !roster_members().empty()) step_down();
    return;
  }
  if (primary && leader_contact != instant::min() && now - leader_contact > options.election_max) set_primary(false);
  if (role == core_role::candidate && !own_vote_counted && on_disk(own_vote_position)) {
    own_vote_counted = true;  // E4: our own vote counts when it is on disk
    votes.push_back(start.self);
    count_votes();
    if (role == core_role::leader) return;
  }
  if (!may_stand()) {
    if (now >= election_at) draw_election();
    return;
  }
  // Alone: nobody could tell us of another leader.
  if (election_at == never) draw_election();
  if (roster_members().empty() && role == core_role::follower) election_at = now;
  if (now >= election_at) stand();
}

void core::impl::stand() {
  draw_election();
  role = core_role::pre_candidate;
  votes.assign(1, start.self);
  notify(event_kind::election_started, self(), promises.term + 1);
  if (mutated(mutation::no_pre_vote) || is_quorum(votes)) return stand_for_real();
  vote v;
  v.phase = vote_phase::pre;
  v.request = true;
  v.term = promises.term + 1;
  v.last_index = log.last();
  v.last_term = log.last_term();
  send_all(v);
}

void core::impl::stand_for_real(bool handed_over) {
  role = core_role::candidate;
  ++promises.term;
  promises.vote = start.self;
  echo_time = instant{};
  if (leader != no_member) {
    leader = no_member;
    leader_id = {};
    notify(event_kind::leader_changed, no_member, promises.term);
  }
  save_state();
  own_vote_position = state_position;
  own_vote_counted = false;
  votes.clear();
  vote v;
  v.phase = vote_phase::real;
  v.request = true;
  v.term = promises.term;
  v.last_index = log.last();
  v.last_term = log.last_term();
  v.handed_over = handed_over;
  // The request names a log: all of it must be on disk, or a grant could elect a restarted process without it.
  send_all(v, mutated(mutation::term_unsynced) ? 0 : state_position);
  if (on_disk(own_vote_position)) election_timers();
}

void core::impl::count_votes() {
  if (!is_quorum(votes)) return;
  if (role == core_role::pre_candidate)
    stand_for_real();
  else if (role == core_role::candidate)
    lead();
}

void core::impl::receive_vote(voter_id from, const vote& v) {
  if (!has_state) return;
  if (!v.request) {
    if (v.term > promises.term) adopt_term(v.term);
    if (!v.granted) return;
    const bool pre = v.phase == vote_phase::pre && role == core_role::pre_candidate && v.for_term == promises.term + 1;
    const bool real = v.phase == vote_phase::real && role == core_role::candidate && v.for_term == promises.term;
    if ((!pre && !real) || std::ranges::find(votes, from) != votes.end()) return;
    votes.push_back(from);
    count_votes();
    return;
  }
  vote reply;
  reply.phase = v.phase;
  reply.for_term = v.term;
  const bool up_to_date = mutated(mutation::no_up_to_date_check) || (v.handed_over && mutated(mutation::successor_favoured)) ||
                          std::pair(v.last_term, v.last_index) >= std::pair(log.last_term(), log.last());
  if (v.phase == vote_phase::pre) {
    reply.granted = v.term > promises.term && up_to_date && !sticky();  // E3, PA12
    // Two that saw the leader's link break in the same instant would split the vote: the larger number yields, and who has
    // let another go ahead gives it the time to be elected.
    if (reply.granted && role == core_role::pre_candidate && from.member < self()) {
      role = core_role::follower;
      draw_election();
    } else if (reply.granted && role == core_role::follower) {
      election_at = std::max(election_at, now + random.between(options.heartbeat, 2 * options.heartbeat));
    }
    reply.term = promises.term;
    send(from.member, reply, on_disk(state_position) ? 0 : state_position);
    return;
  }
  // E5: neither vote nor term. E8: unless the leader of our own term asked for it; an older request changes nothing, for
  // whoever leads the asked term by now has a quorum's votes.
  if (sticky() && !(v.handed_over && v.term == promises.term + 1)) return;
  if (v.term > promises.term) adopt_term(v.term);
  if (v.term == promises.term && up_to_date && role == core_role::follower &&
      (promises.vote.member == no_member || promises.vote == from || mutated(mutation::vote_twice))) {
    promises.vote = from;
    save_state();
    reply.granted = true;
    draw_election();
  }
  reply.term = promises.term;
  send(from.member, reply, mutated(mutation::vote_unsynced) ? 0 : state_position);
}

void core::impl::lead() {
  role = core_role::leader;
  leader = self();
  leader_id = start.self;
  led_since = now;
  change = {};
  if (!mutated(mutation::handover_outlives_term)) handover = {};
  lease_given_up = false;
  offered.clear();
  match_term = promises.term;
  match = log.last();
  for (auto& p : peers) {
    p.next = log.last() + 1;
    p.probing = true;
    p.echo = now;  // the grace of E6 and V1 begins now
    p.lease_echo = mutated(mutation::read_before_own_commit) ? now : instant{};  // its commitment is the first echo
    p.append_sent = instant{};
    p.went_back = instant{};
    p.offer_sent = instant{};
    p.unservable_since = never;
    p.refused_our_clock = false;
  }
  for (const auto& r : governed_roster())
    if (r.id != start.self) peer_of(r.id).echo = now;
  for (auto& p : peers) await_anew(p);
  notify(event_kind::leader_changed, leader, promises.term);
  notify(event_kind::elected, leader, promises.term);
  set_primary(true);
  if (!mutated(mutation::no_first_noop)) append_own(entry_kind::noop, log.cut_behind(log.last()), nullptr);  // C8
  if (mutated(mutation::sham_extra_noop)) append_own(entry_kind::noop, log.cut_behind(log.last()), nullptr);
  first_own_entry = mutated(mutation::read_before_own_commit) || mutated(mutation::no_first_noop) ? 0 : log.last();
  reads_lost_leader();
}

// ---- handing over (E8) ----------------------------------------------------------------------------------------------

void core::impl::hand_over(member_id to) {
  if (role != core_role::leader || roster_members().empty() || handover.on) return;
  handover = {};
  handover.on = true;
  handover.to = to;
  handover.since = now;
}

/// The voter of every view that may govern which is furthest, the wanted one only if one is named. An odd one only if there is no
/// other, and for an odd one it would be no help (S10).
const peer* core::impl::successor(member_id wanted) const {
  const peer* best = nullptr;
  const auto rank = [&](const peer& p) { return std::pair(!is_odd(p.id.member), p.match); };
  for (const auto& p : peers) {
    if (withholds_state() && is_odd(p.id.member)) continue;
    if (superseded(p) || p.match_term != promises.term || (wanted != no_member && p.id.member != wanted)) continue;
    if (now - p.echo > options.election_min) continue;  // it may be dead
    const bool voter = std::ranges::all_of(governing_views(), [&](const view_ptr& v) {
      const auto* r = find(*v, p.id);
      return r && r->voter && r->active;
    });
    if (voter && (!best || rank(p) > rank(*best))) best = &p;
  }
  return best;
}

void core::impl::drive_handover() {
  if (!handover.on || role != core_role::leader) return;
  if (now - handover.since >= options.election_min && !mutated(mutation::handover_outlives_term)) {
    notify(event_kind::handing_over, handover.to, promises.term);
    handover = {};
    return;
  }
  if (handover.asked && now - handover.sent < options.heartbeat) return;
  const auto* next = successor(handover.to);
  if (!next || next->match < log.last()) return;
  if (!handover.asked) notify(event_kind::handing_over, next->id.member, promises.term, true);
  // From here on another may be elected at any moment, also long after we gave up waiting for it.
  lease_given_up = !mutated(mutation::lease_kept_at_handover);
  handover.asked = true;
  handover.sent = now;
  send(next->id.member, take_over{promises.term, handover.for_links});
}

void core::impl::receive_take_over(voter_id from, const take_over& t) {
  if (!has_state || t.term != promises.term || role == core_role::leader || leader_id != from || !may_stand()) return;
  draw_election();
  if (t.for_links) links_rest_until = now + links_rest();
  notify(event_kind::election_started, self(), promises.term + 1);
  stand_for_real(true);
}

template <class Value>
instant core::impl::quorum_instant(Value&& of) const {
  std::uint64_t newest = ~std::uint64_t(0);
  for (const auto& v : governing_views())
    newest = std::min(newest, quorum_value(*v, [&](voter_id id) -> std::uint64_t {
      const auto* p = known_peer(id);
      return static_cast<std::uint64_t>(id == start.self ? stamp.count() : p ? of(*p).count() : 0);
    }));
  return instant(static_cast<std::int64_t>(newest));
}

/// The newest of our send times which a quorum (E2) has echoed.
instant core::impl::quorum_echo() const {
  return quorum_instant([](const peer& p) { return p.echo; });
}

/// The same for leases: an echo counts from who had installed our view by then, for only then it is known to vote by its rules
/// (X2). Who waived its stickiness before, because it saw us go, has echoed nothing since.
instant core::impl::lease_echo() const {
  if (in_force->options.reads != read_mode::lease || log.last_view().what->options.reads != read_mode::lease) return instant{};
  if (mutated(mutation::lease_by_old_rules)) return quorum_echo();
  return quorum_instant([](const peer& p) { return p.lease_echo; });
}

/// Link evidence: a reset end of a link means a dead process nearly always, and nothing for certain. It lets a follower
/// stand at once and waives its stickiness, which only leases need (E5); it shortens the leader's patience (V1).
void core::impl::link_down(member_id member, bool reset) {
  for (auto& p : peers) {
    if (p.id.member != member || !p.linked) continue;
    p.linked = false;
    p.node = {};
    if (reset) p.reset_at = now;
    p.reset_elsewhere.clear();
    p.probe_sent = instant{};
  }
  if (!reset || member != leader || role == core_role::leader || options.reads == read_mode::lease) return;
  leader_contact = std::min(leader_contact, now - options.election_min);  // sticky no more; primary ends if none leads
  echo_time = instant{};  // whatever view comes next, it rests on nothing that was heard before
  // A short draw keeps the followers, who see the reset in the same instant, from splitting the vote.
  election_at = now + random.between(duration(0), options.heartbeat / 2);
}

}  // namespace cohort::protocol
