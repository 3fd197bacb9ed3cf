#pragma once

#include "framework/protocol/core.hpp"
#include "framework/protocol/partition/messages.hpp"
#include "framework/protocol/partition/recovery.hpp"

#include <cohort/contract.hpp>

namespace cohort::protocol::partition {

/// A partitionable group: the rules that it begins with, and what does not change. The same at all members.
/// `durable` does not change with the rules: what is stable is on the disks of all members of the view, and restarts go on from there.
struct core_options : view_options {
  core_options() { durable = false; }
  merge_policy merge = merge_policy::none;  ///< whose state all take (P7); `none`: there is no state
  std::size_t batch_bytes = 64 * 1024;
  std::size_t batches_in_flight = 1;
  std::size_t part_bytes = 256 * 1024;  ///< larger messages travel in parts of this size (L10)
  std::size_t pull_bytes_max = 4u << 20;
  std::uint64_t checkpoint_bytes = 64u << 20;  ///< durable groups: payload between two checkpoints
};

struct core_start {
  voter_id self;                    ///< the identity is of this process, in durable groups of its disk
  incarnation inc = 0;              ///< larger than those of earlier lives, as far as the clock can tell; not used
                                    ///< with `state`: the process goes on as the one it was
  std::vector<member_id> founders;  ///< all members of the founders' table, ascending
  bool founder = true;              ///< no earlier life of this member took part in the group (P9)
  recovered_ptr state = nullptr;    ///< durable groups: what the disk has; null: nothing
};

/// One look at the inside, for operators and tests.
struct core_status {
  process self;
  component_ptr in_force;
  member_id leader = no_member;  ///< whom this member would have form its view
  bool wedged = false;           ///< a view is being formed
  bool merging = false;          ///< the sides' states are being exchanged
  std::uint64_t delivered = 0;   ///< messages in the total order of this side
  std::size_t payload_bytes = 0;
  log_index checkpoint = 0;       ///< number of the newest one that is stored
  bool since_checkpoint = false;  ///< something was delivered behind it
  std::size_t part_bytes = 0;     ///< own parts of large messages that some member has not acknowledged
};

/// The protocol of one member in a partitionable group (section 15 of docs/protocol.md): a sibling of `protocol::core`
/// with the same shape for its driver. Every component goes on in a view of its own in which all must hold what is
/// safe; views of components that see each other again are merged. Crash model.
///
/// Total order follows Lamport ("Time, Clocks, and the Ordering of Events in a Distributed System", 1978): by stamp and
/// slot, once every member has said that no smaller stamp will come. Views, transitional sets and safe delivery are
/// those of extended virtual synchrony (Moser, Amir, Melliar-Smith, Agarwal, 1994). Deterministic; one thread at a
/// time.
///
/// In a durable group a restart is a long silence: the process goes on as the one it was, with the views and promises
/// on its disk, and takes part again in the next view. What it had sealed and not written down is gone, so it seals
/// nothing more in the views of its earlier life (L2).
class core {
public:
  core(const core_options& options, const core_start& start);
  ~core();
  core(core&&) noexcept;

  void tick(instant mono, wall_time wall);
  /// As `protocol::core::submit`. What is taken is delivered here for certain, unless this process ends.
  submit_status submit(std::span<const std::span<const std::byte>> messages, order how = order::total,
                       wall_time deadline = {});
  /// As `protocol::core::submit_part`. All parts of a message are sealed in one view: `interrupted` if another one has
  /// begun, and the message is to be given again from its first part on.
  submit_status submit_part(std::span<const std::byte> part, bool more, order how = order::total,
                            wall_time deadline = {});
  /// The rest of the large message of that order will not come.
  void give_up_parts(order how);
  void receive(voter_id from, message&& what);
  /// Null, or why such a change is not made in a partitionable group.
  const char* refuses(change_kind kind, const view_options& wanted) const;
  /// Asks for other rules (X8), which it does not refuse: `change_done` or `change_refused` (`no_leader`: it may still
  /// happen) follows with the id that is returned, at the latest after `request_patience`.
  std::uint64_t request(const view_options& wanted);
  void link_up(voter_id peer, bool peer_blank);
  void link_down(member_id peer, bool reset);
  /// A read of the component's state: `deliver_read` follows once everything completed in this component before it is
  /// applied.
  void read(std::uint64_t tag);
  /// Durable groups: everything written up to here is on disk.
  void persisted(journal_position up_to);
  /// Answers to `deliver_checkpoint`.
  void checkpoint_stored(log_index number, std::uint32_t chunks);
  void checkpoint_failed(log_index number);
  /// Durable groups: take a checkpoint soon.
  void want_checkpoint();
  /// Answer to `deliver_offer` for that view.
  void offer_ready(component_id view, std::vector<std::byte> state);
  /// Ends the pass.
  void drain();
  outputs& out();
  void drained();
  instant next_deadline() const;
  core_status status() const;
  /// In force here.
  const view_options& rules() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace cohort::protocol::partition
