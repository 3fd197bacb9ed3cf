#include "framework/protocol/core.hpp"

#include "framework/protocol/core_impl.hpp"
#include "framework/protocol/detection_bounds.hpp"

#include <algorithm>

namespace cohort::protocol {

core::impl::impl(const core_options& o, const core_start& s) : options(o), start(s), random(s.seed), known_members(s.founders) {
  const auto held = std::move(start.state);  // what is trimmed later must not stay in memory
  const bool goes_on = held && !held->decreed;
  if (options.durable || goes_on) kept = keeping::disk;
  persisted_to = start.last_position;
  if (held) promises = held->promises;
  // Records of before may all be trimmed: what comes must not be taken for one of a time before what counts (X3).
  if (goes_on) persisted_to = std::max(held->last_position, promises.valid_from - 1);
  next_position = persisted_to + 1;
  if (!goes_on) promises.valid_from = kept == keeping::disk ? next_position : 0;
  copy_from = goes_on ? promises.valid_from : next_position;
  promises.identity = start.self.identity;
  if (!held) return;
  restarted = true;
  const auto& r = *held;
  if (!r.founded) return;
  has_state = true;
  log.reset(promises.base);
  lanes.learn(*promises.base.in_force, promises.base.cut);
  for (const auto& e : r.entries) {
    log.append(e.what, e.position);
    if (e.what.kind == entry_kind::view) lanes.learn(*e.what.next, {});
  }
  for (const auto& l : lanes.all()) {
    const auto stored = r.batches.find(l->name());
    if (mutated(mutation::pa8_logged_lanes_dropped) && slot_of(*promises.base.in_force, l->owner, l->inc) == no_slot) continue;
    if (stored == r.batches.end()) continue;
    for (const auto& [seq, b] : stored->second)
      if (seq > l->trimmed()) l->store(b.what, b.position);
  }
  const mark& from = r.has_checkpoint && r.checkpoint.index >= promises.base.index ? r.checkpoint : promises.base;
  if (r.has_checkpoint) checkpoints.push_back({r.checkpoint, r.checkpoint_chunks, true, {}});
  last_checkpoint_bytes = std::uint64_t(r.checkpoint_chunks) * 256 * 1024;
  seal_ended_lanes(from.index);
  applied = from.index;
  applied_cut = from.cut;
  applied_time = from.time;
  delivered = from.delivered;
  in_force = from.in_force;
  ended = from.ended;
  adopt_options();
  begin_view_delivery();
  view_floor = from.cut;
  view_index = 0;
  for (const auto& v : log.views())
    if (v.index <= applied) view_index = v.index;
  durable_view = in_force->number;
  // PA4: what was installed is known to be committed, also after a restart of everybody.
  commit = mutated(mutation::pa4_view_knowledge_volatile) ? applied
                                                          : std::min(log.last(), std::max(applied, promises.view_commit));
}

journal_position core::impl::persist(decltype(persist_op::what) what) {
  const bool held = kept == keeping::memory;
  const bool of_checkpoint = std::holds_alternative<persist_chunk>(what) || std::holds_alternative<persist_install>(what) ||
                             std::holds_alternative<persist_release>(what);
  if (held && !of_checkpoint) return 0;
  if (const auto* b = std::get_if<persist_batch>(&what); b && !held) written_bytes += b->what.what.bytes();
  if (const auto* c = std::get_if<persist_chunk>(&what); c && !held) written_bytes += c->data.bytes();
  const journal_position at = held ? 0 : next_position++;
  out.persists.push_back({at, std::move(what)});
  return at;
}

void core::impl::save_state() { state_position = persist(persist_state{promises}); }

void core::impl::send_to(const std::vector<member_id>& to, message what, journal_position needs) {
  const auto first = static_cast<std::uint32_t>(out.targets.size());
  for (const member_id m : to)
    if (m != self()) out.targets.push_back(m);
  const auto count = static_cast<std::uint32_t>(out.targets.size()) - first;
  if (count == 0) return;
  out.sends.push_back({first, count, kept == keeping::disk ? needs : 0, std::move(what)});
}

void core::impl::send(member_id to, message what, journal_position needs) {
  if (to == self() || to == no_member) return;
  out.targets.push_back(to);
  out.sends.push_back(
    {static_cast<std::uint32_t>(out.targets.size() - 1), 1, kept == keeping::disk ? needs : 0, std::move(what)});
}

void core::impl::send_all(message what, journal_position needs) { send_to(roster_members(), std::move(what), needs); }

void core::impl::notify(event_kind kind, member_id member, std::uint64_t number, bool flag, log_index index) {
  out.events.push_back({kind, flag, member, number, index});
}

void core::impl::begin(instant mono, wall_time time) {
  unattended = ticked ? mono - now : duration(0);
  notice_stall(mono);
  now = std::max(now, mono);
  wall = time;
  stamp = std::max(now, stamp + duration(1));
  if (ticked) return;
  ticked = true;
  booted = now;
  joining_since = now;
  if (has_state) note_away();
  // Numbers of read requests never repeat over restarts: an answer to a former life must not answer this one (M17).
  reads.ids = (static_cast<std::uint64_t>(wall.count()) << 12) ^ (random.next() & 0xfff);
  request_ids = reads.ids;
  if (!has_state) {
    // D2: a former life may have sealed under its incarnation before the state it joined with reached the disk.
    if (promises.inc != 0) take_incarnation(0);
    return;
  }
  // A restart takes a new incarnation: lane numbers of the old life are never used again (D2, L2).
  if (mutated(mutation::incarnation_reused))
    place_self();
  else
    take_incarnation(0);
  draw_election();
}

/// Everything that can go on by what this member knows itself, until nothing moves.
void core::impl::settle() {
  for (bool moved = true; moved;) {
    moved = take_offered();
    settle_keeping();
    moved |= seal();
    moved |= deliver_live();
    moved |= propose();
    moved |= advance_commit();
    moved |= apply_committed();
  }
}

void core::impl::drain() {
  if (!ticked) return;
  if (!has_state) {
    drive_founding();
    drive_transfer();
  }
  if (has_state) {
    election_timers();
    settle();
    if (early_wedge.second.view != 0) answer_early_wedge();
    if (role == core_role::leader) {
      watch_members();
      yield_as_odd();
      drive_handover();
      change_views();
      settle();
    }
    start_reads();
    confirm_reads();
    settle();
    finish_reads();
    pull_for_offered();
    resend_lanes();
    maybe_checkpoint();
    note_place();
    trim();
    release_checkpoints();
    drive_transfer();
    give_chunks();
    if (role == core_role::leader) send_appends();
    keep_pace();
    window_check();
  }
  settle_keeping();
  drive_requests();
  send_join();
  send_ack();
  if (kept != keeping::memory && !out.persists.empty()) {
    if (unwritten.empty()) disk_progress = now;
    unwritten.emplace_back(out.persists.back().position, written_bytes);
  }
  compute_deadline();
}

void core::impl::compute_deadline() {
  instant d = never;
  const auto at = [&](instant t) { d = std::min(d, t); };
  const bool idle_alone = has_state && roster_members().empty();
  if (!has_state || my_slot == no_slot) at(std::max(join_sent, now - options.heartbeat / 2) + options.heartbeat);
  if (incoming.running) at(std::max(incoming.progress, incoming.asked_again) + options.pull_wait);
  const bool vouched_for = follower_rests();  // Q6
  if (has_state && role != core_role::leader && election_at != never && !vouched_for) at(election_at);
  if (has_state && role != core_role::leader && primary && !vouched_for) at(leader_contact + options.election_max);
  if (role == core_role::leader && !idle_alone && !resting) {
    for (const auto& r : governed_roster()) {
      if (r.id == start.self) continue;
      if (const auto* p = known_peer(r.id); p && !superseded(*p)) at(p->append_sent + beat(*p));
    }
    if (change.running) at(change.wedge_sent + options.heartbeat);
    if (handover.on) at(std::min(handover.sent + options.heartbeat, handover.since + options.election_min));
    for (const auto& p : peers) {
      if (p.reset_at == never) continue;
      const auto wait_until = [&](instant t) { if (t >= now) at(t + duration(1)); };
      wait_until(p.reset_at + reset_patience(options));
      wait_until(std::max(p.reset_at, p.echo) + options.election_min);
    }
  }
  if (role == core_role::leader && withholds_state()) at(odd_yields_at);
  if (!offered.empty() && leader != no_member && !journal_full()) at(std::max(offered_since, asked.moved) + pull_patience());
  for (const auto& a : asked_changes) at(std::max(a.sent, now) + options.heartbeat);
  if (told_busy && paced()) at(now);
  if (!wanted_chunks.empty()) at(now);
  if (kept == keeping::memory && !checkpoints.empty() && !restoring) at(checkpoint_in_use_until());
  if (!reads.asked.empty()) at(std::max(reads.asked.front().sent, now) + options.heartbeat);
  if (may_seal() && options.batch_delay.count() > 0)
    for (const auto& queue : open)
      if (!queue.empty()) at(queue.front()->oldest + options.batch_delay);
  if (role == core_role::leader && has_state && !total_only() && log.cut_behind(log.last()) != lanes.held(in_force->number))
    at(cut_proposed + options.heartbeat);
  if (has_state && my_slot != no_slot && resend_due != never && !idle_alone) at(std::max(resend_due, now + options.heartbeat));
  if (waits_for_time() && wall < wanted_time) at(now + std::min(wanted_time - wall, time_check));
  deadline = std::max(d, now + std::chrono::milliseconds(1));
  if (d == never) deadline = never;
}

core_status core::impl::status() {
  core_status s;
  s.self = self();
  s.leader = leader;
  s.is_leader = role == core_role::leader;
  s.founded = has_state;
  s.active = my_slot != no_slot;
  s.primary = primary;
  s.wedged = wedged.on;
  s.transferring = incoming.running;
  s.handing_over = handover.on;
  s.term = promises.term;
  s.inc = promises.inc;
  s.in_force = in_force;
  if (in_force) {
    const auto* r = find(*in_force, start.self);
    s.voter = r && r->voter;
  }
  if (has_state) {
    s.base = log.base().index;
    s.last = log.last();
    s.durable = kept == keeping::memory ? log.last() : kept == keeping::copying ? 0 : log.durable(persisted_to);
  }
  s.commit = commit;
  s.applied = applied;
  s.checkpoint = checkpoints.empty() ? 0 : checkpoints.back().at.index;
  s.delivered = delivered;
  s.payload_bytes = lanes.bytes() + open_bytes;
  s.time = applied_time;
  return s;
}

std::uint64_t core::impl::nth_largest(std::size_t n) const {
  if (n == 0 || scratch.size() < n) return 0;
  const auto nth = scratch.begin() + static_cast<std::ptrdiff_t>(n - 1);
  std::nth_element(scratch.begin(), nth, scratch.end(), std::greater<>());
  return *nth;
}

void core::impl::check_invariants() const {
  if (!has_state) return;
  COHORT_INVARIANT(applied <= commit, applied, commit);
  COHORT_INVARIANT(commit <= log.last(), commit, log.last());
  COHORT_INVARIANT(log.base().index <= applied, log.base().index, applied);
  COHORT_INVARIANT(in_force->number == log.view_at(applied)->number, in_force->number, log.view_at(applied)->number);
  if (!total_only() && !is_witness() && !mutated(mutation::append_without_payload)) COHORT_INVARIANT(covers(passed, applied_cut), applied, in_force->number);
  // I6: cuts are monotone along the log; I7: the payload of every entry above the applied one is held.
  frontier cut = log.cut_behind(applied);
  view_number number = in_force->number;
  auto held = lanes.held(number);
  for (log_index i = applied + 1; i <= log.last(); ++i) {
    const entry& e = log.at(i);
    COHORT_INVARIANT(covers(e.cut, cut), i, log.last());
    if (!mutated(mutation::append_without_payload) && !is_witness()) COHORT_INVARIANT(covers(held, e.cut), i, number);
    cut = log.cut_behind(i);
    if (e.kind == entry_kind::view) held = lanes.held(number = e.next->number);
  }
}

// ---- the public face ------------------------------------------------------------------------------------------------

core::core(const core_options& options, const core_start& start) : impl_(std::make_unique<impl>(options, start)) {}
core::~core() = default;
core::core(core&&) noexcept = default;

void core::tick(instant mono, wall_time wall) { impl_->begin(mono, wall); }

submit_status core::submit(std::span<const std::span<const std::byte>> messages, order how, wall_time deadline) {
  return impl_->submit(messages, how, deadline);
}

submit_status core::submit_part(std::span<const std::byte> part, bool more, order how, wall_time deadline) {
  return impl_->submit_part(part, more, how, deadline);
}
void core::give_up_parts(order how) { impl_->open_messages[static_cast<std::size_t>(how)] = {}; }

bool core::receive(voter_id from, message&& what) {
  auto& c = *impl_;
  if (from.member == c.self() || !std::ranges::binary_search(c.known_members, from.member)) return false;
  auto& sender = c.peer_of(from);
  sender.heard_order = ++c.heard_counter;
  sender.heard_at = c.now;
  // Who comes to lead knows the others' rhythm already: they repeat their acks to all with every heartbeat. While leading
  // only echoes count (V20).
  if (c.role != core_role::leader) c.alive(sender, c.now);
  const auto* told = std::get_if<ack>(&what);
  // Who takes part in the protocol has a view: the founding is over, whatever the HELLO said.
  if (!std::holds_alternative<form>(what) && !std::holds_alternative<join>(what) && !(told && told->no_state))
    sender.blank = false;
  std::visit(  // `component_control` is for groups of the other kind, what concerns calls for the driver
    [&]<class Message>(Message& m) {
      if constexpr (std::is_same_v<Message, batch>) c.receive_batch(from, std::move(m));
      if constexpr (std::is_same_v<Message, append>) c.receive_append(from, std::move(m));
      if constexpr (std::is_same_v<Message, ack>) c.receive_ack(from, m);
      if constexpr (std::is_same_v<Message, vote>) c.receive_vote(from, m);
      if constexpr (std::is_same_v<Message, wedge>) c.receive_wedge(from, m);
      if constexpr (std::is_same_v<Message, report>) c.receive_report(from, m);
      if constexpr (std::is_same_v<Message, pull>) c.receive_pull(from, m);
      if constexpr (std::is_same_v<Message, pull_chunk>) c.receive_pull_chunk(from, m);
      if constexpr (std::is_same_v<Message, chunk>) c.receive_chunk(from, std::move(m));
      if constexpr (std::is_same_v<Message, join>) c.receive_join(from, m);
      if constexpr (std::is_same_v<Message, form>) c.receive_form(from, m);
      if constexpr (std::is_same_v<Message, read_request>) c.receive_read_request(from, m);
      if constexpr (std::is_same_v<Message, read_reply>) c.receive_read_reply(from, m);
      if constexpr (std::is_same_v<Message, take_over>) c.receive_take_over(from, m);
      if constexpr (std::is_same_v<Message, change_request>) c.receive_change_request(from, m);
      if constexpr (std::is_same_v<Message, change_reply>) c.receive_change_reply(from, m);
      if constexpr (std::is_same_v<Message, probe>) c.receive_probe(from, m);
    },
    what);
  return !told || c.calls_for_pass(from, *told);
}

void core::persisted(journal_position up_to) {
  auto& c = *impl_;
  if (up_to <= c.persisted_to) return;
  c.persisted_to = up_to;
  c.disk_progress = c.now;
  while (!c.unwritten.empty() && c.unwritten.front().first <= up_to) {
    c.persisted_bytes = c.unwritten.front().second;
    c.unwritten.pop_front();
  }
  c.ack_due = true;
  if (c.in_force && c.kept == impl::keeping::disk && up_to >= c.view_position) c.durable_view = c.in_force->number;
}

void core::link_up(voter_id id, bool peer_blank) {
  auto& c = *impl_;
  auto& p = c.peer_of(id);
  for (auto& other : c.peers)
    if (other.id.member == id.member) other.linked = false;
  p.heard_order = ++c.heard_counter;
  p.linked = true;
  p.node = {};
  p.blank = peer_blank;
  p.reset_at = never;
  p.reset_elsewhere.clear();
  p.served_from = {};
  p.lane_progress = c.resend_due = instant{};  // what was in flight on the old link is lost: resend at once (L7)
  if (c.role == core_role::leader) p.probing = true;
  c.ack_due = c.all_acked_due = true;
}

void core::link_down(member_id member, bool reset) { impl_->link_down(member, reset); }

void core::contact(member_id member, const node_contact& what) { impl_->contact(member, what); }
vouch core::vouched() { return impl_->own_vouch(); }

void core::know(member_id m) {
  auto& members = impl_->known_members;
  if (const auto at = std::ranges::lower_bound(members, m); at == members.end() || *at != m) members.insert(at, m);
}

std::uint64_t core::request(change_kind kind, member_id who, const view_options& wanted, const std::optional<view_options>& based_on) {
  return impl_->request(kind, who, wanted, based_on);
}

const view_options& core::rules() const { return impl_->options; }

void core::hand_over(member_id to) { impl_->hand_over(to); }
void core::states_differ(std::vector<member_id> members) { impl_->states_differ(std::move(members)); }
void core::read(std::uint64_t tag) {
  if (impl_->is_witness())
    impl_->out.deliveries.emplace_back(deliver_read{tag, true, impl_->applied});  // W1: it has no state to answer from
  else
    impl_->reads.fresh.push_back(tag);
}
void core::want_checkpoint() {
  auto& c = *impl_;
  if (c.applied > (c.checkpoints.empty() ? 0 : c.checkpoints.back().at.index)) c.checkpoint_wanted = true;
}

void core::checkpoint_stored(log_index index, std::uint32_t chunks) { impl_->checkpoint_stored(index, chunks); }

void core::restored(log_index index) { impl_->restored(index); }

void core::checkpoint_failed(log_index index) {
  auto& c = *impl_;
  if (c.checkpoint_pending && c.pending_mark.index == index) c.checkpoint_pending = false;
}

void core::chunk_loaded(member_id to, log_index index, std::uint32_t number, payload data) {
  impl_->chunk_loaded(to, index, number, std::move(data));
}

void core::want_time(wall_time due) { impl_->wanted_time = due; }

void core::drain() { impl_->drain(); }
outputs& core::out() { return impl_->out; }

void core::drained() {
  auto& o = impl_->out;
  o.persists.clear();
  o.targets.clear();
  o.sends.clear();
  o.deliveries.clear();
  o.events.clear();
}

instant core::next_deadline() const { return impl_->deadline; }
core_status core::status() const { return impl_->status(); }
void core::check_invariants() const { impl_->check_invariants(); }

}  // namespace cohort::protocol
