#pragma once

#include "actors/call_desk.hpp"
#include "actors/work.hpp"

#include "framework/rpc/messages.hpp"

#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace cohort::detail {

/// A member's side of calls: its answers go to the callers' nodes, and what other members answer goes to the desk. The
/// replica's thread.
class call_responder {
public:
  using send_function = std::function<void(member_id to, protocol::call_answers answers)>;

  /// `own`: what of the application has answers of its own.
  /// `message_bytes_max`: of the group; a longer answer does not travel.
  call_responder(std::shared_ptr<call_desk> desk, member_id self, std::size_t message_bytes_max, std::vector<call_handler*> own,
                 send_function send)
      : desk_(std::move(desk)), self_(self), answer_max_(message_bytes_max + answer_overhead), own_(std::move(own)), send_(std::move(send)) {}

  void view_installed(const protocol::view& v);
  /// `message` was applied, or handed to the listener, and answered `answer`.
  void executed(const delivery& message, order how, const rpc::call_message& call, reply& answer);
  /// The message at `position` was deferred, and is answered now.
  void settled(std::uint64_t position, std::span<const std::byte> answer);
  /// What other members answered, and gave up.
  void take(work& w);
  /// The state was replaced: what was deferred may have been settled below it.
  void restored() { deferred_.clear(); }
  /// Sends what was gathered.
  void flush();

private:
  struct caller {
    member_id member = no_member;
    incarnation inc = 0;
    std::uint64_t number = 0;
    view_number view = 0;
    wall_time until{};
  };
  struct bundle {
    incarnation to = 0;
    std::vector<protocol::call_answers::item> items;
    std::vector<std::uint32_t> sizes;
    std::vector<std::byte> blob;
  };

  void answer(const caller& c, std::span<const std::byte> bytes);
  rpc::collator::answer own_answer(const caller& c, std::span<const std::byte> bytes) const;
  void defer(std::uint64_t position, const caller& to);
  void send(member_id to, bundle& b);

  std::shared_ptr<call_desk> desk_;
  const member_id self_;
  const std::size_t answer_max_;
  const std::vector<call_handler*> own_;
  send_function send_;
  std::vector<rpc::process> roster_;          ///< of the view in force: who is to answer
  incarnation inc_ = 0;                       ///< ours in it; 0: not active
  std::map<std::uint64_t, caller> deferred_;  ///< by position
  std::map<member_id, bundle> out_;
};

/// `what` holds a message that begins like a call.
bool holds_calls(const protocol::payload& what);
/// Its messages as they were before they became calls.
void strip_calls(const protocol::payload& what, std::vector<std::uint32_t>& sizes, std::vector<std::byte>& blob);

}  // namespace cohort::detail
