#pragma once

#include "framework/primary_backup/office.hpp"

#include <cohort/stream.hpp>

#include <cstdint>
#include <deque>

namespace cohort::primary_backup {

/// The offices that ended while requests were pending, as far as these still are, and what is known of why. A function of
/// views and deliveries alone, so equal at all members at the same place of the order: nothing is sent on the good path.
///
/// E1  An office is one life of one process, so it dies of one request at most, and counts once, whoever tells it how often.
/// E2  Only who held an office says what it died of.
/// E3  A request of which some office is known to have died is charged, too, with those offices of which nothing is known and
///     which ended while it was pending: their processes may not be back yet. So nobody has to wait for them.
class ended_offices {
public:
  static constexpr std::size_t offices_max = 64;  ///< then the oldest is forgotten

  /// `newest`  position of the newest request that is pending; there is one.
  void ended(const office& which, std::uint64_t newest);
  /// Its holder says that its process died while it executed the request at `position`, which is pending.
  void told(member_id holder, view_number since, std::uint64_t position);
  /// Those up to here are pending no more.
  void settled(std::uint64_t position);
  void clear() { offices_.clear(); }
  /// Processes that ended by executing the request; 0 as long as nobody has said so.
  unsigned lives(std::uint64_t position) const;

  void checkpoint(sink& out) const;
  /// Throws `truncated_checkpoint`.
  void restore(source& in);

private:
  struct one {
    member_id who = no_member;
    view_number since = 0;
    std::uint64_t newest = 0;  ///< request that was pending at its end
    std::uint64_t died_of = 0;  ///< position, 0: not known
  };
  std::deque<one> offices_;
};

}  // namespace cohort::primary_backup
