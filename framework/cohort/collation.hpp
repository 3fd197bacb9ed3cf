#pragma once

#include <cohort/delivery.hpp>
#include <cohort/order.hpp>
#include <cohort/state_machine.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// Calls of a whole group: a message that every member of the view which delivers it answers, and what makes one result
/// of the answers (docs/rpc.md). Groups whose contract has `calls`. Each process of that view counts at most once:
/// neither a repeated answer nor one of another incarnation or view is taken. Members that leave or fail while the
/// caller waits are not waited for any more. Failure model: that of the group, and the members' answers are believed.
/// Source: Birman, "The Process Group Approach to Reliable Distributed Computing", CACM 1993 (group RPC and its reply
/// counts).

/// When the caller has heard enough.
enum class collate : std::uint8_t {
  none,      ///< when the message is delivered at the caller's node; nobody answers
  first,     ///< one answer
  some,      ///< `collation::count` answers
  majority,  ///< answers of more than half of the members of the view that delivers the message
  all,       ///< answers of all of them that are left
  custom,    ///< `collation::judge` says it
};
const char* to_string(collate c);

/// How a member of the view that delivered the call stands.
enum class member_standing : std::uint8_t {
  awaited,  ///< no answer yet: more were not needed
  answered,
  too_large,  ///< its answer is longer than `contract::message_bytes_max`, or too many large ones are on their way between the same
              ///< members (64 MiB): the message was executed there
  left,       ///< left the group, or was removed, before it answered
  failed,     ///< failed or was excluded before it answered; it may have executed the message
  late,       ///< had not answered when the time was over
};
const char* to_string(member_standing s);

struct member_answer {
  std::string member;
  cohort::incarnation incarnation = 0;
  member_standing what{};
  std::vector<std::byte> answer;
  std::string_view text() const { return {reinterpret_cast<const char*>(answer.data()), answer.size()}; }
};

/// Why a call ended.
enum class call_end : std::uint8_t {
  open,         ///< it did not yet: what `judge` sees
  met,          ///< enough answers
  unmet,        ///< those that are left cannot make it enough, or `judge` gave up
  late,         ///< the time was over
  cancelled,    ///< by the caller
  stopped,      ///< the caller's node left the group or stopped
  undelivered,  ///< the message was refused, lost or expired, or nobody knows: `outcome` says it. Answers that came all
                ///< the same prove that it was delivered to their members
};
const char* to_string(call_end e);

/// What a call brought: who answered, in which view, who failed.
struct call_report {
  call_end end = call_end::open;
  view_number view = 0;        ///< that delivered the message
  std::uint64_t position = 0;  ///< in the total order; 0 in others
  log_index index = 0;
  wall_time time{};                    ///< agreed time of it
  std::vector<member_answer> members;  ///< of that view, but for witnesses, in the order of the members' table
  bool met() const { return end == call_end::met; }
  std::size_t count(member_standing s) const;
  /// The first answer, in the members' order, or null.
  const member_answer* any() const;
};

enum class judgement : std::uint8_t { wait, enough, give_up };

struct collation {
  collate how = collate::all;
  unsigned count = 1;  ///< `some`; 1 up
  /// From now on, for the message to be ordered and for the answers; 1 ms to 1 h. The message's deadline travels with
  /// it: what is ordered later is executed nowhere (`submit_options::within`).
  std::chrono::milliseconds within{5000};
  std::optional<order> in_order;  ///< none: the contract's default; a session's request always goes in total order
  /// `custom`: called after each answer and each view, on the application's thread, until it says something else than
  /// `wait`. Must be short and call nothing of the node. Throwing means `give_up`.
  std::function<judgement(const call_report&)> judge;
  bool session_request = false;  ///< the message was written by <cohort/session.hpp>: executed once, whatever is
                                 ///< repeated; each answer is a `session_reply`
};

/// A member's own answer to a call, for a state machine or a listener that inherits from this, too: called after the
/// message was applied (or handed to the listener), with what `apply` answered in `answer`. It must not change the
/// state, and may know what only this member knows: its load, its cache, its disk. Without it a member answers what
/// `apply` answers, and nothing but that it has delivered the message in orders that no state machine hears. Not asked
/// for requests of sessions, whose answers are kept.
class call_handler {
public:
  virtual ~call_handler() = default;
  virtual void answer_call(const delivery& message, order how, reply& answer) = 0;
};

/// How a report travels as the `completion::reply` of a call, or as the answer of a gateway.
void write_report(std::vector<std::byte>& out, const call_report& report);
/// False if `bytes` are none.
bool read_report(std::span<const std::byte> bytes, call_report& out);

}  // namespace cohort
