#pragma once

#include <cohort/order.hpp>
#include <cohort/types.hpp>

#include <cstddef>
#include <span>

namespace cohort {

/// One message of the total order, as every replica sees it: same messages, same order, same values in all fields but
/// `own` and `late`. Valid only during the call that hands it over.
struct delivery {
  std::span<const std::byte> payload;  ///< as submitted
  std::uint64_t position = 0;          ///< in the group's total order, counted from 1, without gaps
  log_index index = 0;                 ///< log entry whose cut covers it
  view_number view = 0;                ///< view in which it was sent and is delivered (O9)
  member_id sender = no_member;
  incarnation sender_incarnation = 0;
  wall_time time{};                    ///< agreed time: equal everywhere, never goes back; the only clock a replica may use
  bool own = false;                    ///< submitted through this node in this life: the reply goes to the caller
  bool late = false;                   ///< its deadline was over by this node's clock (DL2): not the same everywhere, so no state may depend on it
};

}  // namespace cohort
