#pragma once

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

/// A view of the group, at its place in the total order.
struct group_view {
  struct member {
    std::string name;
    cohort::incarnation incarnation = 0;
    bool voter = false;
    bool active = false;
  };
  struct change {
    std::string name;
    std::string cause;  ///< founded, joined, recovered, promoted, failed, excluded, replaced, left or removed
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
  /// Before anything that comes after it. Told again when the process starts anew from the checkpoint it came with.
  virtual void gap(const delivery_gap& missed) { (void)missed; }
};

}  // namespace cohort
