#include "actors/group_rules.hpp"

#include <algorithm>

namespace cohort::detail {
namespace {

/// A volatile group keeps so much applied payload between two places at which its log may begin (S2). Places cost it nothing, and little
/// payload keeps its memory warm: between 8 MiB and 256 MiB lay 2.3 and 5.8 us of processor time for a message of 1 KiB at all
/// three members, all of it page faults.
constexpr std::uint64_t volatile_place_bytes = 8u << 20;
/// What all volatile groups of a node keep together, as far as that leaves each four batches.
constexpr std::uint64_t volatile_bytes_together = 128u << 20;

std::uint64_t volatile_share(std::size_t groups) {
  return std::clamp<std::uint64_t>(volatile_bytes_together / std::max<std::size_t>(groups, 1), 256u << 10,
                                   volatile_place_bytes);
}

protocol::slow_policy policy_of(slow_member s) {
  switch (s) {
    case slow_member::wait: return protocol::slow_policy::wait;
    case slow_member::reject: return protocol::slow_policy::reject;
    case slow_member::exclude: break;
  }
  return protocol::slow_policy::exclude;
}

slow_member slow_of(protocol::slow_policy p) {
  switch (p) {
    case protocol::slow_policy::wait: return slow_member::wait;
    case protocol::slow_policy::reject: return slow_member::reject;
    case protocol::slow_policy::exclude: break;
  }
  return slow_member::exclude;
}

std::chrono::milliseconds ms(protocol::duration d) { return std::chrono::duration_cast<std::chrono::milliseconds>(d); }

}  // namespace

protocol::view_options rules_of(const contract& how) {
  protocol::view_options o;
  o.orders = how.orders;
  o.default_order = how.default_order;
  o.durable = how.durability == durability::journaled;
  o.reads = how.reads == reads::lease ? protocol::read_mode::lease : protocol::read_mode::read_index;
  o.slow = policy_of(how.slow);
  o.minority_multicast = how.minority_multicast;
  o.shrink = how.shrink;
  // V16: with a witness two voters that hold payload and agree are enough.
  o.min_voters = static_cast<std::uint16_t>(how.min_voters > 0 ? how.min_voters : how.witnesses > 0 ? 2 : 3);
  o.min_copies = static_cast<std::uint16_t>(how.min_copies);
  o.heartbeat = how.heartbeat;
  o.election_min = how.election_min;
  o.fail_after = how.fail_after;
  o.suspect_at = how.suspect_at;
  o.lease = how.lease;
  o.clock_rate_ppm = how.clock_rate_ppm;
  o.clock_margin = how.clock_margin;
  o.message_bytes_max = how.message_bytes_max;
  o.lane_window = how.lane_window;
  if (how.reliability == reliability::all_members) {
    o.retain_bytes = how.retain_bytes;
    o.retain_time = how.retain_time;
  }
  return o;
}

protocol::core_options core_options_of(const contract& how, std::size_t groups) {
  protocol::core_options o;
  static_cast<protocol::view_options&>(o) = rules_of(how);
  o.election_max = 2 * how.election_min;
  o.wedge_wait = how.election_min;
  o.pull_wait = 2 * how.election_min;
  o.part_bytes = part_bytes_of(how);
  o.checkpoint_bytes = how.checkpoint_bytes;
  o.checkpoint_bytes_in_memory = volatile_share(groups);
  return o;
}

protocol::partition::core_options component_options_of(const contract& how) {
  protocol::partition::core_options o;
  static_cast<protocol::view_options&>(o) = rules_of(how);
  o.checkpoint_bytes = how.checkpoint_bytes;
  o.merge = how.merge;
  o.part_bytes = part_bytes_of(how);
  return o;
}

std::size_t part_bytes_of(const contract& how) {
  // Several parts fit the share of the window that large messages may take.
  return std::clamp<std::size_t>(how.lane_window / 32, 16u << 10, 256u << 10);
}

contract under_rules(contract how, const protocol::view_options& rules) {
  // What says the same in other words (reads = "local", min_voters = 0) stays as it was written.
  const auto before = rules_of(how);
  how.orders = rules.orders;
  how.default_order = rules.default_order;
  how.durability = rules.durable ? durability::journaled : durability::in_memory;
  if (rules.reads != before.reads)
    how.reads = rules.reads == protocol::read_mode::lease ? reads::lease : reads::linearizable;
  how.slow = slow_of(rules.slow);
  how.minority_multicast = rules.minority_multicast;
  how.shrink = rules.shrink;
  if (rules.min_voters != before.min_voters) how.min_voters = rules.min_voters;
  how.min_copies = rules.min_copies;
  how.heartbeat = ms(rules.heartbeat);
  how.election_min = ms(rules.election_min);
  how.fail_after = ms(rules.fail_after);
  how.suspect_at = rules.suspect_at;
  how.lease = ms(rules.lease);
  how.clock_rate_ppm = rules.clock_rate_ppm;
  how.clock_margin = ms(rules.clock_margin);
  how.message_bytes_max = rules.message_bytes_max;
  how.lane_window = rules.lane_window;
  const bool retains = rules.retain_bytes > 0 || rules.retain_time.count() > 0;
  if (retains != (before.retain_bytes > 0 || before.retain_time.count() > 0))
    how.reliability = retains ? reliability::all_members : reliability::present;
  if (rules.retain_bytes != before.retain_bytes) how.retain_bytes = rules.retain_bytes;
  if (rules.retain_time != before.retain_time) how.retain_time = ms(rules.retain_time);
  return how;
}

}  // namespace cohort::detail
