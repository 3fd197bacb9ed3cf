#pragma once

#include "framework/protocol/messages.hpp"

#include <functional>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

namespace cohort::detail {

/// Answers to calls that one frame should not carry, on both sides: they travel in parts, of which a link is given no more than it
/// takes. So heartbeats and other payload go in between, nothing is dropped for them, and what a member keeps for them is bounded: an
/// answer beyond that goes as `too_large`. Over a new link an answer begins anew; parts are taken in their order, once. The protocol
/// thread.
class large_answers {
public:
  static constexpr std::size_t part_bytes = 256u << 10;
  static constexpr std::size_t ahead_bytes = 1u << 20;      ///< of payload that may wait on a link when parts are added
  static constexpr std::size_t held_bytes = 64u << 20;      ///< in each direction
  static constexpr protocol::duration look_again = std::chrono::milliseconds(5);
  static constexpr protocol::duration kept_time = std::chrono::seconds(10);  ///< since the last part left or came

  /// `answer_bytes_max`: longer ones are nobody's.
  explicit large_answers(std::size_t answer_bytes_max) : answer_bytes_max_(answer_bytes_max) {}

  static bool needs_parts(const protocol::call_answers& what) { return what.items.size() == 1 && what.what.blob.size() > part_bytes; }

  // What this member answers.
  /// False, and `what` says `too_large` then, if there is no room for it.
  bool add(member_id to, protocol::instant now, protocol::call_answers& what);
  /// `queued`: bytes of payload that wait on the link to a member; more than any bound where there is no link.
  void send(protocol::instant now, const std::function<std::size_t(member_id)>& queued,
            const std::function<void(member_id, const protocol::message&)>& give);
  void link_up(member_id peer);
  void given_up(member_id from, const protocol::calls_over& what);
  /// When `send` is to be called again.
  protocol::instant next_deadline() const { return next_; }

  // What others answer.
  static bool is_part(const protocol::call_answers& what) { return what.items.size() == 1 && what.items[0].total > 0; }
  /// The answer, whole, when this was its last part.
  std::optional<protocol::call_answers> take(member_id from, protocol::instant now, const protocol::call_answers& part);
  /// Drops what nobody waits for any more, or what stopped coming.
  void forget(protocol::instant now, const std::function<bool(std::uint64_t number)>& knows);

private:
  struct outgoing {
    member_id to = no_member;
    protocol::instant at{};
    protocol::call_answers what;
    std::size_t sent = 0;
  };
  struct incoming {
    protocol::instant at{};
    std::size_t total = 0;
    std::vector<std::byte> bytes;
  };
  using source = std::tuple<member_id, incarnation, std::uint64_t>;  ///< member, its life, the call's number

  const std::size_t answer_bytes_max_;
  std::vector<outgoing> out_;  ///< also those sent whole, for a while: the link may have lost them
  std::size_t out_bytes_ = 0;
  protocol::instant next_ = protocol::never;
  std::map<source, incoming> in_;
  std::size_t in_bytes_ = 0;  ///< that they will have
};

}  // namespace cohort::detail
