#pragma once

#include "framework/protocol/missed.hpp"
#include "framework/protocol/types.hpp"

#include <cstddef>
#include <cohort/order.hpp>

#include <memory>
#include <vector>

namespace cohort::protocol {

/// Why a member's standing changed in a view.
enum class view_cause : std::uint8_t {
  founded = 0,    ///< named by the founders' table, or by decree; then told by the view in which it begins
  joined = 1,     ///< a process not known before entered as learner
  recovered = 2,  ///< a known voter is back with a new incarnation
  promoted = 3,   ///< a caught-up learner became a voter
  failed = 4,     ///< silent for too long, or did not report in time
  excluded = 5,   ///< alive, but the leader could not serve it, or it lagged too far
  replaced = 6,   ///< its vote went to the process that took over its name
  left = 7,       ///< asked to leave
  removed = 8,    ///< by an operator; it is barred until one restores it
  shrunk = 9,     ///< its vote left the quorum base because it is away (V16)
};
inline constexpr std::uint8_t view_causes = 10;

/// One line of a view's roster (rule D4).
struct roster_entry {
  voter_id id;
  incarnation inc = 0;  ///< 0 while the voter has never been active
  bool voter = false;   ///< counts in quorums, active or not
  bool active = false;  ///< owns a lane in this view; an active non-voter is a learner (rule W6)
  bool witness = false; ///< a voter that keeps the log but no payload and never leads; never active (rule W1)
  bool operator==(const roster_entry&) const = default;
};

inline bool is_learner(const roster_entry& r) { return r.active && !r.voter && !r.witness; }

/// Largest incarnation ever admitted under a member's name (rule V11).
struct burnt_entry {
  member_id member = no_member;
  incarnation inc = 0;
  bool operator==(const burnt_entry&) const = default;
};

/// What changed for whom between a view and the one before it.
struct view_note {
  voter_id id;
  view_cause cause{};
  bool operator==(const view_note&) const = default;
};

/// How linearizable reads are confirmed (section 9).
enum class read_mode : std::uint8_t {
  read_index = 0,  ///< a round of heartbeats per batch of reads (R1)
  lease = 1,       ///< none while the leader's lease lasts (R2); needs clock rates within `clock_rate_ppm`
};

/// What becomes of a member that answers but does not keep up (rule FC4).
enum class slow_policy : std::uint8_t {
  exclude = 0,  ///< it is put out of the view and comes back by a checkpoint
  wait = 1,     ///< windows wait for it
  reject = 2,   ///< windows wait for it, and what does not fit is refused at once
};

/// The rules under which a view runs: the same at all members, changed only by a view (rules D5, X1).
struct view_options {
  order_set orders{order::total};          ///< classes of messages that are taken; never empty
  order default_order = order::total;      ///< of messages that name none; one of `orders`
  bool durable = true;                     ///< journaled: promises are on disk before they leave (D9, X3)
  read_mode reads = read_mode::read_index;
  slow_policy slow = slow_policy::exclude;
  bool minority_multicast = false;         ///< U, F and C go on being delivered without contact to a quorum's leader (V17)
  bool shrink = false;                     ///< failed voters leave the quorum base, too (V16) ...
  std::uint16_t min_voters = 3;            ///< ... while so many stay
  std::uint16_t min_copies = 1;            ///< nothing is committed that fewer data members hold (W4)
  duration heartbeat = std::chrono::milliseconds(50);      ///< H; suppressed for a follower that just got other traffic
  duration election_min = std::chrono::milliseconds(300);  ///< E_min, at least 4 H; timeouts are drawn from [1, 2] of it
  duration fail_after = std::chrono::seconds(2);           ///< T_fail, at least 2 E_min: silence that excludes
  std::uint32_t suspect_at = 8000;         ///< thousandths, 1000 .. 15000: how improbable a suspect's silence is (V20)
  duration lease{0};                       ///< of a leader, at most `lease_limit`; 0: as long as that (R2)
  std::uint32_t clock_rate_ppm = 200;      ///< rho, up to 100000: bound on the error of a clock's rate
  duration clock_margin = std::chrono::milliseconds(10);   ///< eps: from reading a clock to acting on it
  std::uint64_t message_bytes_max = 16u << 20;  ///< 1 byte up: larger messages are not accepted from now on
  std::uint64_t lane_window = 8u << 20;    ///< bytes sealed beyond the slowest active member's frontier (FC1)
  std::uint64_t retain_bytes = 0;          ///< payload kept for members that are away (S4); 0: until the next checkpoint
  duration retain_time{0};                 ///< ... and for how long after they went
  bool operator==(const view_options&) const = default;
};

inline constexpr std::uint32_t clock_rate_ppm_max = 100'000;

/// The longest lease that a leader may count on under these rules: E_min (1 - rho) - eps (R2); 0 if none fits.
duration lease_limit(const view_options& o);
/// The one that it counts on.
duration lease_of(const view_options& o);

constexpr lane_kind kind_of(order o) { return o <= order::safe_fifo ? lane_kind::plain : lane_kind::causal; }

/// A set of kinds, as bits. Kinds are only ever added: a lane that ended and began again under the same incarnation would use
/// its numbers twice (L2).
using lane_kinds = std::uint8_t;
constexpr lane_kinds bit_of(lane_kind k) { return static_cast<lane_kinds>(1u << static_cast<unsigned>(k)); }
/// The kinds of lane in which messages of these orders travel.
lane_kinds kinds_of(order_set orders);

/// A view: who is a member, who votes, who is active, under which rules (rule D5). Lane slots follow the active entries in
/// roster order, one slot for each kind of lane. The roster is sorted by (member, identity). Immutable once proposed.
struct view {
  view_number number = 0;
  std::vector<roster_entry> roster;
  std::vector<burnt_entry> burnt;  ///< sorted by member, one line per member ever admitted
  std::vector<view_note> notes;
  view_options options;
  lane_kinds kinds = bit_of(lane_kind::causal);
  std::vector<member_id> barred;   ///< removed by an operator; ascending
  view_number admitted = 0;        ///< the newest view, this one included, in which somebody became active
  /// The largest `message_bytes_max` so far: what was accepted under a larger one may still be on its way. Never less.
  std::uint64_t largest_message = view_options{}.message_bytes_max;
  bool operator==(const view&) const = default;
};

using view_ptr = std::shared_ptr<const view>;

bool is_barred(const view& v, member_id m);
/// Whether members own lanes of this kind.
inline bool has_lanes(const view& v, lane_kind k) { return (v.kinds & bit_of(k)) != 0; }
/// Whether batches of the causal lanes name what they depend on (rule L5).
bool needs_dependencies(order_set orders);
/// Nothing but T: no live delivery, no dependencies (rule PA18).
inline bool total_only(const view& v) { return v.options.orders == order_set{order::total} && !has_lanes(v, lane_kind::plain); }

/// Lanes of one member: one for each kind.
std::size_t lanes_per_member(const view& v);
/// Number of lanes in the view.
std::size_t lane_count(const view& v);
/// Slot of the first lane which `id` owns under `inc`, or `no_slot`: it is not active under it.
slot slot_of(const view& v, voter_id id, incarnation inc);
/// Slot of its lane of that kind, or `no_slot`.
slot slot_of(const view& v, voter_id id, incarnation inc, lane_kind k);
/// Slot of the lane of that name, or `no_slot`.
slot slot_of_lane(const view& v, const lane_name& name);
/// The active entry that owns `s`, or null.
const roster_entry* lane_owner(const view& v, slot s);
/// The kind of lane in slot `s`.
lane_kind kind_at(const view& v, slot s);
/// The lane in slot `s` of the view, which has one.
lane_name lane_at(const view& v, slot s);
/// The roster entry of `id`, or null.
const roster_entry* find(const view& v, voter_id id);
/// The voter entry under the member's name, or null.
const roster_entry* find_voter(const view& v, member_id member);
/// Largest incarnation ever admitted for the member; 0 = none.
incarnation burnt(const view& v, member_id member);
std::size_t voter_count(const view& v);
/// floor(n/2) + 1 of the voters (rule D7).
std::size_t quorum_size(const view& v);
/// Voters that hold payload.
std::size_t data_voter_count(const view& v);
/// How many data voters must hold a batch so that every quorum contains one of them (rule D8).
std::size_t stability_threshold(const view& v);

/// Rewrites a cut from the slots of `from` into those of its successor `to`: staying lanes carry their number over, new
/// lanes start at 0 (rules V13, PA15).
frontier carry_over(const view& from, const frontier& cut, const view& to);

/// Bytes that are shared and never change.
using bytes_ptr = std::shared_ptr<const std::vector<std::byte>>;

/// The point at which an entry has been applied: everything needed to go on from there without what lies before.
/// Heads a checkpoint and a trimmed log alike (rules PA15, PA17).
struct mark {
  log_index index = 0;
  term_number term = 0;
  wall_time time{};             ///< agreed time there
  frontier cut;                 ///< in the slots of `in_force`
  view_ptr in_force;            ///< the view in force behind `index`
  std::uint64_t delivered = 0;  ///< messages in the total order up to here
  bool with_parts = true;       ///< the state begins with unfinished large messages; older versions wrote none
  lane_history_ptr ended;       ///< lanes that are over; null: none that is known of
  missed_ptr missed;            ///< of a checkpoint that was given to a member: what that one was not delivered (S4)
  bytes_ptr component;          ///< partitionable groups: `partition::encode` of the `place`; null in others
};

}  // namespace cohort::protocol
