#pragma once

#include "actors/call_desk.hpp"
#include "actors/work.hpp"

#include <deque>
#include <memory>
#include <utility>
#include <vector>

namespace cohort::detail {

/// What goes between members for calls, on the protocol thread: answers that arrived and wait for the replica, and
/// those which left lately, to be repeated over a link that is new. Whoever gets them twice counts them once.
class call_traffic {
public:
  static constexpr std::size_t kept_bytes = 4u << 20;
  static constexpr protocol::duration kept_time = std::chrono::seconds(10);

  /// `desk`: null in groups without calls.
  explicit call_traffic(std::shared_ptr<call_desk> desk) : desk_(std::move(desk)) {}

  /// True if `what` is of calls; it is taken then.
  bool take(member_id from, protocol::message& what);
  /// Answers left for `to`.
  void sent(member_id to, protocol::instant now, const protocol::call_answers& what);
  /// What left for `peer` lately may have been lost with the link before.
  template <class Send>
  void link_up(member_id peer, protocol::instant now, Send send) {
    forget(now);
    for (const auto& a : kept_)
      if (a.to == peer) send(protocol::message(a.what));
  }

  void expire(protocol::instant now);
  protocol::instant next_deadline() const { return desk_ ? desk_->next_deadline() : protocol::never; }
  std::vector<std::uint64_t> given_up() { return desk_ ? desk_->take_given_up() : std::vector<std::uint64_t>{}; }
  bool waits() const { return !answers_.empty() || !over_.empty(); }
  void hand_over(work& w);
  void stop();

private:
  struct kept_answers {
    member_id to = no_member;
    protocol::instant at{};
    std::size_t bytes = 0;
    protocol::call_answers what;
  };
  void forget(protocol::instant now);

  std::shared_ptr<call_desk> desk_;
  std::vector<std::pair<member_id, protocol::call_answers>> answers_;
  std::vector<std::pair<member_id, protocol::calls_over>> over_;
  std::deque<kept_answers> kept_;
  std::size_t kept_now_ = 0;
};

}  // namespace cohort::detail
