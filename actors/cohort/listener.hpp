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
};

/// A process that is handed deliveries by the batch: the cheapest way to follow a group. Called by one application
/// thread at a time, never by the protocol thread. Deliveries, views and restarts are at the same place everywhere.
class listener {
public:
  virtual ~listener() = default;
  virtual void deliver(const delivery_batch& batch) = 0;
  virtual void view_changed(const group_view& view) { (void)view; }
};

}  // namespace cohort
