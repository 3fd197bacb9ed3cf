#pragma once

#include "framework/protocol/core.hpp"
#include "framework/protocol/partition/core.hpp"

#include <memory>
#include <vector>

namespace cohort::detail {

/// What a driver drives: the core of a group with one history, or that of a partitionable one. Called once for each
/// batch, frame or turn, never for a message. What only one of them knows does nothing in the other.
class group_core {
public:
  virtual ~group_core() = default;
  virtual void tick(protocol::instant mono, wall_time wall) = 0;
  virtual protocol::submit_status submit(std::span<const std::span<const std::byte>> messages, order how,
                                         wall_time deadline) = 0;
  virtual protocol::submit_status submit_part(std::span<const std::byte> part, bool more, order how,
                                              wall_time deadline) = 0;
  virtual void give_up_parts(order how) = 0;
  /// Whether a pass is called for.
  virtual bool receive(protocol::voter_id from, protocol::message&& what) = 0;
  virtual void persisted(protocol::journal_position up_to) = 0;
  virtual void link_up(protocol::voter_id peer, bool blank) = 0;
  virtual void link_down(member_id peer, bool reset) = 0;
  /// Null, or why such changes are not made in this kind of group.
  virtual const char* refuses(protocol::change_kind kind, const protocol::view_options& wanted) const = 0;
  virtual std::uint64_t request(protocol::change_kind kind, member_id who, const protocol::view_options& wanted,
                                const std::optional<protocol::view_options>& based_on) = 0;
  /// `member` may take part from now on.
  virtual void know(member_id member) = 0;
  virtual void hand_over() = 0;
  /// Members whose states differ from the majority's.
  virtual void states_differ(std::vector<member_id> odd) = 0;
  virtual void read(std::uint64_t tag) = 0;
  virtual void want_time(wall_time due) = 0;
  virtual void want_checkpoint() = 0;
  virtual void checkpoint_stored(log_index index, std::uint32_t chunks) = 0;
  virtual void checkpoint_failed(log_index index) = 0;
  virtual void restored(log_index index) = 0;
  virtual void chunk_loaded(member_id to, log_index index, std::uint32_t number, protocol::payload data) = 0;
  virtual void offer_ready(protocol::partition::component_id view, std::vector<std::byte> state) = 0;
  virtual void contact(member_id member, const protocol::node_contact& what) = 0;
  virtual protocol::vouch vouched() = 0;
  virtual void drain() = 0;
  virtual protocol::outputs& out() = 0;
  virtual void drained() = 0;
  virtual protocol::instant next_deadline() const = 0;
  virtual protocol::core_status status() const = 0;
  virtual const protocol::view_options& rules() const = 0;
};

std::unique_ptr<group_core> make_core(const protocol::core_options& options, const protocol::core_start& start);
std::unique_ptr<group_core> make_core(const protocol::partition::core_options& options,
                                      const protocol::partition::core_start& start);

}  // namespace cohort::detail
