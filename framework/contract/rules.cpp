#include "framework/contract/rules.hpp"

namespace cohort {
namespace contracts {
namespace {

constexpr rule table[] = {
    {"V19", roster_has_a_size, "a group has 1 to 64 members"},
    {"D5", values_are_in_range, "every value is within its range"},
    {"D6", orders_are_named, "at least one order is enabled, and the default order is one of them"},
    {"G3", fail_stop_needs_leases,
     "fail-stop needs a lease authority outside the members, a known bound on clock rates, and leases longer than a "
     "renewal and the reaction to their end"},
    {"G4", fail_stop_needs_bounds,
     "fail-stop needs nodes that stall for a bounded time only, and a watchdog that aborts those which do not"},
    {"G6", byzantine_needs_signatures,
     "a Byzantine group needs n >= 3f + 1, a key for each member and a journal; it has neither lease reads nor atomic "
     "unordered messages"},
    {"G19", links_carry_trust,
     "a Byzantine group needs authenticated links; warns: another group whose nodes are run by parties that need not "
     "trust one another"},
    {"P2", components_are_crash_groups,
     "a partitionable group tolerates crashes: each of its components decides alone"},
    {"G9", partitions_have_no_one_history,
     "a partitionable group has no single history: no total order that claims one, no replicated state without a merge "
     "policy, no lease reads, no participants of actions"},
    {"D7", failures_fit_the_roster, "no more failures are to be tolerated than the members allow"},
    {"G2", group_is_large_enough,
     "safe and total orders need three members, or `single`; warns: an even number of members"},
    {"G5", witnesses_are_voters,
     "witnesses need a journaled primary group, and are fewer than a quorum; never with Byzantine members"},
    {"G17", members_policy_fits,
     "no more copies than members with payload, no more voters than members; no `shrink` where an authority or "
     "certificates decide"},
    {"R1", reads_need_an_order, "linearizable and lease reads need the total order"},
    {"G11", replication_needs_total,
     "a replicated object needs the total order, also as the default, and sessions need it; warns: total order that "
     "nothing uses"},
    {"G15", replicas_are_deterministic,
     "active replication needs deterministic handlers; others are replicated by primary and backups. States that differ stop nobody where they are not compared"},
    {"G12", actions_need_what_lasts,
     "a participant of atomic actions needs the total order and a journal, or a fail-stop group of two and more that "
     "says `volatile_participant`"},
    {"G13", promises_need_storage,
     "a journaled group needs stable storage, and a volatile one founders that cannot found it twice; warns: a disk "
     "that is not flushed"},
    {"G14", retention_has_room,
     "messages for members that are away need room and time to be kept; warns: less than comes between two "
     "checkpoints"},
    {"G18", causality_needs_dependencies,
     "causal orders need dependencies, and so does a total order that follows fifo messages"},
    {"G10", atomicity_needs_views,
     "all or none of an unordered message needs virtual synchrony; warns: so do fifo and causal ones when their sender "
     "fails"},
    {"G1", minority_multicast_is_unsafe, "a minority delivers no safe and no total messages"},
    {"G7", deadlines_need_a_clock,
     "deadlines of total messages, and the timing model, need a clock that yields intervals; warns: intervals wider "
     "than a quarter of the deadline"},
    {"TM1", timing_needs_a_bound, "the timing model needs a declared bound on delays"},
    {"TM5", deadline_can_be_met, "a deadline is not shorter than delivery takes"},
    {"DL2", only_unordered_may_be_lost,
     "only unordered messages with a deadline, neither atomic nor virtually synchronous, may be dropped for being "
     "late"},
    {"DL3", deadlines_decide_in_total_order, "warns: without total order each receiver judges a deadline by itself"},
    {"G8", leases_need_clock_rates,
     "lease reads need bounds on clock rates and margins, a lease below E_min (1 - rho) - eps, and a primary group "
     "without Byzantine members"},
    {"E7", elections_outlast_heartbeats, "an election waits for at least 4 heartbeats"},
    {"PA20", exclusion_outlasts_elections, "a member is excluded after no less than 2 election_min"},
    {"G16", nullptr,
     "a live group changes to a legal contract only, by a transition that exists, and to a weaker one only if that is "
     "said"},
    {"G20", nullptr, "a group that depends on others promises no more than the weakest of them"},
};

}  // namespace

std::span<const rule> rules() { return table; }

std::vector<objection> objections(const contract& c, const roster_facts& roster, const node_facts& node) {
  const situation s{c, roster, node, quorums_of(c, roster.members)};
  ruling r;
  for (const auto& each : table) {
    if (!each.check) continue;
    r.speaks(each.number);
    each.check(s, r);
  }
  return r.take();
}

}  // namespace contracts

std::vector<rule_text> rule_table() {
  std::vector<rule_text> all;
  for (const auto& each : contracts::rules()) all.push_back({each.number, each.text});
  return all;
}

}  // namespace cohort
