#pragma once

#include "framework/rpc/collator.hpp"

#include <cohort/group_port.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

namespace cohort::detail {

struct port_state;

inline constexpr std::size_t answer_overhead = 64;  ///< what a session writes in front of an answer, which counts for no limit

/// The calls which this node's callers have open in one group (framework/rpc/collator.hpp), and whose they are. Lives
/// as long as the group's entry, so restarts of the replica change nothing. Any thread; a call's `judge` runs under its
/// lock.
class call_desk {
public:
  /// `first_number`: drawn at random, so that answers to an earlier life of this process find no call.
  call_desk(rpc::collator::names name_of, std::uint64_t first_number)
      : collator_(std::move(name_of)), next_number_(first_number) {}

  /// The number under which the message is to travel. What becomes of it under `tag` is the desk's from now on
  /// (`resolve`).
  std::uint64_t open(const std::shared_ptr<port_state>& port, std::uint64_t tag, const collation& how);
  /// Ends the call; false if there is none.
  bool cancel(const port_state& port, std::uint64_t tag);
  /// Takes from `done`, completions of this port, those which say what became of calls' messages.
  void resolve(const port_state& port, completion_batch& done);

  // Application's thread.
  void delivered(std::uint64_t number, const rpc::place& at, const std::vector<rpc::process>& members,
                 std::optional<rpc::collator::answer> own);
  void answered(std::uint64_t number, rpc::collator::answer&& what);
  void view_installed(const std::vector<rpc::process>& active, const std::vector<member_id>& left);

  // Protocol thread.
  bool knows(std::uint64_t number);
  void expire(protocol::instant now);
  protocol::instant next_deadline();
  /// Calls that ended since the last time while members could still answer them.
  std::vector<std::uint64_t> take_given_up();
  /// This node's part in the group ends.
  void stop();

private:
  struct caller {
    std::shared_ptr<port_state> port;
    std::uint64_t tag = 0;
    bool resolved = false;  ///< what became of the message is known
    bool ended = false;     ///< the caller has its report
    outcome what = outcome::replied;
  };
  using callers = std::unordered_map<std::uint64_t, caller>;
  using lock = std::unique_lock<std::mutex>;

  /// Gives callers what ended; gives up the lock for it.
  void report(lock guard);
  void drop(callers::iterator at);

  std::mutex mutex_;  // guards all below
  rpc::collator collator_;
  std::uint64_t next_number_;
  callers callers_;                                                               ///< by the call's number
  std::map<std::pair<const port_state*, std::uint64_t>, std::uint64_t> numbers_;  ///< by port and tag
  std::vector<std::uint64_t> given_up_;
};

}  // namespace cohort::detail
