#pragma once

#include "framework/protocol/types.hpp"

#include <cohort/collation.hpp>

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cohort::rpc {

/// A member's life.
struct process {
  member_id member = no_member;
  incarnation inc = 0;
  auto operator<=>(const process&) const = default;
};

/// Where a call was delivered, as its caller's node saw it.
struct place {
  view_number view = 0;
  std::uint64_t position = 0;
  log_index index = 0;
  wall_time time{};
  incarnation caller = 0;  ///< under which it was sent
};

/// The open calls of one member, and what has come back. Pure: who may count is decided by what is handed in.
///
/// C1  A process counts for a call at most once, and only if it is in the view that delivered the call at the caller.
/// C2  An answer counts only if it names that view, and the incarnation under which the call was sent.
/// C3  Answers may come before the caller's own delivery; they are kept and judged then.
/// C4  Who is not in a later view any more is not waited for. What it answered before stays.
/// C5  A call ends once.
class collator {
public:
  struct answer {
    process from;
    incarnation to = 0;
    view_number view = 0;
    bool too_large = false;
    std::vector<std::byte> bytes;
  };
  struct ended {
    std::uint64_t number = 0;
    bool delivered = false;
    call_report report;
  };

  using names = std::function<std::string(member_id)>;  ///< of the members
  explicit collator(names name_of) : name_of_(std::move(name_of)) {}

  /// `number` was never used before.
  void open(std::uint64_t number, const collation& how, protocol::instant deadline);
  /// The call's message was delivered here, to `members`, ascending. `own`: what this member answers, unless it does so later. It
  /// counts before anything is judged: so a call never ends without it for others that are gone.
  void delivered(std::uint64_t number, const place& at, const std::vector<process>& members, std::optional<answer> own = {});
  /// It will not be, or nobody knows. What is known already is in the report.
  void undelivered(std::uint64_t number);
  void answered(std::uint64_t number, answer&& what);
  /// `active` is ascending; `left`: those of the ones that went which wanted to, or were told to.
  void view_installed(const std::vector<process>& active, const std::vector<member_id>& left);
  void cancel(std::uint64_t number);
  /// Ends what has waited for too long. A call that is not delivered yet waits for that, which has a bound of its own.
  void expire(protocol::instant now);
  void stop();

  /// Deadline of a delivered call, or `never`.
  protocol::instant next_deadline() const { return deadlines_.empty() ? protocol::never : deadlines_.begin()->first; }
  bool empty() const { return calls_.empty(); }
  bool knows(std::uint64_t number) const { return calls_.contains(number); }
  /// What ended since; the vector is emptied by whoever takes it.
  std::vector<ended>& ended_calls() { return ended_; }

private:
  struct call {
    collation how;
    protocol::instant deadline{};
    bool placed = false;
    place at;
    std::vector<process> who;  ///< by line of the report
    call_report report;
    std::vector<answer> early;
  };
  using calls = std::unordered_map<std::uint64_t, call>;

  static bool take(call& c, answer&& what);
  void judge(calls::iterator c);
  void end(calls::iterator c, call_end why);

  const names name_of_;
  calls calls_;
  std::set<std::pair<protocol::instant, std::uint64_t>> deadlines_;
  std::vector<ended> ended_;
};

}  // namespace cohort::rpc
