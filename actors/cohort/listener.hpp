#pragma once

#include <cohort/contract.hpp>
#include <cohort/order.hpp>
#include <cohort/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cohort {

/// Consecutive messages of one order which one member sealed together. Valid only during the call.
struct delivery_batch {
  std::span<const std::uint32_t> sizes;  ///< bytes of each message, which lie back to back in `blob`
  std::span<const std::byte> blob;
  std::uint64_t position = 0;            ///< of the first message in the total order, counted from 1; 0 in other orders
  log_index index = 0;                   ///< T: the entry that orders it; else the newest entry applied here
  view_number view = 0;
  member_id sender = no_member;
  cohort::incarnation sender_incarnation = 0;
  wall_time time{};                      ///< agreed time of that entry: equal everywhere for T
  bool own = false;                      ///< submitted through this node in this life
  order how = order::total;
  bool late = false;                     ///< its deadline is over by this node's clock (DL2)
  bool stable = true;                    ///< no tolerated failure can lose it any more (journaled: it is on the disks)
  std::uint64_t number = 0;              ///< of the batch in its sender's lane (L1), by which a `delivery_gap` names it
};

/// Two lanes carry what a member sends (L1): which orders are in the one and in the other.
enum class lane : std::uint8_t {
  plain,   ///< unordered, fifo, safe_fifo
  causal,  ///< causal, safe_causal, total
};
constexpr lane lane_of(order how) { return how <= order::safe_fifo ? lane::plain : lane::causal; }

/// What this member was not delivered although the group delivered it (S4): it was away for longer than messages are kept for
/// it (`retain_bytes`, `retain_time`), and goes on from a checkpoint. Exactly the batches in `runs` are missing: each batch
/// that the others were delivered up to `index` is either in them or was delivered here in this life of the process. A member
/// that is new to the group, or lost its directory, has missed nothing. Large messages count under the number of their last part.
struct delivery_gap {
  struct run {
    std::string sender;
    cohort::incarnation sender_incarnation = 0;
    cohort::lane lane{};
    std::uint64_t from = 0, to = 0;  ///< `delivery_batch::number`, both included
    view_number view = 0;            ///< the last view in which the sender had that lane, up to here
  };
  log_index after = 0, index = 0;    ///< what the log ordered behind `after`, up to `index`
  view_number from_view = 0, view = 0;  ///< it was in the one, and is in the other
  std::uint64_t from_position = 0;   ///< in the total order: of the first message that is missing ...
  std::uint64_t position = 0;        ///< ... and of the last one; smaller than `from_position`: none is
  bool in_state = false;             ///< the group's state machine, beside this listener, was given what `total` messages did to it
  /// False only after 512 lanes (members' incarnations) have ended meanwhile: then senders that ended in the earlier of the
  /// views since `from_view` are not named, and all of theirs that was not delivered here is missing, too.
  bool complete = true;
  std::vector<run> runs;
};

/// Why a member's standing changed in a view.
enum class change_cause : std::uint8_t {
  founded,    ///< named by the founders' table
  joined,     ///< a process that was no member entered: as a learner until it is promoted, or as a witness
  recovered,  ///< a voter is back, under a new incarnation
  promoted,   ///< a learner that has caught up votes from now on
  failed,     ///< silent for too long
  excluded,   ///< alive and heard, but it does not keep up: its disk, its CPU, or it needs what the others have not kept
  cut_off,    ///< alive, another member hears it, but the leader does not: the network between the two is broken
  replaced,   ///< its vote went to the process that took over its name
  left,       ///< it asked to go
  removed,    ///< by an operator
  shrunk,     ///< away, so its vote counts no more (`contract::shrink`); told beside why it went
};
const char* to_string(change_cause c);

/// A view of the group, at its place in the total order. Whether this node has contact with a quorum it does not say:
/// `listener::primary_changed` does.
struct group_view {
  struct member {
    std::string name;
    cohort::incarnation incarnation = 0;
    bool voter = false;
    bool active = false;    ///< never of a witness
    bool witness = false;   ///< keeps the log alone; whether it is well no view tells
    std::uint64_t identity = 0;  ///< of its data directory; volatile groups: of its process. Under another one it has nothing of what it had
  };
  struct change {
    std::string name;
    change_cause cause{};
  };
  view_number number = 0;
  log_index index = 0;
  wall_time time{};
  bool active_here = false;  ///< this node is active in it
  std::vector<member> members;
  std::vector<change> changes;
  /// The transitional set: who came from the view before under the incarnation it had there, this node included. All of them were
  /// delivered the same messages in that view (V15); of others that is not said, also of members who were there and are here
  /// again. Empty if this node itself did not come so. (Partitionable groups: `component_listener::transition` tells.)
  std::vector<std::string> together;
};

/// A process that is handed deliveries by the batch: the cheapest way to follow a group. Called by one application
/// thread at a time, never by the protocol thread. Deliveries, views and restarts are at the same place everywhere.
class listener {
public:
  virtual ~listener() = default;
  virtual void deliver(const delivery_batch& batch) = 0;
  virtual void view_changed(const group_view& view) { (void)view; }
  /// This node has contact with a quorum's leader, or has lost it, whether that changes the view or not; at first it has none.
  /// (Partitionable groups: its component is primary, or is not.) Behind all that was delivered before the contact was lost, and
  /// before all that is delivered since it is there again. Each node sees that for itself: the place among the messages is its own.
  virtual void primary_changed(bool primary) { (void)primary; }
  /// The group runs by other rules from now on (`node::change`, X1): `now`, of which `what` names the fields that differ and from
  /// what. Behind `view_changed` for the view that brings them, at the same place everywhere. A new life is told at once if they
  /// differ from this node's configuration.
  virtual void rules_changed(const contract& now, const std::string& what) { (void)now, (void)what; }
  /// Before anything that comes after it. Told again when the process starts anew from the checkpoint it came with.
  virtual void gap(const delivery_gap& missed) { (void)missed; }
};

}  // namespace cohort
