#pragma once

#include "framework/protocol/assembler.hpp"
#include "framework/protocol/time_wish.hpp"
#include "framework/simulation/checker.hpp"
#include "framework/simulation/workload.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <variant>

namespace cohort::sim {

// What reaches a process between two passes of its driver.
struct in_message {
  protocol::voter_id from;
  protocol::message what;
};
struct in_persisted {
  protocol::journal_position up_to = 0;
};
struct in_link_up {
  protocol::voter_id peer;
  bool blank = false;
};
struct in_link_down {
  member_id peer = no_member;
  bool reset = false;
};
struct in_checkpoint_stored {
  log_index index = 0;
  std::uint32_t chunks = 0;
};
struct in_chunk {
  member_id to = no_member;
  log_index index = 0;
  std::uint32_t number = 0;
};
struct in_operation {
  std::uint64_t number = 0;
  bool read = false;
  std::vector<std::byte> bytes;
  wall_time deadline{};
};
struct in_hand_over {};
struct in_multicast {
  order how{};
  std::vector<std::byte> bytes;
};
struct in_pulse {
  member_id from = no_member;
  protocol::pulse what;
};
struct in_request {
  protocol::change_kind kind{};
  member_id who = no_member;
  protocol::view_options options;
};
using input = std::variant<in_message, in_persisted, in_link_up, in_link_down, in_checkpoint_stored, in_chunk, in_operation,
                           in_hand_over, in_multicast, in_pulse, in_request>;

/// What a driver needs of the world around it.
class surroundings {
public:
  virtual ~surroundings() = default;
  virtual void transmit(const life& from, member_id to, const protocol::message& what) = 0;
  virtual void transmit(const life& from, member_id to, const protocol::pulse& what) = 0;
  /// Something was given to the disk.
  virtual void disk_has_work(const life& l) = 0;
  /// The group asked for a chunk; `in_chunk` follows after the time that reading takes.
  virtual void chunk_wanted(const life& l, member_id to, log_index index, std::uint32_t number) = 0;
  virtual void happened(const life& l, const protocol::event& e) = 0;
  virtual operation& op(std::uint64_t number) = 0;
  virtual void returned(operation& o, operation::outcome result) = 0;
  virtual const checkers& watchers() = 0;
};

/// Drives a production core as production does: time, inputs, one drain; then persists, sends (held back until the
/// journal has what they testify), deliveries to the replica, and events.
class driver final : protocol::pulse_host {
public:
  /// With `quiet`, its node has heartbeats of its own (rule Q1).
  driver(surroundings& world, const workload& app, const life& who, disk& storage, const protocol::core_options& options,
         protocol::core_start start, const disk::found& found, std::size_t chunk_bytes, bool quiet);

  void take(input what) { inputs_.push_back(std::move(what)); }
  bool has_inputs() const { return !inputs_.empty(); }
  void pass(protocol::instant mono, wall_time wall);

  const life& who() const { return who_; }
  const protocol::core& inside() const { return core_; }
  protocol::instant next_deadline() const {
    if (time_wanted_) return now_;  // the core is told in the next pass
    return std::min(core_.next_deadline(), quiet_ ? pulses_.next_deadline() : protocol::never);
  }
  std::uint64_t passes() const { return passes_; }
  std::uint64_t replica_digest() const { return app_.digest(*machine_); }
  std::uint64_t replica_position() const { return position_; }

private:
  struct held_send {
    protocol::journal_position needs = 0;
    std::vector<member_id> to;
    protocol::message what;
  };
  bool feed(input& what);
  void touch(std::uint32_t group) override;
  void tell_contacts();
  void release_sends();
  void deliver(protocol::delivery_op& what);
  void send(const std::vector<member_id>& to, const protocol::message& what);
  /// A message on its way into the core: an operation's or a multicast.
  struct submission {
    std::vector<std::byte> bytes;
    order how{};
    wall_time deadline{};
    std::optional<std::uint64_t> operation;
    std::size_t taken = 0;  ///< bytes, of a large one
  };
  void submit(submission s);
  void submit_parts();
  void refused(const submission& s);
  void taken(const submission& s);
  void had_part(const protocol::lane_name& lane, sequence seq, const protocol::message_part& part);
  void deliver_total(const protocol::deliver_batch& b);
  void lose(order cls, std::uint64_t messages);
  void restore(const protocol::mark& at, const std::vector<protocol::payload>& chunks);

  surroundings& world_;
  const workload& app_;
  life who_;
  disk& disk_;
  std::size_t chunk_bytes_;
  protocol::core core_;
  bool quiet_;
  protocol::pulses pulses_;
  std::size_t peers_;
  protocol::instant now_{};
  std::size_t part_bytes_;
  protocol::assembler assembler_;
  std::array<std::deque<submission>, order_count> large_;  ///< by class, whose parts the core does not have yet
  std::unique_ptr<state_machine> machine_;
  protocol::time_wish wish_;
  std::optional<wall_time> time_wanted_;
  std::uint64_t position_ = 0;         ///< of the last message that the machine applied
  std::deque<input> inputs_;
  std::deque<held_send> held_;
  protocol::journal_position persisted_ = 0;
  std::deque<std::uint64_t> submitted_;  ///< operations not answered yet, in the order of submission
  std::array<std::deque<std::uint64_t>, order_count> unanswered_;  ///< hashes, by class, of what was taken and not delivered here yet
  bool restored_ = false;              ///< the next view comes with a checkpoint
  reply reply_;
  std::uint64_t passes_ = 0;
};

}  // namespace cohort::sim
