#pragma once

#include <cohort/collation.hpp>
#include <cohort/contract.hpp>
#include <cohort/delivery.hpp>
#include <cohort/order.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cohort {

/// What became of a submission or a query.
enum class outcome : std::uint8_t {
  replied,     ///< delivered here, with what its order promises; T: committed and applied (journaled groups: on a quorum
               ///< of disks), and `completion::reply` answers
  no_quorum,   ///< refused, never submitted: this node has no contact with a quorum's leader
  busy,        ///< refused, never submitted: queue or window stayed full for the whole bound; try later
  not_member,  ///< refused, never submitted: this node is not (yet) active in the group
  too_large,   ///< refused, never submitted: above `contract::message_bytes_max`
  lost,        ///< submitted, and certain to be delivered to nobody who stays in the group (safe orders and T: to nobody at
               ///< all); may be submitted again
  unknown,     ///< submitted, not resolved within `contract::outcome_bound` or before a restart: may still happen
  stopped,     ///< refused, never submitted: the node or the group's replica has ended
  not_enabled, ///< refused, never submitted: the group's contract does not take this order
  expired,     ///< its deadline was over before it was ordered, or submitted: delivered nowhere (unordered: not here)
};

const char* to_string(outcome o);

/// True if the message (or query) certainly had and will have no effect.
constexpr bool refused(outcome o) { return o != outcome::replied && o != outcome::unknown; }

/// One answer. `reply` points into the batch that holds it.
struct completion {
  std::uint64_t tag = 0;
  cohort::outcome outcome{};
  std::span<const std::byte> reply;
};

/// A batch of answers, reused from call to call so that nothing is allocated once it has grown.
class completion_batch {
public:
  std::size_t size() const { return items_.size(); }
  bool empty() const { return items_.empty(); }
  /// Answer number `i`; valid until the batch is passed to `take` again or cleared.
  completion operator[](std::size_t i) const {
    return {items_[i].tag, items_[i].what, std::span(bytes_).subspan(items_[i].offset, items_[i].length)};
  }
  void add(std::uint64_t tag, cohort::outcome what, std::span<const std::byte> reply = {}) {
    items_.push_back({tag, bytes_.size(), static_cast<std::uint32_t>(reply.size()), what});
    bytes_.insert(bytes_.end(), reply.begin(), reply.end());
  }
  /// Adds the answers of `other` behind these.
  void append(const completion_batch& other) {
    auto base = bytes_.size();
    for (auto& i : other.items_) items_.push_back({i.tag, base + i.offset, i.length, i.what});
    bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
  }
  void clear() {
    items_.clear();
    bytes_.clear();
  }

private:
  struct item {
    std::uint64_t tag;
    std::size_t offset;
    std::uint32_t length;
    cohort::outcome what;
  };
  std::vector<item> items_;
  std::vector<std::byte> bytes_;
};

/// A member as seen by operators and applications.
struct member_status {
  std::string name;
  std::string address;  ///< as configured: host:port, srv:NAME or discover
  cohort::incarnation incarnation = 0;
  bool voter = false;
  bool active = false;   ///< never of a witness
  bool witness = false;  ///< keeps the log alone; whether it is well no view tells
};

/// One look at a group's replica on this node.
struct group_status {
  std::string group;
  std::string self;                    ///< this node's name
  std::string leader;                  ///< the leader's node name; empty = none known
  std::string role;                    ///< "leader", "follower", "witness", "learner", "joining", "left", "diverged" or "stopped"
  std::string durability;              ///< "journaled" or "volatile"
  view_number view = 0;
  std::vector<member_status> members;  ///< roster of the view in force
  term_number term = 0;
  cohort::incarnation incarnation = 0;
  bool primary = false;                ///< has contact with a quorum's leader
  bool founded = false;
  bool active = false;
  bool transferring = false;           ///< receiving a checkpoint
  log_index last = 0;                  ///< newest log entry held
  log_index commit = 0;                ///< newest entry known committed
  log_index applied = 0;               ///< newest entry handed to the replica
  log_index durable = 0;               ///< newest entry on this disk (journaled)
  log_index checkpoint = 0;            ///< entry covered by the newest checkpoint; 0: none is kept (volatile groups make one for who joins)
  std::uint64_t delivered = 0;         ///< messages in the total order so far
  std::uint64_t backlog_bytes = 0;     ///< delivered, not yet applied by the replica
  std::uint64_t memory_bytes = 0;      ///< payload held by the protocol
  wall_time time{};                    ///< agreed time
  std::uint64_t agreed_at = 0;         ///< newest position behind which all active members' states were found equal
  std::uint64_t comparisons = 0;       ///< of states, since the replica began ...
  std::uint64_t differences = 0;       ///< ... and those in which some differed
  std::vector<std::string> diverged;   ///< whose state differs from the majority's, or, without one, whoever was compared
  std::uint64_t journal_bytes = 0;     ///< on disk, all groups of this node
  std::uint64_t journal_commits = 0;
  double journal_p50_us = 0;           ///< commit latency
  double journal_p99_us = 0;
  std::string trouble;                 ///< why the disk, the replica or the node is unwell; empty = well
};

namespace detail {
struct port_state;
struct group_entry;
struct port_access;
}  // namespace detail

/// How messages are multicast.
struct submit_options {
  submit_options() = default;
  submit_options(order o, std::chrono::milliseconds within = {}) : how(o), within(within) {}
  submit_options(std::optional<order> o) : how(o) {}

  std::optional<order> how;          ///< none: the contract's `default_order`, as it is when the protocol takes the message
  /// Not 0: from now on, by this node's clock, rounded up to milliseconds. A T message that is ordered later, in agreed time,
  /// is delivered nowhere and completes as `expired` (decided by the group's log, so equal everywhere); one that is applied
  /// later somewhere is delivered and marked `late` there (the crash model promises no more, rules DL1, DL2). In other orders
  /// every receiver judges by its own clock: unordered messages that come late are dropped there, others are marked.
  std::chrono::milliseconds within{0};
  bool session_request = false;  ///< the messages were written by the functions of <cohort/session.hpp> and go in total order; completes as
                                 ///< `not_enabled` where the contract has no `sessions`
};

/// One caller's way into a group, for gateways and measurements: batches in, batches of answers out, no actor needed.
/// Obtained from `node::port`. A port belongs to one thread at a time (except `wake`, see below); each thread that
/// submits opens a port of its own. Messages of one port keep their order.
///
/// Every submission and query gets exactly one completion, also when the node stops. The total order is that of the
/// group; submissions of one order complete in the order in which they were made, but for those whose answer is deferred (`reply::defer`,
/// primary/backup groups: when they are settled); queries complete on their own.
class group_port {
public:
  group_port() = default;
  group_port(group_port&&) noexcept;
  group_port& operator=(group_port&&) noexcept;
  ~group_port();
  explicit operator bool() const { return state_ != nullptr; }

  /// Queues messages to be multicast in order `how`; message `i` is answered under `first_tag + i`, once it is delivered
  /// here. Copies. Never blocks: what the group's window cannot take waits in the port's queue (`contract::queue_bytes`),
  /// and what does not fit there completes as `busy`.
  /// An order which the contract does not enable completes as `not_enabled`.
  void submit(std::span<const std::span<const std::byte>> messages, std::uint64_t first_tag, const submit_options& how = {});
  void submit(std::span<const std::byte> message, std::uint64_t tag, const submit_options& how = {}) {
    submit({&message, 1}, tag, how);
  }

  /// Queues a message which every member answers (<cohort/collation.hpp>). Its one completion, under `tag`, comes when the answers are
  /// enough or the time is over; `reply` is a report (`read_report`), and `outcome` says what became of the message: `replied` is
  /// "delivered here", also where the answers were not enough. `tag` is that of no other open call of this port.
  void call(std::span<const std::byte> message, std::uint64_t tag, const collation& how = {});
  /// Completes that call at once, with the answers that are there: `replied` if it was delivered here, else `unknown`. Members that have
  /// not answered need not any more. Does nothing if it is complete.
  void cancel(std::uint64_t tag);

  /// Asks the state machine (`state_machine::query`) on this node.
  /// `session_question`: it was written by `write_question` (<cohort/session.hpp>), for a group whose contract has `sessions`.
  void query(std::span<const std::byte> question, reads how, std::uint64_t tag, bool session_question = false);

  /// Hands over what submit and query gathered since the last flush. Called once per turn of the caller's loop; without
  /// it nothing leaves.
  void flush();

  /// Takes all completions that are ready; `into` is cleared first, its memory reused. False if there were none.
  bool take(completion_batch& into);

  /// Bytes submitted and not yet taken by the protocol; back-pressure for callers that can slow down.
  std::size_t queued_bytes() const;

  /// Blocks at most 1 s on the protocol thread; not for hot paths.
  group_status status() const;

private:
  friend class node;
  friend struct detail::port_access;
  explicit group_port(std::shared_ptr<detail::port_state> state) : state_(std::move(state)) {}
  std::shared_ptr<detail::port_state> state_;
};

/// Called from another thread when completions are ready and none were before; must be short and thread-safe: write an
/// eventfd, post to a loop. It may be called a last time while the port is being destroyed.
using port_wake = std::function<void()>;

}  // namespace cohort
