#pragma once

#include "framework/primary_backup/update_message.hpp"
#include "framework/protocol/types.hpp"

#include <cohort/group_port.hpp>
#include <cohort/order.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace cohort::detail {

/// What a port gathered between two flushes. Travels to the protocol thread as a whole, and empty to the node's `spare_blocks`.
struct submission_block {
  struct tag_run {
    std::uint64_t first_tag = 0;
    std::uint32_t count = 0;
    std::optional<order> how;  ///< none: the group's default
    wall_time deadline{};
  };
  struct question {
    std::uint64_t tag = 0;
    std::size_t offset = 0;
    std::size_t length = 0;
  };
  std::vector<std::byte> blob;  ///< messages, back to back
  std::vector<std::uint32_t> sizes;
  std::vector<tag_run> runs;  ///< consecutive tags of one order and deadline, together as many as `sizes`
  std::vector<std::byte> question_bytes;
  std::vector<question> questions;  ///< linearizable
  protocol::instant flushed{};

  // How far the protocol thread got.
  std::size_t next_message = 0;
  std::size_t next_byte = 0;
  std::size_t next_run = 0;
  std::uint32_t next_in_run = 0;
  std::size_t next_part_byte = 0;  ///< of a large message

  bool empty() const { return sizes.empty() && questions.empty(); }
  bool consumed() const { return next_message == sizes.size(); }
  void clear();
};

/// Questions that wait for a read point, or for the replica (`reads::local`). Whoever drops it unanswered answers
/// `otherwise`: a query has no effect, so nothing is lost by refusing it.
struct question_set {
  std::shared_ptr<struct port_state> port;
  std::vector<std::byte> bytes;
  std::vector<submission_block::question> questions;
  outcome otherwise = outcome::no_quorum;

  question_set() = default;
  question_set(const question_set&) = delete;
  question_set& operator=(const question_set&) = delete;
  ~question_set();
};

struct group_entry;

/// The shared part of a port: the caller's thread on one side, protocol and application threads on the other.
struct port_state : std::enable_shared_from_this<port_state> {
  port_state(std::shared_ptr<group_entry> owner, port_wake on_ready);

  // Caller's thread only.
  std::unique_ptr<submission_block> staging;  ///< null: nothing to flush
  submission_block& staged();
  std::shared_ptr<question_set> local_questions;
  completion_batch refused_here;
  void refuse(std::uint64_t tag, outcome why) { refused_here.add(tag, why); }

  // Any thread.
  /// Appends `done` (and empties it); wakes the caller if nothing was ready before. What became of calls' messages goes to the
  /// group's desk instead.
  void complete(completion_batch& done);
  /// The same for what is the caller's in any case.
  void hand_over(completion_batch& done);
  void complete_one(std::uint64_t tag, outcome what);

  /// Completes with `why` what is left of a block: messages not taken by the core, questions not asked.
  void refuse_rest(submission_block& block, outcome why);
  void refuse_inbox(outcome why);
  /// Completes what is left of the block's current run. Returns its bytes.
  std::size_t refuse_run(submission_block& block, outcome why);

  /// Protocol thread: blocks flushed since the last call.
  void take_inbox(std::vector<std::unique_ptr<submission_block>>& into);
  void recycle(std::unique_ptr<submission_block> block);

  const std::shared_ptr<group_entry> group;
  std::optional<primary_backup::frame> frame;  ///< goes in front of each message; groups of replicas that execute alike have none
  std::atomic<std::size_t> queued{0};  ///< bytes flushed or staged, not yet taken by the core
  std::atomic<std::uint32_t> calls{0};  ///< open at the desk
  std::atomic<bool> closed{false};

  std::mutex mutex;  // guards all below
  std::vector<std::unique_ptr<submission_block>> inbox;
  bool armed = false;  ///< the protocol thread has been told of `inbox`
  completion_batch ready;
  port_wake wake;
};

/// For the node's own ports.
struct port_access {
  /// A port into a primary/backup group whose messages have their frame already.
  static group_port open_unframed(const std::shared_ptr<group_entry>& owner, port_wake wake);
};

}  // namespace cohort::detail
