#pragma once

#include "framework/protocol/assert.hpp"
#include "framework/protocol/core.hpp"
#include "framework/protocol/entry_log.hpp"
#include "framework/protocol/frontier.hpp"
#include "framework/protocol/lanes.hpp"
#include "framework/protocol/mutations.hpp"
#include "framework/protocol/own_lanes.hpp"
#include "framework/protocol/peer.hpp"
#include "framework/protocol/random_source.hpp"
#include "framework/protocol/rate_meter.hpp"
#include "framework/protocol/reads_under_way.hpp"
#include "framework/protocol/recovered_state.hpp"
#include "framework/protocol/view_change.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>

namespace cohort::protocol {

struct inspector;

/// A leader that waits for a timer looks at its clock so often, in case that was set (C12).
inline constexpr wall_time time_check = std::chrono::seconds(1);

enum class core_role : std::uint8_t { follower, pre_candidate, candidate, leader };

/// A checkpoint that is being received (rule S5).
struct transfer {
  bool running = false;
  member_id donor = no_member;
  mark at;
  std::uint32_t count = 0;
  std::uint32_t received = 0;
  std::uint32_t asked = 0;         ///< highest chunk asked for
  std::vector<bool> have;
  instant progress{};              ///< a chunk came
  instant asked_again{};
};

struct core::impl {
  impl(const core_options& o, const core_start& s);

  // ---- configuration and inputs of the pass
  core_options options;            ///< rules of the view in force included (X1)
  core_start start;                ///< `state` is let go once it has been taken over
  bool restarted = false;
  random_source random;
  std::vector<member_id> known_members;  ///< who may be heard, ascending
  instant now{};
  wall_time wall{};
  instant stamp{};                 ///< strictly growing send time: one per pass (R1)
  bool ticked = false;
  instant booted{};
  instant awake_since{};           ///< end of the newest stall of this process itself (V22)

  // ---- promises (persistent, D9)
  hard_state promises;
  enum class keeping : std::uint8_t {
    memory,   ///< nothing is written, and nothing is waited for
    copying,  ///< all is written, and nothing waits for it: it does not count yet (X3)
    disk,     ///< all is written, and what testifies to it waits (D9)
  };
  keeping kept = keeping::memory;
  journal_position copy_from = 1;       ///< first record that counts, if any does
  journal_position secured_at = 0;      ///< of the state record that says so
  journal_position retired_at = 0;      ///< of the state record that says that nothing there counts any more

  journal_position next_position = 1;
  journal_position persisted_to = 0;
  journal_position state_position = 0;  ///< of the newest state record
  journal_position view_position = 0;   ///< of the state record that tells the newest view_commit (PA4)
  view_number durable_view = 0;

  std::uint64_t written_bytes = 0;      ///< payload handed to the journal ...
  std::uint64_t persisted_bytes = 0;    ///< ... and known to be on disk
  std::deque<std::pair<journal_position, std::uint64_t>> unwritten;  ///< position, `written_bytes` through it; a pass each
  instant disk_progress{};
  std::size_t journal_backlog() const { return static_cast<std::size_t>(written_bytes - persisted_bytes); }
  bool disk_stuck() const { return !unwritten.empty() && now - std::max(disk_progress, awake_since) > options.fail_after; }
  bool journal_full() const { return kept != keeping::memory && journal_backlog() > options.journal_backlog_max; }

  // ---- log, lanes, application
  entry_log log;
  lane_store lanes;
  bool has_state = false;          ///< founded, recovered or restored: this process knows a view
  log_index commit = 0;
  log_index applied = 0;
  frontier applied_cut;            ///< behind `applied`, in the slots of `in_force`
  wall_time applied_time{};
  std::uint64_t delivered = 0;
  view_ptr in_force;               ///< installed at `applied`
  lane_history_ptr ended;          ///< lanes that are over there
  log_index view_index = 0;        ///< of the VIEW that installed it
  frontier view_floor;             ///< cut at which it began
  slot my_slot = no_slot;          ///< first own lane in `in_force`
  bool learning = false;           ///< active there without a vote (W6)

  // ---- live delivery, unused in groups of class T alone (section 5)
  frontier passed;                 ///< pos: highest batch per slot that live delivery has passed
  std::vector<std::vector<sequence>> ahead;  ///< per slot: U batches above `passed` that are delivered already
  frontier closed;                 ///< leader: closed and looked at, and no T batch in it that the last cut leaves out
  mutable std::vector<std::uint64_t> scratch;
  term_number match_term = 0;      ///< own log is verified against the leader of this term ...
  log_index match = 0;             ///< ... up to here (C3)
  std::deque<entry> offered;       ///< entries behind the log whose payload is not held yet (C1)
  term_number offered_term = 0;
  instant offered_since = never;
  /// Payload of theirs that was asked for (core_pulls.cpp).
  struct asked_payload {
    view_number view = 0;
    member_id of = no_member;
    frontier upto;                 ///< highest batch asked for, by slot of `view`
    frontier held;                 ///< when something last came ...
    instant moved{};               ///< ... or all was asked for anew
    log_index extras_of = 0;       ///< VIEW whose extras were asked for
  } asked;

  // ---- own lanes
  std::array<std::deque<std::shared_ptr<open_batch>>, 2> open;  ///< by kind of lane
  std::size_t open_bytes = 0;
  /// By class: own batches not delivered yet, seq and messages.
  std::array<std::deque<std::pair<sequence, std::uint64_t>>, order_count> own_undelivered;
  incarnation own_inc = 0;         ///< under which they were sealed; a newer one may be taken before their lane's end is seen
  std::uint64_t largest_stamp = 0;
  bool told_busy = false;
  std::uint64_t sealed_bytes = 0;  ///< in all lives' lanes of this process
  rate_meter sealed_rate;
  sender_pace pace;
  std::array<open_message, order_count> open_messages;  ///< by class
  std::array<std::deque<std::pair<sequence, std::size_t>>, 2> parts_under_way;  ///< by kind of lane: own parts, seq and bytes
  bool told_part_waits = false;

  // ---- role
  core_role role = core_role::follower;
  member_id leader = no_member;
  voter_id leader_id;
  instant leader_contact = instant::min();   ///< min: none that counts
  instant election_at = never;
  std::vector<voter_id> votes;
  journal_position own_vote_position = 0;
  bool own_vote_counted = false;
  log_index first_own_entry = 0;   ///< NOOP of the own term (C7, R1)
  instant led_since{};
  instant cut_proposed{};          ///< by this leader, newest
  instant stand_not_before{};      ///< our clock was refused: let others lead
  struct {
    bool on = false;
    bool asked = false;            ///< the target was told at least once
    bool for_links = false;
    member_id to = no_member;      ///< wanted; `no_member`: whoever is furthest
    instant since{};  ///< made here
    instant sent{};
  } handover;
  bool lease_given_up = false;     ///< for the rest of the term: the take-over may be under way (E8)
  bool primary = false;
  log_index leader_min_applied = 0;
  instant echo_time{};             ///< of the leader of the own term (PA12)

  // ---- wedge (V4)
  wedge_promise wedged;
  wedge blank_report;              ///< the last wedge answered without state
  std::pair<voter_id, wedge> early_wedge;  ///< of a view that is not installed yet
  view_change change;
  std::uint64_t attempts = 0;

  // ---- members that come and go (V21, V23)
  instant links_rest_until{};      ///< leadership is not handed over for links before this
  std::vector<departures> departed;

  // ---- peers
  std::vector<peer> peers;
  instant resend_due{};            ///< no earlier has anybody to be sent again what it lacks of our lanes (L7)
  /// What core_peers.cpp found last, from `peers`, the log and `in_force`; it can be found again at any time.
  mutable struct {
    std::vector<std::uint32_t> identities;  ///< by member: how many lines it has in `peers`
    std::vector<std::uint32_t> places;      ///< by member: where in `peers` it was found
    std::vector<view_ptr> views;            ///< the roster is of these
    std::vector<roster_entry> guests;       ///< and of those whom none of them names
    std::vector<roster_entry> roster;
    std::vector<member_id> members;
    view_ptr counted;                       ///< whether `everybody_counts` in it, and whether somebody learns (W6):
    bool small = false, learners = false;
  } roster_memory;
  std::uint64_t heard_counter = 0;

  // ---- ack to send
  bool ack_due = false;            ///< something an ack tells has changed, or was asked for
  bool all_acked_due = true;       ///< not only whom it concerns
  instant all_acked{};             ///< when everybody was last sent one ...
  view_number all_acked_view = 0;  ///< ... and in which view
  frontier told_front;             ///< of the newest one to anybody, in that view's slots
  term_number told_match_term = 0; ///< of the newest one to everybody ...
  log_index told_match = 0;
  log_index told_commit = 0;       ///< leader: told to everybody at once where acknowledgements do not go to everybody (C6)
  bool reject_due = false;
  log_index reject_prev = 0, reject_hint = 0;
  bool clock_refused = false;
  bool heartbeat_due = false;

  // ---- quiet (Q1 to Q9)
  vouch last_vouch;
  instant settled_since = never;   ///< nothing has been under way since
  bool resting = false;            ///< leader: sends no heartbeats of its own
  duration unattended{};           ///< between the last two ticks

  // ---- joining
  instant join_sent{};
  bool unfounded_told = false;
  instant joining_since = never;

  // ---- requested changes
  std::deque<asked_change> asked_changes;          ///< by this process
  std::uint64_t request_ids = 0;
  bool leaving = false;
  bool barred_told = false;
  std::vector<wanted_change> wanted_changes;               ///< leader: of anybody
  std::vector<departed_member> let_go;
  instant view_since{};
  std::vector<std::pair<voter_id, instant>> away;  ///< voters that are to be active, and since when they are not (S4)

  // ---- founding (PA2)
  struct {
    view_ptr proposed;             ///< coordinator's, or the one accepted
    std::uint64_t attempt = 0;
    std::vector<member_id> accepted;
    instant sent{};
    bool coordinating = false;
    bool committing = false;       ///< all have accepted; to be told until one of them has begun
  } forming;

  reads_under_way reads;

  // ---- checkpoints
  struct stored_checkpoint {
    mark at;
    std::uint32_t chunks = 0;
    bool on_disk = false;
    instant since{};
  };
  std::deque<stored_checkpoint> checkpoints;       ///< newest last, at most two
  std::deque<mark> places;                         ///< of a group in memory: where its log may begin (S2), newest last
  std::optional<log_index> restoring;              ///< the application takes over the checkpoint at that place
  bool checkpoint_pending = false;
  bool pending_on_disk = false;
  mark pending_mark;
  std::uint64_t bytes_since_mark = 0;  ///< since a checkpoint was asked for, or a place noted
  std::uint64_t entries_since_mark = 0;
  std::uint64_t last_checkpoint_bytes = 0;
  bool checkpoint_wanted = false;                  ///< a joiner needs one and there is none, or the driver does
  struct wanted_chunk {
    member_id by = no_member;
    log_index index = 0;
    std::uint32_t number = 0;
  };
  std::deque<wanted_chunk> wanted_chunks;          ///< of them, and not given yet (S9)
  rate_meter delivered_rate;                       ///< of payload, here
  struct {
    std::int64_t room = 0;                         ///< bytes that may be given at once
    instant filled{};
  } giving;
  transfer incoming;

  // ---- odd states (S10)
  std::vector<member_id> odd_members;              ///< their states differ from the majority's; ascending
  log_index odd_found_at = 0;                      ///< what was applied when that was found out
  instant odd_yields_at{};                         ///< no earlier does an odd leader ask another one to lead

  wall_time wanted_time = wall_time::max();        ///< at which the replica's next timer is due (C12)

  outputs out;
  instant deadline = never;

  // ---- core.cpp
  void begin(instant mono, wall_time time);
  void drain();
  void settle();
  void compute_deadline();
  member_id self() const { return start.self.member; }
  bool on_disk(journal_position p) const { return kept != keeping::disk || p <= persisted_to; }
  journal_position persist(decltype(persist_op::what) what);
  void save_state();
  void send(member_id to, message what, journal_position needs = 0);
  void send_all(message what, journal_position needs = 0);         ///< every roster member but self
  void send_to(const std::vector<member_id>& to, message what, journal_position needs = 0);
  void notify(event_kind kind, member_id member = no_member, std::uint64_t number = 0, bool flag = false,
              log_index index = 0);
  /// The largest value that a quorum of `v`'s voters reaches.
  template <class Value>
  std::uint64_t quorum_value(const view& v, Value&& of) const;
  /// The value in `scratch` that so many of them reach; 0 if there are fewer. Reorders them.
  std::uint64_t nth_largest(std::size_t n) const;
  void check_invariants() const;
  core_status status();

  // ---- core_peers.cpp
  peer& peer_of(voter_id id);
  const peer* known_peer(voter_id id) const;
  std::size_t place_of(voter_id id) const;
  bool superseded(const peer& p) const;
  std::vector<view_ptr> governing_views() const;                   ///< E2
  const std::vector<roster_entry>& governed_roster() const;        ///< PA10
  const std::vector<member_id>& roster_members() const;            ///< of the governed roster, without this one
  void recall_roster() const;

  // ---- core_lanes.cpp
  submit_status submit(std::span<const std::span<const std::byte>> messages, order how, wall_time deadline);
  submit_status takes(order how, wall_time deadline) const;
  bool window_full(std::size_t bytes) const;
  void receive_batch(voter_id from, batch&& b);
  bool seal();
  bool seal(lane_kind k);
  void seal_all(lane_kind k);
  void seal_one(std::shared_ptr<open_batch> b);
  bool may_seal() const { return has_state && my_slot != no_slot && !wedged.on; }
  // ---- core_parts.cpp
  submit_status submit_part(std::span<const std::byte> bytes, bool more, order how, wall_time deadline);
  bool interrupted(const batch& b) const;
  std::size_t part_window() const { return std::max<std::size_t>(options.lane_window / 8, 2 * options.part_bytes); }
  std::size_t part_bytes_under_way();

  bool nothing_open() const { return open[0].empty() && open[1].empty(); }
  std::uint64_t undelivered(order o) const;                       ///< own messages
  bool all_delivered() const;
  /// Own slots of the view in force: [my_slot, own_slots_end).
  slot own_slots_end() const { return my_slot == no_slot ? no_slot : static_cast<slot>(my_slot + lanes_per_member(*in_force)); }
  slot own_slot(lane_kind k) const { return slot_of(*in_force, start.self, promises.inc, k); }
  lane* lane_of(const lane_name& name, view_number number, slot hint) const;
  sequence slowest(slot s) const;
  std::size_t own_in_flight() const;
  bool lacks_ours(const peer& p) const;
  void begin_waiting();
  void resend_lanes();
  void resend_to(peer& p);
  sequence acked(slot s);
  frontier acked_frontier();
  std::vector<member_id> served_others(lane_kind k, sequence next);
  bool far_behind(const roster_entry& r, const peer& p) const;
  void window_check();

  // ---- core_pace.cpp
  void keep_pace();
  void give_chunks();
  std::uint64_t giving_rate() { return std::max(options.chunk_bytes_per_second, delivered_rate.per_second(now) / 2); }
  std::size_t own_bytes_behind(const peer& p) const;
  bool paced() const { return pace.limit > 0 && pace.room <= 0; }

  // ---- core_pulls.cpp
  duration pull_patience() const { return 2 * options.heartbeat; }
  void receive_pull(voter_id from, const pull& p);
  void pull_for_offered();
  void pull_ahead(const lane& l, slot s, sequence want, sequence ahead);
  void pull_extras(const std::vector<extra>& extras, view_number number, member_id from);
  bool holds(const std::vector<extra>& extras, view_number number) const;

  // ---- core_delivery.cpp
  bool total_only() const { return protocol::total_only(*in_force); }
  bool may_deliver_live() const;
  bool deliver_live();
  void deliver_unordered(const lane& l, const batch& b);
  bool pass(const frontier& limit, const frontier& stable, bool by_cut);
  bool ready(const batch& b, slot s, const frontier& stable, bool by_cut) const;
  void tell_time(const entry& e, std::size_t first);
  void deliver_cut(const entry& e);
  void deliver_total(const entry& e);
  bool expired(const batch& b, const entry& e) const;
  void report_void(void_cause why, const lane& l, const batch& b, bool own);
  bool late(const batch& b) const { return b.deadline != wall_time{} && wall > b.deadline; }
  deliver_batch describe(const lane& l, const batch& b) const;
  bool answers_own(const lane& l, const batch& b) const;
  void hand_out(const lane& l, const batch& b, bool stable);
  void count_delivered(const batch& b) {
    bytes_since_mark += b.what.bytes() + b.deps.size() * sizeof(sequence);
    delivered_rate.add(now, b.what.bytes());
  }
  sequence stable(slot s);
  frontier stable_frontier();
  frontier closed_frontier(frontier from, const frontier& limit) const;
  bool cut_is_urgent(const frontier& before, const frontier& cut) const;
  bool cut_is_large(const frontier& before, const frontier& cut) const;
  void begin_view_delivery();

  // ---- core_log.cpp
  void receive_append(voter_id from, append&& a);
  void receive_ack(voter_id from, const ack& a);
  bool take_offered();
  bool advance_commit();
  bool apply_committed();
  void apply(const entry& e);
  log_index append_own(entry_kind kind, frontier cut, view_ptr next, std::vector<extra> extras = {});
  bool propose();
  bool propose_time(const frontier& cut);
  bool waits_for_time() const { return role == core_role::leader && has_state && log.last_time() < wanted_time && wanted_time != wall_time::max(); }
  void send_appends();
  void send_append(peer& p);
  void send_ack();
  std::vector<member_id> concerned(const ack& a);
  bool everybody_counts() const;
  void count_roster() const;
  bool leader_and_one_decide() const;
  bool calls_for_pass(voter_id from, const ack& a) const;
  bool takes_safe_orders() const;
  log_index durable_match();
  template <class Value>
  log_index copied(const view& v, std::size_t copies, Value&& matched) const;
  log_index witness_bound();
  log_index last_offered(const peer& p);
  log_index minimal_applied();
  void truncate_from(log_index from);

  // ---- core_election.cpp
  void receive_vote(voter_id from, const vote& v);
  void election_timers();
  void adopt_term(term_number t);
  void become_follower(member_id new_leader, voter_id id);
  void leader_heard(voter_id from);
  void stand();
  void stand_for_real(bool handed_over = false);
  void count_votes();
  void lead();
  void step_down();
  bool sticky() const;
  bool may_stand() const;
  bool is_quorum(const std::vector<voter_id>& who) const;
  void draw_election();
  void link_down(member_id member, bool reset);
  void hand_over(member_id to);
  void drive_handover();
  const peer* successor(member_id wanted) const;
  void receive_take_over(voter_id from, const take_over& t);
  template <class Value>
  instant quorum_instant(Value&& of) const;
  instant quorum_echo() const;
  instant lease_echo() const;
  void set_primary(bool on);

  // ---- core_quiet.cpp
  void contact(member_id member, const node_contact& c);
  vouch own_vouch();
  void attend(peer& p, instant at);
  bool vouched_by(const peer& p, vouch_kind kind) const;
  duration beat(const peer& p) const;
  bool may_be_slow(const peer& p) const;
  bool settled() const;
  bool leader_rests();
  bool follower_rests() const;

  // ---- core_views.cpp
  void change_views();
  bool change_wanted();
  bool silent(const roster_entry& r) const { return absence_of(r) != absence::none; }
  void rescue_stranded();
  void start_change();
  void drive_change();
  void receive_report(voter_id from, const report& r);
  void propose_view(const frontier& want, const std::vector<extra>& extras);

  // ---- core_wedge.cpp
  void wedge_self(term_number term, std::uint64_t attempt);
  void receive_wedge(voter_id from, const wedge& w);
  void answer_early_wedge();
  void report_front(report& r) const;
  void honour_blank_report();

  // ---- core_rosters.cpp
  bool caught_up(const roster_entry& r) const;
  bool close_behind(const peer& p) const;
  bool window_behind(const peer& p) const;
  bool stuck(const roster_entry& r, const peer& p) const;
  bool learns_too_slowly(const roster_entry& r) const;
  bool unservable(const peer& p) const;
  view_ptr next_view(bool with_promotions, bool with_requests) const;
  bool feasible(const view& next) const;

  // ---- core_installation.cpp
  void install(const entry& e);
  void excluded(deliver_view& told);
  void lose_own(deliver_view& told, lane_kind k);
  void drop_disabled(deliver_view& told);
  void seal_ended_lanes(log_index upto);
  void seal_lane(lane& l, slot s, const entry& e);

  // ---- core_joining.cpp
  bool is_witness() const { return std::ranges::binary_search(start.witnesses, self()); }
  void take_incarnation(incarnation above);
  void place_self();
  void send_join();
  void receive_join(voter_id from, const join& j);
  bool waits_for_admission(const peer& p) const;
  bool admissible(const peer& p) const;

  // ---- core_changes.cpp
  std::uint64_t request(change_kind kind, member_id who, const view_options& wanted_options, const std::optional<view_options>& based_on);
  void drive_requests();
  void answered(std::uint64_t id, change_refusal why);
  void receive_change_request(voter_id from, const change_request& r);
  void receive_change_reply(voter_id from, const change_reply& r);
  void answer(voter_id origin, std::uint64_t id, change_refusal why);
  void consider(voter_id origin, const change_request& r);
  bool satisfied(voter_id origin, const change_request& r) const;
  change_refusal flaw_of(voter_id origin, const change_request& r) const;
  change_refusal flaw_of(const view_options& o) const;
  bool still_wanted(const wanted_change& w) const;
  bool is_overtaken(const change_request& r, const view_options& rules) const;
  static bool lets_go(voter_id origin, const change_request& r, const roster_entry& e);
  bool goes(const roster_entry& r) const;
  void apply_requests(view& next) const;
  void settle_requests();
  void adopt_options();

  // ---- core_durability.cpp
  bool disk_wanted() const;
  bool secured() const;
  /// Knowledge of a view is a promise, too (PA4): in a journaled one it waits for the disk.
  bool tells_views_at_once() const { return kept == keeping::memory || (kept == keeping::copying && !in_force->options.durable); }
  log_index unsecured_bound() const;
  void settle_keeping();
  void begin_copy();
  void start_journal(bool valid);
  void finish_copy();
  void keep_in_memory();
  void keep_like(const view& v);

  // ---- core_detection.cpp
  void notice_stall(instant mono);
  void stood_still();
  void await_anew(peer& p);
  void alive(peer& p, instant at);
  duration silence(const peer& p) const { return now - std::max(p.rhythm.last_heard(), p.watched_from); }
  void watch_members();
  void ask_about_reset(peer& p);
  bool confirms_resets(const roster_entry& r, const peer& subject) const;
  bool ended_everywhere(const peer& p) const;
  void ask_others(peer& p);
  bool helps(const roster_entry& r) const;
  bool vouched(const peer& p) const;
  bool given_up(const peer& p) const;
  bool lagging(const peer& p, duration least) const;
  absence absence_of(const roster_entry& r) const;
  void tell_absent();
  void receive_probe(voter_id from, const probe& p);
  std::uint32_t deaf_to() const;
  void yield_for_links();
  duration links_rest() const { return 15 * options.fail_after; }
  void note_departures(const view& before, const view& next);
  bool held_back(member_id m) const;

  // ---- core_reads.cpp
  void start_reads();
  void confirm_reads();
  void finish_reads();
  void refuse_reads();
  void receive_read_request(voter_id from, const read_request& r);
  void receive_read_reply(voter_id from, const read_reply& r);
  void reads_lost_leader();

  // ---- core_transfer.cpp
  void receive_pull_chunk(voter_id from, const pull_chunk& p);
  void receive_chunk(voter_id from, chunk&& c);
  void chunk_loaded(member_id to, log_index index, std::uint32_t number, payload data);
  void offer_checkpoint(peer& p);
  void drive_transfer();
  void finish_transfer();
  missed_ptr missed_by(const mark& at) const;
  void remember_ended(const entry& e, const view& before);
  void checkpoint_stored(log_index index, std::uint32_t chunks);
  std::uint64_t checkpoint_distance() const;
  std::uint64_t checkpoint_bytes() const {
    return options.durable ? options.checkpoint_bytes : std::min(options.checkpoint_bytes, options.checkpoint_bytes_in_memory);
  }
  void maybe_checkpoint();
  mark mark_here() const;
  void note_place();
  instant checkpoint_in_use_until() const;
  bool somebody_is_fed() const;
  void release_checkpoints();
  void restored(log_index index);
  bool may_begin_later() const;
  const mark* trim_place(log_index least) const;
  log_index least_needed() const;
  void begin_log_at(mark base);
  bool is_below_log(const mark& at) const;
  bool retained() const;
  void note_away();
  void trim();

  // ---- core_odd.cpp
  void states_differ(std::vector<member_id> members);
  bool is_odd(member_id m) const { return std::ranges::binary_search(odd_members, m); }
  bool withholds_state() const;
  void yield_as_odd();
  bool too_old_to_give(const mark& at) const;

  // ---- core_founding.cpp
  void receive_form(voter_id from, const form& f);
  void drive_founding();
  void confirm_founding(voter_id from, const view& v);
  void found(view_ptr v);
};

template <class Value>
std::uint64_t core::impl::quorum_value(const view& v, Value&& of) const {
  scratch.clear();
  for (const auto& r : v.roster)
    if (r.voter) scratch.push_back(of(r.id));
  return nth_largest(quorum_size(v));
}

/// Highest index that so many data voters have acked.
template <class Value>
log_index core::impl::copied(const view& v, std::size_t copies, Value&& matched) const {
  scratch.clear();
  for (const auto& r : v.roster)
    if (r.voter && !r.witness) scratch.push_back(matched(r.id));
  return nth_largest(copies);
}

}  // namespace cohort::protocol
