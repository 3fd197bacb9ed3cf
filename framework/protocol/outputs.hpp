#pragma once

#include "framework/protocol/messages.hpp"
#include "framework/protocol/partition/types.hpp"

#include <array>
#include <optional>
#include <variant>
#include <vector>

namespace cohort::protocol {

// ---- to the journal -------------------------------------------------------------------------------------------------

/// Small state that is overwritten, not appended: what a member promised and what it knows (rules D9, E4, PA4).
struct hard_state {
  term_number term = 0;
  voter_id vote;             ///< in `term`; member `no_member` = none
  incarnation inc = 0;       ///< newest incarnation taken
  log_index view_commit = 0; ///< index of the newest VIEW applied
  mark base;                 ///< what lies before the first log entry kept
  std::uint64_t identity = 0;///< under which all this was promised; 0: the directory's
  journal_position valid_from = 1;  ///< records from here on testify to it; 0: none does, what was promised was in memory (X3)
};

/// A batch of any lane, own or received.
struct persist_batch {
  batch what;
};
struct persist_entry {
  entry what;
};
/// Entries from `from` on are gone (rule C2).
struct persist_truncate {
  log_index from = 0;
};
struct persist_state {
  hard_state what;
};
/// A chunk (1..count) of a checkpoint that is being received.
struct persist_chunk {
  log_index index = 0;
  std::uint32_t number = 0;
  payload data;
};
/// All chunks of a received checkpoint are in: from here on it is *the* checkpoint; the log before it is void.
struct persist_install {
  mark at;
  std::uint32_t chunks = 0;
};
/// Records at positions below `below` are no longer needed.
struct persist_trim {
  journal_position below = 0;
};

/// A group in memory: checkpoints up to `index` are given to nobody any more.
struct persist_release {
  log_index index = 0;
};

/// Partitionable groups: what a process is and has promised, `partition::encode` of a `memory`. The newest one counts.
struct persist_component {
  bytes_ptr bytes;
};

/// Every operation takes the next journal position, in the order given.
struct persist_op {
  journal_position position = 0;
  std::variant<persist_batch, persist_entry, persist_truncate, persist_state, persist_chunk, persist_install,
               persist_trim, persist_release, persist_component>
    what;
};

// ---- to other members -----------------------------------------------------------------------------------------------

/// A message to `target_count` members, listed in `outputs::targets` from `first_target` on.
struct send_op {
  std::uint32_t first_target = 0;
  std::uint32_t target_count = 0;
  journal_position needs = 0;  ///< must not leave before the journal reported this position (rule D9)
  message what;
};

// ---- to the application, in this very order -------------------------------------------------------------------------

/// A batch whose messages are delivered here and now (section 5).
struct deliver_batch {
  log_index index = 0;        ///< T: the entry whose cut covers it. Else: the newest entry applied here
  wall_time time{};           ///< agreed time of that entry; equal everywhere for T
  view_number view = 0;       ///< in which it was sealed and is delivered (O9)
  member_id sender = no_member;
  incarnation inc = 0;
  sequence seq = 0;
  std::uint64_t position = 0; ///< of its first message in the total order, counted from 1; 0 for all but T
  bool own = false;           ///< sealed by this very core: answers the oldest unanswered submissions of its class
  /// U beyond the final cut of an own lane that ends: own submissions of the class older than these, unanswered, which are
  /// delivered nowhere (rule O10).
  std::uint64_t lost_before = 0;
  payload what;
  order cls = order::total;
  lane_name lane() const { return {sender, inc, kind_of(cls)}; }
  wall_time deadline{};       ///< 0 = none
  message_part part;          ///< a part of a large message: `assembler` makes the message of it
  std::size_t messages() const { return part.more ? 0 : what.sizes.size(); }
  bool late = false;          ///< by this member's clock it is over already (DL2)
  bool stable = true;         ///< no failure that the group tolerates can lose it any more (durable groups: it is on disks)
};

/// A view was installed.
struct deliver_view {
  log_index index = 0;
  wall_time time{};
  view_ptr what;
  bool member = false;              ///< this process is active in it
  /// Own submissions of each class, the oldest unanswered ones: sealed but not covered, delivered nowhere (rule O10).
  /// Right behind a `deliver_restore` their outcome is unknown instead: the checkpoint may contain them.
  std::array<std::uint64_t, order_count> lost_messages{};
  /// Who came from the view before under the incarnation it had there, this member included: the transitional set, all of
  /// whom were delivered the same in that view (V15). Empty if this member itself did not.
  std::vector<member_id> together;
};

/// Why a batch's messages are delivered nowhere although a cut covers it.
enum class void_cause : std::uint8_t {
  expired = 0,      ///< the deadline was over before it was ordered (DL1); in other orders than T: not here
  interrupted = 1,  ///< somebody became active between the parts of a large message, and cannot have the first of them (L11)
};

/// A batch that is delivered nowhere.
struct deliver_void {
  void_cause why{};
  member_id sender = no_member;
  incarnation inc = 0;
  sequence seq = 0;
  bool own = false;           ///< its messages are the oldest unanswered submissions of their class
  payload what;
  order cls = order::total;
  message_part part;
  std::size_t messages() const { return part.more ? 0 : what.sizes.size(); }
  lane_name lane() const { return {sender, inc, kind_of(cls)}; }
};

/// Agreed time went on with an entry that delivers no T message here (C12): who has timers is told.
struct deliver_time {
  log_index index = 0;
  wall_time time{};
  view_number view = 0;
  std::uint64_t position = 0;  ///< of the newest T message before it
};

/// A read asked for with `read` may be answered from the state reached here (rules R1, R2).
struct deliver_read {
  std::uint64_t tag = 0;
  bool refused = false;  ///< no leader confirmed it in time; retry or give up
  log_index index = 0;
};

/// Make a checkpoint of the state reached here (rule S1), then call `core::checkpoint_stored`.
struct deliver_checkpoint {
  mark at;
  bool on_disk = true;  ///< else it is kept in memory
};

/// A group in memory may begin its log here from now on (S2): no checkpoint will be asked for that lies before.
struct deliver_place {
  mark at;
};

/// Replace the state by the checkpoint received from another member (`persist_install` precedes it in `persists`).
struct deliver_restore {
  mark at;
  std::uint32_t chunks = 0;
};

// ---- partitionable groups only

/// A component's view was installed (rule P6). Messages of it follow once its sides are merged everywhere.
struct deliver_component {
  partition::component_ptr what;
};

/// What follows up to the next `deliver_component` is of the view that ends, and is held by `together` alone: no more is
/// known of the others (rule P5, the transitional view).
struct deliver_transition {
  partition::component_id view;
  std::vector<partition::process> together;
};

/// Write the state reached here: this member sends it for its side. Answer with `partition::core::offer_ready`.
struct deliver_offer {
  partition::component_id view;
};

/// Make one state of those of all sides, in their order (rule P7).
struct deliver_merge {
  partition::component_ptr what;
  std::vector<std::shared_ptr<const std::vector<std::byte>>> states;  ///< by side
};

using delivery_op = std::variant<deliver_batch, deliver_view, deliver_read, deliver_checkpoint, deliver_place, deliver_restore, deliver_void,
                                 deliver_component, deliver_transition, deliver_offer, deliver_merge, deliver_time>;

// ---- to whoever watches ---------------------------------------------------------------------------------------------

enum class event_kind : std::uint8_t {
  founded,            ///< view 0 is in force here
  leader_changed,     ///< `member` leads in `number` = term; `no_member` = nobody known
  elected,            ///< this member leads in `number` = term
  stepped_down,       ///< `number` = term
  election_started,   ///< `number` = term asked for
  primary,            ///< `flag`: has contact with a quorum's leader / lost it (rule V17)
  wedged,             ///< `flag`: live sealing stopped for a view change / goes on
  window_open,        ///< submissions are taken again after `busy`
  excluded,           ///< a view without this incarnation was installed (V13); a new one joins
  chunk_wanted,       ///< `member` wants chunk `number` of the checkpoint at `index`: answer with `core::chunk_loaded`
  transfer_started,   ///< receiving the checkpoint at `index` from `member`
  transfer_finished,
  clock_ahead,        ///< the clock of `member` runs ahead of ours, or ours (`member`) ahead of a quorum's
  member_silent,      ///< leader: `member` is to go, for the reason `why`; `number` = milliseconds without evidence of life
  unfounded_restart,  ///< volatile group: nobody holds the group any more, an operator must choose a new epoch (V19)
  change_done,        ///< `number`: of the request
  change_refused,     ///< `number`: of the request, `index`: the `change_refusal`
  left,               ///< this member has left the group for good; a quorum knows it, the process may end
  barred,             ///< an operator removed this member; it may not join
  handing_over,       ///< leader: asks `member` to lead instead (E8); `flag` false: given up, goes on leading
  stalled,            ///< this process itself stood still for `number` milliseconds; its evidence about others counts anew
  member_suspected,   ///< leader: `flag`: `member`'s silence of `number` ms is improbable, others are asked / is heard again
  member_stuck,       ///< leader: `member` answers, but has acknowledged nothing for `number` ms although it lags
};

/// Why a leader holds that a member cannot stay active.
enum class absence : std::uint8_t {
  none,
  restarted,   ///< seen under a newer life
  reset,       ///< its end of the link was closed, and it has not come back: the process ended
  unheard,     ///< improbably silent, and no member that was asked hears it either: host down or cut off
  link,        ///< silent here although another member hears it: the network between the two is broken
  silent,      ///< silent for T_fail, and nobody else could be asked
  stuck,       ///< answers, but makes no progress (FC4)
  unservable,  ///< needs what the log does not hold any more, and takes no checkpoint (S3)
};

struct event {
  event_kind kind{};
  bool flag = false;
  member_id member = no_member;
  std::uint64_t number = 0;
  log_index index = 0;
  absence why{};
};

/// What a pass produced. Drain persists first, then sends, deliveries and events; then call `core::drained`.
/// The vectors are reused: nothing is allocated once they have grown.
struct outputs {
  std::vector<persist_op> persists;
  std::vector<member_id> targets;
  std::vector<send_op> sends;
  std::vector<delivery_op> deliveries;
  std::vector<event> events;
};

}  // namespace cohort::protocol
