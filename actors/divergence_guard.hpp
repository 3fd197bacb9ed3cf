#pragma once

#include "framework/divergence/points.hpp"
#include "framework/divergence/watch.hpp"
#include "framework/protocol/messages.hpp"

#include <cohort/state_machine.hpp>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace cohort::detail {

/// How comparing went so far.
struct divergence_figures {
  divergence::finding last;
  std::uint64_t agreed_at = 0;    ///< newest position at which all had the same state
  std::uint64_t comparisons = 0;
  std::uint64_t differences = 0;
};

/// A replica's part in comparing states with the other members: takes digests at the group's positions, sends them, and says
/// what comes of them. The replica's thread.
class divergence_guard {
public:
  struct outlets {
    std::function<void(const protocol::state_digest&)> send;  ///< to the other active members
    std::function<void(const divergence_figures&)> report;
    std::function<void(const divergence::finding&, view_number)> found;
  };

  /// `odd`: in an earlier life this replica's state was found to differ from the majority's.
  divergence_guard(member_id self, std::uint64_t every, bool odd, outlets out);
  ~divergence_guard();

  void view_installed(const protocol::view& v, bool active_here);
  /// The state is the one at `position`, as others have it.
  void restored(std::uint64_t position);
  bool due(std::uint64_t position) const { return points_.reached(position); }
  /// The state behind the message at `position`; `comparable`: it is at hand.
  void compare(const state_machine& state, std::uint64_t position, bool comparable);
  void take(const std::vector<std::pair<member_id, protocol::state_digest>>& others);

private:
  class checksum_sink;
  void tell();

  const member_id self_;
  const outlets out_;
  divergence::points points_;
  divergence::watch watch_;
  std::unique_ptr<checksum_sink> checksum_;
  incarnation inc_ = 0;   ///< ours in the view; 0: not active
  view_number view_ = 0;
};

}  // namespace cohort::detail
