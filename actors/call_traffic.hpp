#pragma once

#include "actors/call_desk.hpp"
#include "actors/large_answers.hpp"
#include "actors/work.hpp"

#include <algorithm>
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
  call_traffic(std::shared_ptr<call_desk> desk, std::size_t message_bytes_max)
      : desk_(std::move(desk)), large_(message_bytes_max + answer_overhead) {}

  /// True if `what` is of calls; it is taken then.
  bool take(member_id from, protocol::instant now, protocol::message& what);
  /// True if this answer of ours is one that leaves by `send_large`; it is taken then.
  bool take_large(member_id to, protocol::instant now, protocol::call_answers& what) {
    return large_answers::needs_parts(what) && large_.add(to, now, what);
  }
  template <class Queued, class Send>
  void send_large(protocol::instant now, Queued queued, Send send) {
    if (large_.next_deadline() <= now) large_.send(now, queued, send);
  }
  /// Answers left for `to`.
  void sent(member_id to, protocol::instant now, const protocol::call_answers& what);
  /// What left for `peer` lately may have been lost with the link before.
  template <class Send>
  void link_up(member_id peer, protocol::instant now, Send send) {
    forget(now);
    large_.link_up(peer);
    for (const auto& a : kept_)
      if (a.to == peer) send(protocol::message(a.what));
  }

  void expire(protocol::instant now);
  protocol::instant next_deadline() const {
    return std::min(large_.next_deadline(), desk_ ? desk_->next_deadline() : protocol::never);
  }
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
  large_answers large_;
  std::vector<std::pair<member_id, protocol::call_answers>> answers_;
  std::vector<std::pair<member_id, protocol::calls_over>> over_;
  std::deque<kept_answers> kept_;
  std::size_t kept_now_ = 0;
};

}  // namespace cohort::detail
