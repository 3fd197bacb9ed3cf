#pragma once

#include <cohort/state_machine.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace cohort {

/// Requests that are executed exactly once, however often they are sent (rules F2 to F4). A caller opens a session in a group
/// whose contract has `sessions`, numbers its requests from 1 up, and sends each until it is answered, through whichever member
/// it reaches. The table of sessions is part of the replicated state and of every checkpoint, so it survives the loss of members,
/// a restart of all, and the restart of a caller that kept its session's name and its numbers.
///
/// Answers are kept until the caller says it has them (`acknowledged_below`, carried by every request) or the session expires.
/// Expiry is decided by agreed time (`delivery::time`), so all members decide alike. Everything a decision depends on is in the
/// group's log, also the limits: those under which a session was opened. Failure model: that of the group; the caller is trusted
/// with nothing but its own session. Source: Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 6.3.

/// 128 random bits, chosen by the caller: who does not know them cannot use the session.
struct session_id {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
  auto operator<=>(const session_id&) const = default;
};

/// A session as its caller knows it. `birth` is the position at which it was opened: a session that expired and was opened again
/// under the same id is another one, which has forgotten what was executed before.
struct session_name {
  session_id id;
  std::uint64_t birth = 0;
  bool operator==(const session_name&) const = default;
};

/// Under which a session is opened. What is full refuses; nothing is dropped to make room.
struct session_limits {
  std::chrono::milliseconds lifetime{60'000};       ///< since the last request, in agreed time; 1 s to 7 days
  std::uint32_t open_requests_max = 1024;           ///< numbers above the acknowledged ones; 1 to 65536
  std::uint64_t answer_bytes_max = 1u << 20;        ///< kept for this session; the last one may exceed it
  std::uint64_t table_bytes_max = 256u << 20;       ///< kept for all sessions
  std::uint32_t sessions_max = 10'000;              ///< in the group
  std::uint32_t sessions_per_owner_max = 1'000;
};

/// What became of a session's request, once the group decided. A closed set. Only `replied` was executed.
enum class session_outcome : std::uint8_t {
  replied,        ///< executed once; the answer, now or again
  no_session,     ///< never opened, closed or expired. Whether a request sent earlier was executed cannot be told any more
  forgotten,      ///< its number is below what the caller acknowledged: executed and answered, or given up
  too_far,        ///< its number lies `open_requests_max` or more above the acknowledged ones: acknowledge answers first
  answers_full,   ///< as many bytes of answers are kept as may be: acknowledge answers first
  sessions_full,  ///< no further session, of this owner or at all: close one, or wait until some expire
  cancelled,      ///< given up by `write_cancel` before it was executed, and never will be
  behind,         ///< a query: this member has not applied what the query wants to see
  malformed,      ///< not a request as the functions below write them
};

/// For people: what it means and what to do.
const char* to_string(session_outcome o);

/// Requests, to be submitted in total order with `submit_options::session_request`. Each replaces `out`.
/// Opening with birth 0 opens, or finds the session of that id; with a birth it renews that session, or says `no_session`.
/// `owner` stands for whom `sessions_per_owner_max` counts; 0: nobody.
void write_open(std::vector<std::byte>& out, const session_name& session, const session_limits& limits, std::uint64_t owner = 0);
void write_close(std::vector<std::byte>& out, const session_name& session);
/// `number` from 1 up, in any order; `acknowledged_below`: the caller has, or wants no more, the answers of all smaller numbers.
void write_call(std::vector<std::byte>& out, const session_name& session, std::uint64_t number, std::uint64_t acknowledged_below,
                std::span<const std::byte> payload);
/// Settles what became of a request: answers `replied` if it was executed, and else makes sure that it never is.
void write_cancel(std::vector<std::byte>& out, const session_name& session, std::uint64_t number);
/// A message or question without a session that happens to begin like one. `group_port` does this where it is needed.
void write_plain(std::vector<std::byte>& out, std::span<const std::byte> payload);
/// True for what the functions here write, and for what must be written as `write_plain`.
bool is_session_message(std::span<const std::byte> message);

/// A query's question, whose answer says of which state it is (`session_reply`). Answered `behind` by a replica which has
/// applied less than the entry `seen` or nothing since `not_before`.
void write_question(std::vector<std::byte>& out, log_index seen, wall_time not_before, std::span<const std::byte> question);

/// The answer to such a request or question.
struct session_reply {
  session_outcome what = session_outcome::malformed;
  bool repeated = false;        ///< executed before: this is the kept answer
  std::uint64_t position = 0;   ///< in the total order, at which it was executed; of a question: the newest message applied
  log_index index = 0;          ///< the log entry of that
  view_number view = 0;
  wall_time time{};             ///< agreed time of that
  std::uint64_t birth = 0;      ///< opening: completes the session's name
  std::span<const std::byte> payload;
};
/// False if `bytes` are no such answer.
bool read_reply(std::span<const std::byte> bytes, session_reply& out);

/// Gives a state machine sessions. A node does this by itself for groups whose contract has `sessions`. `all_answer`: what is written
/// to the reply is heard at each member (calls), and not only where the message is `own`.
std::unique_ptr<state_machine> with_sessions(std::unique_ptr<state_machine> machine, bool all_answer = true);

}  // namespace cohort
