// Failure models and partitions (sections 12, 14, 15).
#include "framework/contract/rules.hpp"

namespace cohort::contracts {
namespace {

contract for_crashes(const contract& c) { return c.with(&contract::model, failure_model::crash); }
contract primary(const contract& c) { return c.with(&contract::partitions, partition_policy::primary); }

}  // namespace

std::chrono::milliseconds fail_stop_lease_min(const contract& c, const node_facts& node) {
  // FS2: t + sigma < start + L (1 - rho), with a renewal a heartbeat.
  const auto needed = (node.reaction_bound + c.heartbeat).count() * 1'000'000;
  const auto rate = 1'000'000 - static_cast<std::int64_t>(std::min(c.clock_rate_ppm, 500'000u));
  return std::chrono::milliseconds(needed / rate + 1);
}

void fail_stop_needs_leases(const situation& s, ruling& r) {
  if (!s.is(failure_model::fail_stop)) return;
  if (!s.roster.lease_authority)
    r.reject("a fail-stop group without a lease authority outside its members",
             "a silent member may be slow, cut off or dead; only leases that somebody outside has stopped renewing "
             "tell (FS1)",
             {"model"}, {for_crashes(s.c)});
  if (s.c.clock_rate_ppm == 0)
    r.reject("fail-stop leases without a bound on clock rates (clock_rate_ppm = 0)",
             "two nodes agree on a lease's end only if their clocks run at known rates (FS-A)",
             {"clock_rate_ppm", "model"}, {s.c.with(&contract::clock_rate_ppm, 200u), for_crashes(s.c)});
  const auto least = fail_stop_lease_min(s.c, s.node);
  if (s.c.lease.count() > 0 && s.c.lease < least)
    r.reject("a lease of " + time_text(s.c.lease) + " is not longer than a heartbeat of " + time_text(s.c.heartbeat) +
                 " and the reaction of " + time_text(s.node.reaction_bound),
             "it would end before it can be renewed, or before its holder has noticed the end (FS2)",
             {"lease", "model"},
             {s.c.with(&contract::lease, std::chrono::milliseconds(0)), s.c.with(&contract::lease, least),
              for_crashes(s.c)});
}

void fail_stop_needs_bounds(const situation& s, ruling& r) {
  if (!s.is(failure_model::fail_stop) || (!s.node.untimed_network && s.node.watchdog)) return;
  r.reject(s.node.untimed_network ? "a fail-stop group on nodes whose pauses have no bound"
                                  : "a fail-stop group on nodes without a watchdog",
           "a process that stalls and goes on after its lease would act beside its successors (FS-A)", {"model"},
           {for_crashes(s.c)});
}

void byzantine_needs_signatures(const situation& s, ruling& r) {
  if (!s.is(failure_model::byzantine)) return;
  const auto& c = s.c;
  const unsigned f = std::max(1u, c.failures_tolerated);
  if (s.n() < 3 * f + 1) {
    std::vector<contract> remedies{for_crashes(c)};
    if (s.n() >= 4) remedies.push_back(c.with(&contract::failures_tolerated, (s.n() - 1) / 3));
    r.reject(
        std::to_string(s.n()) + " members cannot tolerate " + std::to_string(f) + " that lie",
        "n >= 3f + 1 is needed, here " + std::to_string(3 * f + 1) + ": else two quorums may share no honest member",
        {"failures_tolerated", "model"}, std::move(remedies));
  }
  if (!s.roster.member_keys)
    r.reject("a Byzantine group whose members have no keys", "what is not signed may have been said by anybody (B1)",
             {"model"}, {for_crashes(c)});
  if (s.is_volatile())
    r.reject("a Byzantine group that is volatile",
             "a member must remember over a restart what it signed, or it signs twice (B2)", {"durability", "model"},
             {c.with(durability::journaled), for_crashes(c)});
  if (s.has(order::unordered) && c.atomic) {
    std::vector<contract> remedies{c.with(&contract::atomic, false), for_crashes(c)};
    if (auto less = disabling(c, order::unordered); !less.orders.empty()) remedies.push_back(less);
    r.reject("atomic unordered messages in a Byzantine group",
             "without a certified position a liar sends each member another message, and nobody can tell",
             {"atomic", "orders", "model"}, std::move(remedies));
  }
  if (c.reads == reads::lease)
    r.reject("lease reads in a Byzantine group", "one leader's word is not believed", {"reads", "model"},
             {c.with(reads::linearizable), for_crashes(c)});
}

void links_carry_trust(const situation& s, ruling& r) {
  if (s.is(failure_model::byzantine) && s.c.links == link_security::open)
    r.reject("a Byzantine group over links that are not authenticated",
             "whoever reaches a port could speak for a member (M3)", {"links", "model"},
             {s.c.with(link_security::authenticated), for_crashes(s.c)});
  if (!s.is(failure_model::byzantine) && s.c.trust_domains > 1)
    r.warn(std::string("a ") + to_string(s.c.model) + " group that spans " + std::to_string(s.c.trust_domains) +
               " trust domains",
           "one party's node that lies breaks it for all; only the Byzantine model tolerates that",
           {"trust_domains", "model"});
}

void components_are_crash_groups(const situation& s, ruling& r) {
  if (!s.is_partitionable() || (!s.is(failure_model::fail_stop) && !s.is(failure_model::byzantine))) return;
  r.reject(std::string("a partitionable group in the ") + to_string(s.c.model) + " model",
           s.is(failure_model::fail_stop)
               ? "its authority lets one side go on; a partitionable group lets every side go on"
               : "a component of few members may be made of liars only",
           {"partitions", "model"}, {primary(s.c), for_crashes(s.c)});
}

void partitions_have_no_one_history(const situation& s, ruling& r) {
  if (!s.is_partitionable()) return;
  const auto& c = s.c;
  if (s.has(order::total) && c.one_history)
    r.reject("a partitionable group whose total order claims one_history",
             "each component goes on with an order of its own, and two orders are not one",
             {"one_history", "partitions"}, {c.with(&contract::one_history, false), primary(c)});
  if (c.replication != replication::none && c.merge == merge_policy::none)
    r.reject("a replicated state in a partitionable group without a merge policy",
             "after a partition there are as many states as there were components (P7)",
             {"merge", "partitions", "replication"},
             {c.with(&contract::merge, merge_policy::application), primary(c), c.with(replication::none)});
  if (c.reads == reads::lease)
    r.reject("lease reads in a partitionable group", "there is no leader whose lease binds the other components (P2)",
             {"reads", "partitions"}, {c.with(reads::linearizable), primary(c)});
  if (c.action_participant)
    r.reject("a participant of atomic actions in a partitionable group",
             "two components could decide differently about one action", {"action_participant", "partitions"},
             {primary(c), c.with(&contract::action_participant, false)});
}

}  // namespace cohort::contracts
