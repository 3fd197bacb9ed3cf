#pragma once

#include <cohort/order.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace cohort {

/// Where a group's promises live.
enum class durability : std::uint8_t {
  journaled,  ///< on a quorum of disks before anything is acknowledged; survives a restart of all
  in_memory,  ///< "volatile": in the memory of a quorum; a restart of all ends the group (see `node_config::epoch`)
};

/// How fresh the state is that answers a query.
enum class reads : std::uint8_t {
  linearizable,  ///< sees every write completed before the query was asked, anywhere (rule R1)
  lease,         ///< the same guarantee, under the bound on clock rates (rule R2); takes effect through `contract::reads`
  local,         ///< the state of this replica as it is: may be stale, answered also without a quorum (rule R4)
};

/// How members may fail. A later one tolerates everything an earlier one does. Sections 11 to 14 of the protocol.
enum class failure_model : std::uint8_t {
  fail_stop,  ///< halts, and the others can tell: leases and an authority outside the group; n = f + 1
  crash,      ///< halts, nobody can tell for certain: majorities; n = 2f + 1
  timing,     ///< as crash, and being late is a failure: clocks that yield intervals, declared bounds
  byzantine,  ///< does anything: signatures; n = 3f + 1
};

/// What a network that falls apart does to the group.
enum class partition_policy : std::uint8_t {
  primary,        ///< at most one side goes on, the one with a quorum (rule V17): one history
  partitionable,  ///< every side goes on in a view of its own, and they merge later (section 15)
};

/// How the sides' states become one after a partition (rule P7).
enum class merge_policy : std::uint8_t {
  none,               ///< there is no state to be merged
  application,        ///< the application is given all sides' states
  largest_component,  ///< the side with most members wins
  primary_descended,  ///< the side that descends from the last primary view wins
};

/// What becomes of a member that cannot keep up (rule FC4).
enum class slow_member : std::uint8_t {
  wait,     ///< all wait for it
  exclude,  ///< a view without it, once it made no progress for `fail_after`; it comes back by a checkpoint
  reject,   ///< new submissions are refused until it has caught up
};

/// For whom messages are kept (rule S4).
enum class reliability : std::uint8_t {
  present,      ///< for those in the view; who comes later gets the state
  all_members,  ///< also for members that are away, within `retain_bytes` and `retain_time`
};

/// What follows when the state of a replica differs from that of the majority (docs/state-machines.md).
enum class divergence_policy : std::uint8_t {
  report,  ///< it is told: in the log, to the application, by a metric
  stop,    ///< and the odd one out stops serving the group; without a majority nobody does
};

/// What the members do with the messages.
enum class replication : std::uint8_t {
  none,            ///< nothing is replicated: plain multicast
  active,          ///< every member applies them to a deterministic state machine
  primary_backup,  ///< one member executes, the others apply its updates (rule A15): needs no determinism
};

/// Who the two ends of a link know each other to be.
enum class link_security : std::uint8_t {
  open,           ///< not authenticated: whoever reaches a port may claim to be a member
  authenticated,  ///< each end proves which node it is
};

/// What a group promises, and within which limits. The same at all members in all fields but those marked *local*.
///
/// Every field has a default; all together they are a replicated state machine for crash failures: total order,
/// journaled, linearizable reads. An aggregate, to be filled in either way:
///
///   contract room = contract::multicast(order::causal).with(durability::in_memory);
///   contract ledger;  ledger.witnesses = 1;
///
/// Not every combination makes sense. `check` (<cohort/contract_check.hpp>) tells which do not, and which one near it does;
/// a node checks each contract when it is given one, never at the first failure. Numbers of rules: docs/contracts.md.
struct contract {
  using milliseconds = std::chrono::milliseconds;

  // ---- order (D6) ----
  order_set orders{order::total};        ///< the orders in which messages may be sent; at least one
  order default_order = order::total;    ///< of what is sent without naming one; enabled in `orders`
  bool causal_dependencies = true;       ///< batches name what they depend on, where the orders need it (L5)
  bool causal_total = true;              ///< `total` follows also what its sender got as `fifo` or `safe_fifo`

  // ---- atomicity ----
  bool atomic = true;                    ///< every member that stays delivers a message, or none does
  bool virtual_synchrony = true;         ///< members that go on together delivered the same in each view (V15). If not
                                         ///< asked for, it may be given all the same

  // ---- durability, and what the group is used for ----
  cohort::durability durability = durability::journaled;
  cohort::replication replication = replication::none;  ///< set by `node::replicate`, `replicate_primary` and `listen`
  bool deterministic = true;             ///< the same messages give the same state at every member
  unsigned compare_every = 1000;         ///< messages after which replicas compare digests of their states (less often where a
                                         ///< digest reads much state); 0: never
  divergence_policy on_divergence = divergence_policy::report;
  bool sessions = false;                 ///< requests of sessions are executed exactly once (F2, docs/rpc.md); others pass
  bool calls = false;                    ///< messages may ask all members for their answers (docs/rpc.md); others pass
  bool action_participant = false;       ///< holds objects of atomic actions (section 17)
  bool volatile_participant = false;     ///< ... although it is in memory only: allowed for fail-stop groups (G12)
  cohort::reads reads = reads::linearizable;  ///< the freshest that queries ask for; `lease`: confirmed by the leader's
                                              ///< lease instead of a round of messages

  // ---- termination (DL1 to DL3) ----
  milliseconds deadline{0};              ///< of a message from its submission on; 0: none; up to 1 h
  bool lossy = false;                    ///< what is late may be dropped instead of flagged; `unordered` only

  // ---- failures ----
  failure_model model = failure_model::crash;
  unsigned failures_tolerated = 0;       ///< f, at the same time, between two views; 0: as many as the members allow
  bool single = false;                   ///< fewer than three members are meant: no failure is tolerated

  // ---- partitions ----
  partition_policy partitions = partition_policy::primary;
  bool minority_multicast = false;       ///< a minority goes on with `unordered`, `fifo` and `causal` (V17)
  bool one_history = true;               ///< `total` is one sequence for all, and not one in each component
  merge_policy merge = merge_policy::none;

  // ---- security ----
  link_security links = link_security::open;
  unsigned trust_domains = 1;            ///< parties that run the nodes and need not trust one another; 1 up

  // ---- members ----
  unsigned witnesses = 0;                ///< voters without payload, of all members (section 7)
  unsigned min_copies = 1;               ///< members with payload that must hold a message before it is committed (W4)
  bool shrink = false;                   ///< members that failed leave the quorum base, too (V16)
  unsigned min_voters = 0;               ///< below which `shrink` does not go; 0: 2 with a witness, else 3
  slow_member slow = slow_member::exclude;
  cohort::reliability reliability = reliability::present;
  std::uint64_t retain_bytes = 0;        ///< kept for members that are away; 0: nothing
  milliseconds retain_time{0};           ///< ... and for how long; 0: not at all

  // ---- timers ----
  milliseconds heartbeat{50};            ///< H: 1 ms up; at most a quarter of `election_min` (E7)
  milliseconds election_min{300};        ///< E_min: a silent leader is replaced after 1 to 2 times this
  milliseconds fail_after{2000};         ///< T_fail: silence that excludes a member; at least 2 `election_min` (PA20)
  unsigned suspect_at = 8000;            ///< how improbable the silence of a suspect is, in thousandths: at 8000 one pause in
                                         ///< 10^8 is as long (V20); 1000 to 15000
  milliseconds outcome_bound{2000};      ///< *local*: after this a submission completes as `unknown`; 10 ms up
  milliseconds lease{0};                 ///< of the leader or, fail-stop, of a member; 0: as long as the timers allow (R2)
  unsigned clock_rate_ppm = 200;         ///< rho: bound on the error of a clock's rate; 0: no bound is known
  milliseconds clock_margin{10};         ///< eps: from reading a clock to acting on it; 0: no bound is known
  milliseconds delay_bound{0};           ///< Delta: from sealing to receipt, in the timing model (TM1); 0: none declared

  // ---- limits ----
  std::size_t message_bytes_max = 16u << 20;    ///< 1 byte to 1 GiB; those above 256 KiB travel in parts (L10)
  std::size_t lane_window = 8u << 20;           ///< in flight beyond the slowest active member (FC1); 64 KiB up
  std::size_t queue_bytes = 32u << 20;          ///< *local*, per port: submitted, not yet taken by the protocol
  std::size_t backlog_bytes = 64u << 20;        ///< *local*: delivered, not yet applied: above it own submissions wait
  std::uint64_t checkpoint_bytes = 256u << 20;  ///< *local*: payload applied between checkpoints (or the state's size, if
                                                ///< larger); volatile groups, which make checkpoints only for who joins: what
                                                ///< is kept of payload, at most 8 MiB
  std::uint64_t rate_bytes_max = 0;             ///< that one member may send in a second; 0: no limit
  unsigned rate_messages_max = 0;               ///< that one member may send in a second; 0: no limit

  /// Plain multicast in `by_default` order, and others if named. Without `total` there is no common order of states, so
  /// reads are local.
  static constexpr contract multicast(order by_default = order::total, order_set others = {}) {
    contract c;
    c.orders = order_set::from_bits(static_cast<std::uint8_t>(others.bits() | order_set{by_default}.bits()));
    c.default_order = by_default;
    if (!c.orders.has(order::total)) c.reads = cohort::reads::local;
    return c;
  }
  /// A replicated state machine: what a default-constructed contract is, with its use named.
  static constexpr contract replicated() { return contract{}.with(cohort::replication::active); }

  /// Copies with one more thing said, to be chained: an enabled order, a choice, or any field by its name:
  /// `.with(&contract::election_min, 500ms)`.
  template <class Field>
  constexpr contract with(Field contract::* field, std::type_identity_t<Field> value) const {
    contract c = *this;
    c.*field = value;
    return c;
  }
  constexpr contract with(order enabled) const {
    contract c = *this;
    c.orders.add(enabled);
    return c;
  }
  constexpr contract with(cohort::durability how) const { return with(&contract::durability, how); }
  constexpr contract with(cohort::replication how) const { return with(&contract::replication, how); }
  constexpr contract with(cohort::reads how) const { return with(&contract::reads, how); }
  constexpr contract with(failure_model how, unsigned tolerated = 0) const {
    return with(&contract::model, how).with(&contract::failures_tolerated, tolerated);
  }
  /// A partitionable group has a history in each component.
  constexpr contract with(partition_policy how, merge_policy merged = merge_policy::none) const {
    return with(&contract::partitions, how)
      .with(&contract::one_history, how == partition_policy::primary)
      .with(&contract::merge, merged);
  }
  constexpr contract with(divergence_policy how) const { return with(&contract::on_divergence, how); }
  constexpr contract with(link_security how) const { return with(&contract::links, how); }
  constexpr contract with(slow_member how) const { return with(&contract::slow, how); }

  bool operator==(const contract&) const = default;
};

/// The words which configuration files, logs and messages use.
const char* to_string(durability d);
const char* to_string(reads r);
const char* to_string(failure_model m);
const char* to_string(partition_policy p);
const char* to_string(merge_policy m);
const char* to_string(slow_member s);
const char* to_string(reliability r);
const char* to_string(divergence_policy p);
const char* to_string(replication r);
const char* to_string(link_security s);

}  // namespace cohort
