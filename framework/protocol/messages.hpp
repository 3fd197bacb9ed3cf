#pragma once

#include "framework/protocol/view.hpp"

#include <optional>
#include <variant>

namespace cohort::protocol {

enum class entry_kind : std::uint8_t { noop = 0, cut = 1, view = 2 };

/// A batch that lies above the final cut behind a gap, and whose unordered messages some member has delivered: all who stay
/// deliver them (rules V4, V7).
struct extra {
  protocol::slot slot = 0;
  sequence seq = 0;
  auto operator<=>(const extra&) const = default;
};

/// One entry of the replicated log (section 3): tiny, the payload travels in lanes.
struct entry {
  log_index index = 0;
  term_number term = 0;
  entry_kind kind = entry_kind::noop;
  wall_time time{};  ///< agreed time: max(previous entry's, proposing leader's clock)
  frontier cut;      ///< cumulative; a VIEW's is the final cut in the slots of the view it ends (PA15)
  view_ptr next;     ///< the view it introduces, kind `view` only
  std::vector<extra> extras;  ///< kind `view` only, in the slots of `cut`
};

/// A sealed batch of one lane (rule L3). Never changes once sealed, whoever sends it again.
struct batch {
  view_number view = 0;  ///< installed at the owner when sealing; the batch is delivered in it or never (O9)
  protocol::slot slot = 0;  ///< of the lane in `view`; a hint: owner, incarnation and kind name the lane
  sequence seq = 0;
  std::uint64_t stamp = 0;  ///< hybrid logical clock: microseconds << 12 (rules L4, CK8)
  payload what;
  /// The lane's owner and incarnation. While competing VIEW entries are about, a view's number and a slot may mean another
  /// lane at the receiver.
  member_id owner = no_member;
  incarnation inc = 0;
  order cls = order::total;  ///< of all its messages
  log_index tdep = 0;        ///< applied at the owner when sealing: C and SC wait for it
  frontier deps;             ///< what must be passed before it, in the slots of `view`; empty where L5 needs none
  wall_time deadline{};      ///< of all its messages, 0 = none (DL1)
  message_part part;
  /// Messages that end with it: a large one counts with its last part.
  std::size_t messages() const { return part.more ? 0 : what.sizes.size(); }
  lane_name lane() const { return {owner, inc, kind_of(cls)}; }
};

/// Leader to every roster entry; without entries it is the heartbeat.
struct append {
  term_number term = 0;
  log_index prev_index = 0;
  term_number prev_term = 0;
  log_index commit = 0;
  instant send_time{};        ///< the leader's clock, echoed by acks (rules R1, R2)
  log_index min_applied = 0;  ///< least applied index of the active members (PA7)
  std::vector<entry> entries;
};

/// Everybody to everybody (rules C3, L8, PA12). All of it is true on the sender's disk in durable groups.
struct ack {
  term_number term = 0;
  incarnation inc = 0;
  term_number match_term = 0;
  log_index match = 0;    ///< own log equals the log of the leader of `match_term` up to here
  log_index applied = 0;
  view_number view = 0;   ///< installed; `have` is in its slots
  instant echo_time{};    ///< largest `append::send_time` seen in `term`
  frontier have;          ///< always the full vector: a few bytes, and no delta to get wrong (PA14)
  bool no_state = false;  ///< blank: holds nothing, wants a checkpoint
  bool reject = false;    ///< the append with `refused_prev` did not fit
  log_index refused_prev = 0;
  log_index hint = 0;     ///< with `reject`: where the leader may try next
  bool clock_ahead = false;  ///< refused because the leader's clock runs ahead of ours by more than `max_ahead`
  log_index base = 0;        ///< where the sender's log begins: whom it could serve if it led (S3)
};

enum class vote_phase : std::uint8_t { pre = 0, real = 1 };

/// Rules E3, E4, PA12. A reply carries the replier's term; a pre-vote request carries term + 1.
struct vote {
  vote_phase phase{};
  bool request = false;
  bool granted = false;
  term_number term = 0;
  term_number for_term = 0;  ///< replies: the term that was asked for
  log_index last_index = 0;
  term_number last_term = 0;
  bool handed_over = false;  ///< real requests: the leader of `term` - 1 asked for it, and has given up its lease (E8)
};

/// A leader asks a member, whose log is complete, to lead from now on (rule E8).
struct take_over {
  term_number term = 0;
  bool for_links = false;  ///< because the leader does not hear all whom the asked one hears (V21)
};

/// A leader that does not hear `subject` asks for it by a second path (V20): to an active member, from there to the subject,
/// and back the same way.
struct probe {
  term_number term = 0;       ///< the asking leader's
  member_id asker = no_member;
  member_id subject = no_member;
  instant asked{};            ///< the asker's clock, only echoed
  bool answered = false;      ///< on the way back
  std::uint32_t deaf = 0;     ///< from the member in between: how many active members it has not heard for E_max
  bool reset = false;         ///< from the member in between: the subject closed the link to it, too, and has not come back (V24)
};

/// Leader to members: freeze for a view change (rule V2). Also counts as contact with the leader (E7).
struct wedge {
  term_number term = 0;
  std::uint64_t attempt = 0;
  view_number view = 0;
};

/// Answer to a wedge (rules V4, PA6).
struct report {
  term_number term = 0;
  std::uint64_t attempt = 0;
  view_number view = 0;
  incarnation inc = 0;
  bool no_state = false;
  frontier front;
  std::vector<extra> extras;  ///< above `front`: delivered behind a gap
};

/// Asks any holder for batches of a lane (rule L7).
struct pull {
  view_number view = 0;
  protocol::slot slot = 0;  ///< in `view`; a hint, as in `batch`
  sequence from = 0;
  sequence to = 0;  ///< inclusive
  member_id owner = no_member;
  incarnation inc = 0;
  lane_kind kind = lane_kind::causal;
  lane_name lane() const { return {owner, inc, kind}; }
};

/// Asks for a part of a checkpoint. Chunk 0 is the encoded `checkpoint_head`, the rest the application's state.
struct pull_chunk {
  log_index index = 0;
  std::uint32_t number = 0;
};

/// A part of a checkpoint (rules S1, S5). Chunk 0 comes unasked as the leader's offer.
struct chunk {
  term_number term = 0;  ///< the donor's; a leader's counts as contact
  log_index index = 0;
  std::uint32_t number = 0;
  std::uint32_t count = 0;  ///< chunks of state, without chunk 0
  payload data;             ///< one message
};

/// A process that wants to be active (rule S7). Sent to all until a view admits it.
struct join {
  incarnation inc = 0;
  view_number known = 0;  ///< newest view it has installed
  bool has_state = false;
  incarnation burnt = 0;  ///< not 0: the leader's answer, `inc` is used up; take one above this (V11)
  bool barred = false;    ///< the leader's answer: an operator removed this member
};

/// Founding of view 0 by all founders (rules V19, PA2).
enum class form_phase : std::uint8_t { propose = 0, accept = 1, commit = 2 };
struct form {
  form_phase phase{};
  std::uint64_t attempt = 0;
  view_ptr founders;
};

/// A follower asks the leader for a read index, the leader answers (rule R1).
struct read_request {
  std::uint64_t id = 0;
};
struct read_reply {
  std::uint64_t id = 0;
  bool refused = false;  ///< not the leader, or lost the quorum while asking
  log_index index = 0;
};

/// What a member can ask the leader to change in the view.
enum class change_kind : std::uint8_t {
  leave = 0,    ///< the asking process goes for good (V9)
  remove = 1,   ///< a member loses its place and vote, and may not join until restored
  restore = 2,  ///< takes that back
  options = 3,  ///< the rules of the group (X1)
};
inline constexpr std::uint8_t change_kinds = 4;

/// Why a change does not happen.
enum class change_refusal : std::uint8_t {
  none = 0,
  no_leader = 1,         ///< nobody leads, or not long enough
  unknown_member = 2,    ///< no such member in the roster
  last_member = 3,       ///< nobody would be left
  no_quorum_left = 4,    ///< the active members that stay would be no quorum (V10): bring others back, or remove them, first
  bad_options = 5,       ///< they contradict each other or the roster
  no_lease_fits = 6,     ///< E_min (1 - rho) - eps leaves no room for the lease that is asked for (R2)
  voters_away = 7,       ///< their disks would go on counting in a group that is kept in memory (X3)
  rules_changed = 8,     ///< since whoever asked looked at them (X10)
};
inline constexpr std::uint8_t change_refusals = 9;
const char* to_string(change_refusal why);

/// To the leader, repeated until it answers.
struct change_request {
  std::uint64_t id = 0;  ///< never used twice by a process
  change_kind kind{};
  member_id who = no_member;
  view_options options;  ///< kind `options` only
  std::optional<view_options> based_on;  ///< the rules that these are to follow (X10); none: whatever they are then
};
struct change_reply {
  std::uint64_t id = 0;
  change_refusal why{};  ///< none: done, and a quorum knows it
};

/// What members of a partitionable group say to each other beside batches and pulls: bytes of `partition::encode`.
struct component_control {
  std::vector<std::byte> bytes;
};

/// What a member's replica answers to calls which another member made (framework/rpc/).
struct call_answers {
  struct item {
    std::uint64_t number = 0;  ///< of the call
    view_number view = 0;      ///< that delivered it here
    bool too_large = false;    ///< there is an answer, and it may not travel
    std::uint32_t offset = 0;  ///< not 0, or `total` not 0: a part of an answer, the only item of its message; from here on
    std::uint32_t total = 0;   ///< bytes of the whole answer; 0: it is whole
  };
  incarnation inc = 0;         ///< of the answering replica
  incarnation to = 0;          ///< under which the calls were made
  std::vector<item> items;
  payload what;                ///< the answers, one for each item
};

/// To who answers calls: nobody waits for these any more.
struct calls_over {
  incarnation inc = 0;         ///< under which the calls were made
  std::vector<std::uint64_t> numbers;
};

/// What a member's replica holds behind a position of the total order (framework/divergence/).
struct state_digest {
  incarnation inc = 0;          ///< of the replica
  std::uint64_t position = 0;   ///< of the newest message applied
  std::uint64_t digest = 0;
};

using message = std::variant<batch, append, ack, vote, wedge, report, pull, pull_chunk, chunk, join, form,
                             read_request, read_reply, take_over, change_request, change_reply, probe,
                             component_control, call_answers, calls_over, state_digest>;

}  // namespace cohort::protocol
