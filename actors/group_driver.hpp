#pragma once

#include "actors/call_traffic.hpp"
#include "actors/group_core.hpp"
#include "actors/group_entry.hpp"
#include "actors/work.hpp"

#include "framework/protocol/core.hpp"

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace cohort::detail {

/// What a driver needs around it. Called on the protocol thread only.
class driver_host {
public:
  virtual ~driver_host() = default;
  /// Encodes once and sends to all targets.
  virtual void send(std::uint32_t group, std::span<const member_id> targets, const protocol::message& what) = 0;
  /// Bytes of payload that wait on the link to `peer`; SIZE_MAX without one.
  virtual std::size_t payload_queued(member_id) const { return 0; }
  /// Takes over the operations of one pass; false if the journal has stopped for good.
  virtual bool append(std::uint32_t group, std::span<protocol::persist_op> ops) = 0;
  /// Hands deliveries to the replica's thread, which calls `driver_credit::finished`.
  virtual void deliver(std::uint32_t group, work_ptr w) = 0;
  virtual void happened(std::uint32_t group, const protocol::event& e) = 0;
  virtual void view_installed(std::uint32_t group, const protocol::deliver_view& v) = 0;
  /// Run the group's `pass` again soon without waiting for input.
  virtual void again(std::uint32_t group) = 0;
  /// The group has a turn: its `pass` is to be called when the turn of the loop ends. A host which calls `pass` of
  /// every group every time needs not to know.
  virtual void touched(std::uint32_t) {}
  /// Tells the core what the peers' nodes say (rule Q4); at the begin of a turn, and again before its end.
  virtual void tell_contacts(std::uint32_t, group_core&) {}
  /// What this node may say of the group from now on (rule Q2).
  virtual void vouch(std::uint32_t, const protocol::vouch&) {}
  /// This replica's state differs from the majority's (not empty: how), or does not any more.
  virtual void state_judged(std::uint32_t, const std::string& why_odd) { (void)why_odd; }
  /// This node's part in the group ended by itself.
  virtual void withdrawn(std::uint32_t, const std::string& why) { (void)why; }
};

/// The credit between protocol thread and replica: works that are finished come back to be reused, and the bytes which
/// the replica has not applied yet are counted. Any thread.
class driver_credit {
public:
  work_ptr fresh();
  /// The replica is done with `w`.
  void finished(work_ptr w);
  std::size_t backlog() const { return backlog_.load(std::memory_order_relaxed); }
  void grew(std::size_t bytes) { backlog_.fetch_add(bytes, std::memory_order_relaxed); }
  /// Requests of a primary/backup group that were applied, which here means taken, and that no update has settled.
  std::size_t pending() const { return pending_.load(std::memory_order_relaxed); }
  /// Returns what it was before.
  std::size_t pends(std::size_t bytes) { return pending_.exchange(bytes, std::memory_order_relaxed); }

private:
  std::atomic<std::size_t> backlog_{0};
  std::atomic<std::size_t> pending_{0};
  std::mutex mutex_;
  std::vector<work_ptr> spare_;
};

/// Drives one group's core through the passes of the loop (rule N1, decision on persist-before-send): inputs as they
/// come, then `pass` once per turn: feed submissions, drain, journal, send, deliver, report. Owns the book-keeping
/// which the core does not need: whose message is whose, what waits for the disk, what the replica has in hand.
/// Lives on the protocol thread. Knows neither CAF nor sockets nor disks.
class group_driver {
public:
  static constexpr std::size_t turn_bytes = 1u << 20;  ///< of submissions per turn, so that peers' bytes get their turn

  group_driver(std::shared_ptr<group_entry> group, const protocol::core_options& options,
               const protocol::core_start& start, protocol::journal_position durable, driver_host& host,
               std::shared_ptr<driver_credit> credit);
  /// Messages above `part_bytes` are fed in parts.
  group_driver(std::shared_ptr<group_entry> group, std::unique_ptr<group_core> core, std::size_t part_bytes,
               protocol::journal_position durable, driver_host& host, std::shared_ptr<driver_credit> credit);
  ~group_driver();

  // Inputs. The first of a turn ticks the core.
  void receive(protocol::voter_id from, protocol::message&& what);
  void persisted(protocol::journal_position up_to);
  /// A node that is no founder may take part.
  void know(member_id member);
  void link_up(protocol::voter_id peer, bool blank);
  void link_down(member_id peer, bool reset);
  void take(const std::shared_ptr<port_state>& port);
  void checkpoint_stored(log_index index, std::uint32_t chunks);
  void checkpoint_failed(log_index index);
  void restored(log_index index);
  void chunk_loaded(member_id to, log_index index, std::uint32_t number, protocol::payload data);
  /// Something around it has changed: it is given a turn.
  void touch() { begin_turn(); }
  void offer_ready(protocol::partition::component_id view, std::vector<std::byte> state);
  /// Answers of this member to calls of `to`.
  void answer(member_id to, protocol::call_answers what);

  /// The replica's next timer (`core::want_time`).
  void want_time(wall_time due);
  /// What this member's state is, for the others.
  void tell_digest(const protocol::state_digest& what);

  /// The replicas' states were compared: whose differ from the majority's; not empty if ours does: how.
  void states_judged(const std::vector<member_id>& odd, const std::string& why_odd);

  /// Ends the turn: drains the core and carries out what it wants. Does nothing if it had no input and no deadline is due.
  void pass();
  protocol::instant next_deadline() const;

  /// From now on own submissions are refused as `why`, with `refuse_waiting` also those which wait for the core. What the
  /// core has taken is still resolved.
  void stop_accepting(outcome why, bool refuse_waiting);
  /// If this member leads: asks the one that is furthest to lead instead (E8).
  void hand_over();
  /// Asks the group for a change of its view. Answered by `change_asked::done`.
  void change(member_id who, const change_asked& what);
  /// This node's part in the group is over: open submissions end as `unknown`, later ones as `not_member`, and peers are not
  /// heard any more.
  void retire();
  bool retired() const { return retired_; }
  /// The state here is wrong: to the group this member has crashed.
  void withdraw(const std::string& why);
  group_rules rules() const;
  /// Asks for a checkpoint of what is applied; the log index it will cover, 0 if there is nothing new.
  log_index want_checkpoint();
  /// Nothing is accepted any more, and nothing of our own is in flight.
  bool idle() const { return !accepting_ && own_messages() == 0 && ports_.empty() && reads_.empty(); }
  /// Submissions wait for the core; it may take them in any pass.
  bool hungry() const { return !ports_.empty(); }
  /// The end: answers everything that is open.
  void abandon();

  protocol::core_status status() const { return core_->status(); }

private:
  struct pending_port {
    explicit pending_port(std::shared_ptr<port_state> p) : port(std::move(p)) {}
    pending_port(pending_port&&) noexcept = default;
    pending_port& operator=(pending_port&&) noexcept = default;
    std::shared_ptr<port_state> port;
    std::deque<std::unique_ptr<submission_block>> blocks;
  };
  struct held_send {
    std::vector<member_id> targets;
    protocol::journal_position needs = 0;
    protocol::message what;
  };

  std::uint64_t own_messages() const;
  void begin_turn();
  void ask(const std::shared_ptr<port_state>& port, submission_block& block);
  void feed();
  protocol::submit_status feed_some(pending_port& p, std::size_t& fed);
  protocol::submit_status feed_parts(pending_port& p, std::size_t& fed);
  void give_up_large(const port_state* port);
  void took(pending_port& p, std::size_t messages, std::size_t bytes, order how);
  void changed(const protocol::event& e);
  void answer_changes(const std::string& why);
  void refuse_pending(outcome why);
  void expire();
  void send_all(protocol::outputs& out);
  void release_sends();
  void deliver_all(protocol::outputs& out, std::optional<bool> primary);
  void answer_own(order how, std::uint64_t messages, outcome what);
  void account(protocol::delivery_op& op, work& w);
  void hand_over(work_ptr w);
  void release_deliveries();
  void pass_calls();
  void send_to_others(const protocol::message& what);

  std::shared_ptr<group_entry> group_;
  driver_host& host_;
  std::shared_ptr<driver_credit> credit_;
  const std::unique_ptr<group_core> core_;
  const std::chrono::nanoseconds bound_;
  protocol::instant now_{};
  protocol::instant passed_{};  ///< the last pass
  bool in_turn_ = false;  ///< the core has been ticked in this turn

  std::vector<pending_port> ports_;  ///< with blocks waiting for the core
  std::size_t first_port_ = 0;       ///< turns, so that no port starves
  std::vector<std::unique_ptr<submission_block>> inbox_;
  std::vector<std::span<const std::byte>> spans_;
  std::array<ledger, order_count> own_;  ///< by order
  const std::size_t part_bytes_;         ///< larger messages are fed in parts
  std::array<const port_state*, order_count> large_{};  ///< by order: whose large message the core has some parts of
  std::deque<read_group> reads_;
  std::uint64_t next_read_ = 1;
  bool accepting_ = true;
  outcome refusal_ = outcome::stopped;
  bool retired_ = false;
  std::map<std::uint64_t, std::function<void(change_result)>> changes_;  ///< by the core's number of the request

  call_traffic calls_;
  std::vector<std::pair<member_id, protocol::state_digest>> digests_;  ///< of others, for the replica

  protocol::journal_position durable_ = 0;
  protocol::journal_position appended_ = 0;
  std::deque<held_send> held_;
  bool after_restore_ = false;                  ///< the delivery before was a restore
  work_ptr held_work_;                          ///< deliveries from a restore on, until the checkpoint is on disk
  protocol::journal_position held_until_ = 0;
  bool broken_ = false;                         ///< the journal takes nothing any more: no promise leaves
};

}  // namespace cohort::detail
