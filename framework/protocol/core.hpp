#pragma once

#include "framework/protocol/detector.hpp"
#include "framework/protocol/outputs.hpp"
#include "framework/protocol/pulse.hpp"
#include "framework/protocol/records.hpp"

#include <chrono>
#include <memory>

namespace cohort::protocol {

/// Timers and limits of a group. The same at all members. What `view_options` holds are the founders' rules; every later
/// view brings its own (X1).
struct core_options : view_options {
  duration election_max = std::chrono::milliseconds(600);  ///< E_max = 2 E_min: check-quorum (E6)
  duration wedge_wait = std::chrono::milliseconds(300);    ///< T_wedge = E_min: how long reports are awaited
  duration pull_wait = std::chrono::milliseconds(600);     ///< T_pull = 2 E_min: a source of payload counts as dead
  duration join_hold = std::chrono::seconds(2);            ///< T_join: JOINs are held back while a transfer progresses
  wall_time max_ahead = std::chrono::milliseconds(500);    ///< bound on a peer's clock running ahead (CK8, PA21)

  std::size_t batch_bytes = 64 * 1024;           ///< a batch is sealed when it holds so much ...
  duration batch_delay{0};                       ///< ... or its oldest message waited so long (0: at the next drain)
  std::size_t batches_in_flight = 1;             ///< own unacknowledged batches before small ones are gathered (N3)
  std::size_t part_bytes = 256 * 1024;           ///< larger messages travel in parts of this size (L10)
  std::size_t journal_backlog_max = 64u << 20;   ///< bytes not on disk yet above which nothing new is taken
  std::size_t append_entries_max = 256;          ///< entries per APPEND
  std::size_t append_window = 4096;              ///< entries in flight to one member
  std::size_t pull_bytes_max = 4u << 20;         ///< payload answered to one PULL
  std::uint32_t chunk_window = 8;                ///< checkpoint chunks asked for ahead
  std::uint64_t chunk_bytes_per_second = 128u << 20;  ///< given at least, while the group works (S9)
  std::uint64_t checkpoint_bytes = 64u << 20;    ///< payload bytes applied between checkpoints (or the last one's size), in memory between places (S2)
  std::uint64_t checkpoint_bytes_in_memory = ~std::uint64_t{0};  ///< at most so many in a volatile group
  std::uint64_t checkpoint_entries = 2'000'000;  ///< log entries applied between checkpoints
};

/// What a member's disk held, rebuilt from the journal by `recovery`.
struct recovered_state;

/// View 0 of a group of these voters.
view_ptr founders_view(std::vector<voter_id> founders, const std::vector<member_id>& witnesses, const view_options& rules);
/// What a founder begins with whose group is founded by decree (V19): another log has decided view 0, so nobody waits for anybody. It is
/// the state of a member that was restarted right after the founding and before anybody was active. Only for the voter that the view
/// names, and only while its journal holds nothing of the group.
std::shared_ptr<const recovered_state> founded_by_decree(const view_ptr& founders);

/// Who this core is and what it knows at its start.
struct core_start {
  voter_id self;
  std::uint64_t seed = 0;                         ///< of the generator for timeouts; same seed, same run
  std::vector<member_id> founders;                ///< all members of the founders' table, ascending
  std::vector<member_id> witnesses;               ///< those of them that keep no payload (W1), ascending
  bool blank = true;                              ///< nothing is known of the group here; may found it (PA2)
  bool ever_founded = false;                      ///< a marker says that this directory saw the group: never found it again
  std::shared_ptr<const recovered_state> state;   ///< of a restart whose disk holds what it promised (`recovered_state::valid`)
  journal_position last_position = 0;             ///< of what the journal holds, whether that counts or not
  checksum_fn checksum = nullptr;                 ///< for the heads of checkpoints that travel
};

/// How long a change of the view is asked for.
inline constexpr duration request_patience = std::chrono::seconds(30);

enum class submit_status : std::uint8_t {
  taken,        ///< will be delivered, or reported as lost
  busy,         ///< window full: `window_open` tells when to go on (FC1)
  no_quorum,    ///< this member has no contact with a quorum's leader: refused, never sent (V17)
  not_member,   ///< not (yet) active in the group
  too_large,    ///< a message or part above `part_bytes`
  not_enabled,  ///< the group does not take this order
  too_late,     ///< its deadline is over
  part_waits,   ///< parts before this one are under way; smaller messages may go first, `window_open` tells when to go on
  interrupted,  ///< somebody became active since part 0: begin again with that (L11)
};

/// One look at the inside, for operators and tests.
struct core_status {
  member_id self = no_member;
  member_id leader = no_member;
  bool is_leader = false, founded = false, active = false, voter = false, primary = false, wedged = false,
       transferring = false, handing_over = false;
  term_number term = 0;
  incarnation inc = 0;
  view_ptr in_force;
  log_index base = 0, last = 0, commit = 0, applied = 0, durable = 0, checkpoint = 0;
  std::uint64_t delivered = 0;        ///< messages in the total order so far
  std::size_t payload_bytes = 0;      ///< held in memory
  wall_time time{};                   ///< agreed time
};

/// The protocol of one member in one group: membership, ordering, reads and journal book-keeping as one deterministic
/// state machine (docs/protocol.md). No clock, thread, socket, log or randomness but what is handed in.
///
/// A pass of the driver: `tick` with the time, any number of inputs, `drain`, execute `out()` (persists before sends),
/// `drained`. Same start and same inputs give the same outputs (rule N1). One thread at a time. Never throws for what
/// peers send: such messages are dropped and counted; a broken invariant of its own aborts the process.
class core {
public:
  core(const core_options& options, const core_start& start);
  ~core();
  core(core&&) noexcept;

  /// Time is now `mono` (never going back; a smaller one counts as no progress) and `wall` (may jump). Called before the
  /// inputs of a pass and once more right before `drain`: a lease must be judged by a clock that was read after the last
  /// input arrived, or a pause in between would answer from a lease that is over (R2).
  void tick(instant mono, wall_time wall);

  /// Takes messages to be multicast in order `how`, all or none of the span. Copies. `deadline` is agreed time, 0 = none: a
  /// T message whose entry is of a later time is delivered nowhere, and `deliver_void` says so to its sender (DL1). In
  /// other orders each receiver judges by its own clock: unordered messages that come late are dropped, others are marked (DL2).
  submit_status submit(std::span<const std::span<const std::byte>> messages, order how = order::total, wall_time deadline = {});

  /// Takes the next part of a large message, of `part_bytes` or fewer; it counts as one message once the last one (not `more`)
  /// is taken. One message at a time in each order; any status but `taken`, `busy` and `part_waits` makes the next call begin
  /// with part 0, and so does `give_up_parts`. What was taken of a message without its last part is delivered nowhere.
  submit_status submit_part(std::span<const std::byte> part, bool more, order how = order::total, wall_time deadline = {});
  void give_up_parts(order how);

  /// A message from `from`, whom the link has identified. Vectors and payload owners are taken over. False: nothing can follow from
  /// it, so that the pass with the next input, or that of the deadline, is early enough.
  bool receive(voter_id from, message&& what);

  /// Everything up to this position is on disk. (Volatile groups: never called, never needed.)
  void persisted(journal_position up_to);

  /// The link to `peer` came up (HELLO done), or went down; `reset` says that its end was closed or reset by the other
  /// side, which is evidence of a dead process and never more (decision: docs/protocol.md, link evidence).
  void link_up(voter_id peer, bool peer_blank);
  void link_down(member_id peer, bool reset);

  /// What the node of `member` says of it, told first in every pass while there is a link (rules Q4, Q5). Without such
  /// calls a group has heartbeats of its own all the time.
  void contact(member_id member, const node_contact& what);
  /// What this node may say of this core from the end of this pass on (rule Q2).
  vouch vouched();

  /// A process of that name may join and be heard. Founders are known from the start.
  void know(member_id m);

  /// Asks the leader, wherever it is, for a change of the view, again and again over changes of the leader. Ends with
  /// `event_kind::change_done` or `change_refused` under the number returned; a request that finds no leader is given up
  /// after `request_patience` as `change_refusal::no_leader` (it may still happen). `based_on`: the rules that were looked at to choose
  /// `wanted`; it is refused where others are in force when it is its turn (X10).
  std::uint64_t request(change_kind kind, member_id who = no_member, const view_options& wanted = {},
                        const std::optional<view_options>& based_on = {});

  /// A leader stops ordering and asks `to`, or the voter that is furthest, to lead (E8); gives up after E_min and goes on.
  /// Submissions wait meanwhile. Nothing happens at a member that does not lead, or leads alone.
  void hand_over(member_id to = no_member);

  /// These members' states were found to differ from that of more than half; none: all are alike, or nobody can tell. As long as another
  /// active voter has a state, an odd member gives it to nobody, and lets another one lead (S10).
  void states_differ(std::vector<member_id> members);

  /// Asks for a linearizable read; `deliver_read` with this tag follows in the delivery stream.
  void read(std::uint64_t tag);

  /// The replica has a timer that is due at that agreed time; `wall_time::max()`: none. When it is over by the leader's clock and no
  /// entry is as new, the leader proposes one (C12). The newest call counts.
  void want_time(wall_time due);

  /// Asks for a checkpoint of what is applied now, before one is due: a member that stops has less to redo when it comes back.
  /// `deliver_checkpoint` follows unless the newest one covers it.
  void want_checkpoint();
  /// The checkpoint asked for by `deliver_checkpoint` at `index` is on stable storage in `chunks` chunks.
  void checkpoint_stored(log_index index, std::uint32_t chunks);
  /// The application has taken over the state of `deliver_restore` at `index`; until then it may read that checkpoint.
  void restored(log_index index);
  /// The checkpoint at `index` could not be made or stored; a later one will be asked for.
  void checkpoint_failed(log_index index);
  /// Answer to `chunk_wanted`; empty data = not available any more.
  void chunk_loaded(member_id to, log_index index, std::uint32_t number, payload data);

  /// Ends the pass: seals, proposes, acknowledges, fills the outputs.
  void drain();
  outputs& out();
  void drained();

  /// When `tick` must be called at the latest.
  instant next_deadline() const;

  core_status status() const;
  /// Those under which this member runs: of the view in force, or of its founders as long as it knows none.
  const view_options& rules() const;
  /// Aborts on the first broken invariant of section 20 that can be seen from inside.
  void check_invariants() const;

private:
  friend struct inspector;  // inspect.hpp: how simulations look at the inside
  struct impl;
  std::unique_ptr<impl> impl_;
};

/// Rebuilds a member's state from its journal: feed the newest checkpoint's mark, the state record and then all records
/// in position order. A prefix of the written sequence always gives a legal state (rule D9).
class recovery {
public:
  recovery();
  ~recovery();
  /// A witness: its log covers payload that it never held (W1).
  void without_payload() { payload_expected_ = false; }
  void checkpoint(const mark& at, std::uint32_t chunks);
  void state(const hard_state& s);
  /// False if the record cannot follow what was fed before: the journal is damaged (rule D10); `why()` says how.
  bool record(const persist_op& op);
  const std::string& why() const;
  /// Position of the newest record; the next core goes on behind it.
  journal_position last_position() const;
  std::shared_ptr<const recovered_state> finish();

private:
  std::shared_ptr<recovered_state> state_;
  bool payload_expected_ = true;
  log_index gap_ = 0;  ///< first entry that did not follow, until a truncation takes it back
  std::string why_;
};

}  // namespace cohort::protocol
