#pragma once

#include "framework/protocol/assert.hpp"
#include "framework/protocol/frontier.hpp"
#include "framework/protocol/lanes.hpp"
#include "framework/protocol/partition/core.hpp"
#include "framework/protocol/partition/mistakes.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

namespace cohort::protocol::partition {

/// Another member, as far as it is known.
struct peer {
  std::uint64_t identity = 0;  ///< of the process at the other end of the link
  bool up = false;
  process who;  ///< inc 0: not heard yet
  instant heard{-1};
  standing said;  ///< its newest heartbeat
};

/// What this member knows of one member of the view, by rank.
struct member_state {
  frontier have;            ///< acknowledged
  sequence sealed[2] = {};  ///< by kind: of its own lanes, sealed
  bool merged = false;
  std::uint64_t clock = 0;  ///< no batch that is still to be received has a stamp up to this
  std::deque<std::pair<sequence, std::uint64_t>>
      promises;  ///< clocks that count once its causal lane is held up to `first`
};

/// A batch that still takes messages.
struct open_batch {
  order cls = order::total;
  wall_time deadline{};
  message_part part;
  std::vector<std::uint32_t> sizes;
  std::vector<std::byte> blob;
};

/// An own large message of which some parts are sealed.
struct open_message {
  std::uint32_t parts = 0;
  view_number begun = 0;  ///< the view they were sealed in
};

/// The attempt which this member coordinates.
struct own_attempt {
  component_id id;
  std::vector<process> asked;
  std::map<process, account> accounts;
  component_ptr proposed;  ///< once accounts are in
  std::vector<process> ready;
  instant until{};  ///< next step or next attempt at the latest
};

/// The states that a view merges, as far as they have come in.
struct exchange {
  struct incoming {
    std::vector<std::byte> bytes;
    std::uint32_t next = 0, count = 0;
    instant asked{};
    bool complete() const { return count != 0 && next == count; }
  };
  std::vector<incoming> sides;
  bool offered = false;  ///< the own side's state was asked for
};

/// How far deliveries may go (section 5): what is held, what is stable, and whether smaller stamps may still come.
struct limits {
  const frontier* stable = nullptr;  ///< null: everything counts as stable
  bool complete = false;             ///< nothing more will be received in this view
  bool closed_only = false;          ///< what can never be passed does not hold up the total order
};

struct core::impl {
  impl(const core_options& o, const core_start& s);

  // ---- core.cpp
  void speak_up();
  void tick(instant mono, wall_time w);
  void receive(voter_id from, message&& what);
  void receive_control(peer& p, control&& what);
  void link_up(voter_id who);
  void link_down(member_id who, bool reset);
  void drain();
  instant next_deadline() const;
  /// A promise leaves when all that is written by now is on disk; anything else once it is on disk who speaks.
  void promise(const control_body& what, std::span<const member_id> to);
  void send(const control_body& what, std::span<const member_id> to);
  void send(message&& what, std::span<const member_id> to, journal_position needs);
  std::vector<member_id> others() const;  ///< of the view
  // ---- durable.cpp, recovery.cpp
  bool on_disk(journal_position at) const { return at <= persisted_to; }
  /// Something is being written that this member's account of itself would have to speak of: none is given.
  bool writes() const { return entering != 0 || pending_checkpoint.of_merge || merge_unwritten; }
  journal_position persist(persist_op&& op);
  void write_memory(component_ptr in);
  void persisted(journal_position up_to);
  bool checkpoint_waits();
  void checkpoint_if_due();
  void take_checkpoint(bool of_merge);
  void checkpoint_stored(log_index number);
  void checkpoint_failed(log_index number);
  void resume(const recovered& from);
  void begin_at(const place& p);
  void restore_batch(const recovered::stored_batch& b);
  void install_again(component_ptr next);

  void happened(event_kind kind, bool flag = false, member_id who = no_member, std::uint64_t number = 0);

  // ---- lanes.cpp: submission, receipt, repair
  submit_status submit(std::span<const std::span<const std::byte>> messages, order how, wall_time deadline);
  submit_status takes(order how, wall_time deadline) const;
  bool window_full(std::size_t bytes) const;
  void seal();
  void seal_one(std::unique_ptr<open_batch> b);
  void seal_all(lane_kind k);
  void tell_open_window();
  void receive_batch(voter_id from, batch&& b);
  void store(batch&& b);
  bool take_into_lane(batch&& b, journal_position at);
  void receive_pull(member_id from, const pull& what);
  void receive_progress(process from, const progress& what);
  void note_clock(std::size_t rank);
  progress own_progress();
  frontier own_front() const;
  void pull_missing();
  void ask_for(slot s, sequence to, member_id whom);
  void find_stable();
  void trim();

  // ---- parts.cpp: large messages
  submit_status submit_part(std::span<const std::byte> bytes, bool more, order how, wall_time deadline);
  std::size_t part_window() const { return std::max<std::size_t>(options.lane_window / 8, 2 * options.part_bytes); }
  std::size_t part_bytes_under_way();

  // ---- delivery.cpp
  bool may_deliver() const { return (!wedged() || mistaken(mistake::delivers_while_wedged)) && open_for_messages; }
  void deliver(const limits& l);
  bool pass_some(const limits& l);
  bool deliver_total(const limits& l);
  bool total_may_come(std::uint64_t stamp) const;
  bool is_expired(const batch& b) const;
  void hand_up(const batch& b, std::uint64_t position);
  void answer_reads();

  // ---- formation.cpp: who is there, attempts, installation
  bool wedged() const { return promised > view->id.counter; }
  bool reaches(const peer& p) const;
  void look_around();
  void beat();
  standing own_standing();
  bool must_change(const std::vector<process>& wanted) const;
  duration steady_for() const { return 3 * options.heartbeat; }                               ///< T_gather
  duration account_wait() const { return (options.durable ? 2 : 1) * options.election_min; }  ///< T_wedge; two flushes
  duration prepare_wait() const { return 4 * account_wait(); }
  duration pull_wait() const { return 2 * options.heartbeat; }
  void begin_attempt(std::vector<process> wanted);
  void receive_gather(const peer& from, const gather& g);
  account own_account(component_id attempt) const;
  void receive_account(process from, account&& a);
  void receive_proposal(const peer& from, const proposal& p);
  void receive_prepared(process from, const prepared& p);
  void count_ready(process who);
  void go_on_with_attempt();
  void propose();
  bool holds_majority(const primary_mark& of) const;
  bool is_primary() const;
  void prepare();
  void seal_at_flush(const flush& f);
  const flush* own_flush(const component_view& v) const;
  void may_be_installed(component_id seen);
  void install_view();
  void enter(component_ptr next);

  // ---- rules.cpp
  const char* refuses(change_kind kind, const view_options& wanted) const;
  std::uint64_t request(const view_options& wanted);
  void settle_requests();
  bool wishes() const { return !asked.empty() && asked.front().options != view->rules.options; }
  component_rules rules_of_proposal() const;
  void adopt(const component_rules& rules) {
    const bool durable = options.durable;  // what this process began with, and its members agree on
    static_cast<view_options&>(options) = rules.options;
    options.durable = durable;
  }

  // ---- merge.cpp
  void begin_merge(std::uint16_t own_side);
  void offer_ready(component_id of, std::vector<std::byte> state);
  void send_offer(std::uint16_t s, std::uint32_t from, std::span<const member_id> to);
  void receive_offer(const offer& o);
  void receive_wanted(member_id from, const offer_wanted& w);
  void ask_for_offers();
  void complete_merge();
  void see_barrier();

  core_options options;
  const core_start start;
  const process self;
  const bool founder;
  outputs results;
  instant now{};
  wall_time wall{};
  bool ticked = false;

  std::map<member_id, peer> peers;

  // The view in force. Slot 2 r + k is the lane of kind k of the member of rank r.
  component_ptr view;
  std::uint16_t rank = 0;
  std::vector<std::unique_ptr<lane>> lanes;
  frontier passed, unordered_passed;  ///< by slot: passed by deliveries (O1); U delivered up to
  std::vector<member_state> members;
  frontier stable;
  frontier totals_passed;                    ///< by slot: T delivered up to, when this life began in the view
  std::vector<std::deque<sequence>> totals;  ///< by slot: T batches held and not delivered
  log_index totals_delivered = 0;            ///< batches, in this view: what `batch::tdep` counts
  std::uint64_t clock = 0;                   ///< largest stamp seen or used
  std::uint64_t delivered = 0;               ///< messages of total order in this view
  std::uint64_t digest = 0;                  ///< of the total order since the last merge
  bool open_for_messages = true;             ///< every member holds the merged state
  bool progress_due = false, told_busy = false, told_part_waits = false;
  std::vector<instant> pulled;  ///< by slot: since when something is missing there, or was asked for

  std::deque<std::unique_ptr<open_batch>> open[2];
  std::size_t open_bytes = 0;
  open_message large[order_count];                                  ///< by order
  std::deque<std::pair<sequence, std::size_t>> parts_under_way[2];  ///< by kind: number and bytes, ascending
  std::deque<std::pair<std::uint64_t, std::uint64_t>> reads;        ///< tag, stamp up to which all T must be delivered

  // Membership.
  member_id leader = no_member;
  std::vector<process> wanted;  ///< the set this member would form a view of, if it leads
  instant wanted_since{};
  instant next_beat{};
  view_number promised = 0;
  component_id taking_part;  ///< attempt accounted into, while wedged
  component_ptr next_view;   ///< proposed for it
  bool is_prepared = false;
  std::optional<own_attempt> leading;
  std::vector<batch> early;  ///< of the view that is about to be installed
  std::size_t early_bytes = 0;

  struct asked_change {
    std::uint64_t id = 0;
    view_options options;
    instant since{};
  };
  std::deque<asked_change> asked;  ///< one after another
  std::uint64_t request_ids = 0;

  // State and history.
  state_key state;
  component_id descends_from;  ///< newest primary view whose state went into this one
  bool blank = true;           ///< nothing was delivered into it when the view was installed
  bool merged = true;
  std::vector<past_view> history;
  primary_mark last_primary;
  std::vector<primary_mark> attempted;
  exchange states;

  // The disk, in durable groups; elsewhere all positions are 0, and everything is on it.
  struct checkpoint_under_way {
    log_index number = 0;        ///< 0: none
    journal_position floor = 0;  ///< what lies below is not needed behind it
    bool of_merge = false;
  };
  journal_position last_position = 0, persisted_to = 0;
  journal_position identity_at = 0;  ///< where it was written who this process is
  journal_position prepared_at = 0;  ///< when this is on disk, so is all that the flush delivers
  journal_position entering = 0;     ///< of the record of the view that is to be installed; 0: none
  view_number resumed = 0;           ///< newest view of an earlier life
  bool replaying = false;
  checkpoint_under_way pending_checkpoint;
  bool merge_unwritten = false, checkpoint_wanted = false;
  log_index checkpoints = 0, stored_checkpoint = 0;
  std::uint64_t since_checkpoint = 0;  ///< bytes written behind the newest one
  instant checkpoint_not_before{};
};

/// What a view may run under, whoever proposes it.
bool is_sound(const view_options& o);

inline slot slot_of(std::size_t rank, lane_kind k) { return static_cast<slot>(2 * rank + static_cast<std::size_t>(k)); }
/// Of a stamp: microseconds in the upper bits, as everywhere (CK8).
inline constexpr unsigned stamp_shift = 12;
inline wall_time time_of(std::uint64_t stamp) { return wall_time(static_cast<std::int64_t>(stamp >> stamp_shift)); }
inline lane_kind kind_at(std::size_t s) { return static_cast<lane_kind>(s % 2); }

}  // namespace cohort::protocol::partition
