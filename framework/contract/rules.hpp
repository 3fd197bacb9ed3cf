#pragma once

#include "framework/contract/fields.hpp"
#include "framework/contract/quorums.hpp"

#include <cohort/contract_check.hpp>

#include <span>
#include <string>
#include <vector>

namespace cohort::contracts {

/// What a rule sees.
struct situation {
  const contract& c;
  const roster_facts& roster;
  const node_facts& node;
  quorums q;

  bool has(order o) const { return c.orders.has(o); }
  bool is(failure_model m) const { return c.model == m; }
  bool is_partitionable() const { return c.partitions == partition_policy::partitionable; }
  bool is_volatile() const { return c.durability == durability::in_memory; }
  unsigned n() const { return roster.members; }
};

/// What a rule says: a finding, and contracts in which it would have nothing to say, one for each field at fault.
struct objection {
  const char* rule = "";
  cohort::severity severity{};
  std::string message;
  std::string reason;
  std::vector<const char*> fields;
  std::vector<contract> remedies;
};

/// Collects objections under the number of the rule that speaks.
class ruling {
public:
  void speaks(const char* rule) { rule_ = rule; }
  void reject(std::string message, std::string reason, std::vector<const char*> fields, std::vector<contract> remedies) {
    said_.push_back({rule_, severity::reject, std::move(message), std::move(reason), std::move(fields), std::move(remedies)});
  }
  void warn(std::string message, std::string reason, std::vector<const char*> fields) {
    said_.push_back({rule_, severity::warn, std::move(message), std::move(reason), std::move(fields), {}});
  }
  const std::vector<objection>& said() const { return said_; }
  std::vector<objection> take() { return std::move(said_); }

private:
  const char* rule_ = "";
  std::vector<objection> said_;
};

using rule_check = void (*)(const situation&, ruling&);

struct rule {
  const char* number;
  rule_check check;  ///< null: not about one contract, see `change` and `composition`
  const char* text;
};

/// The table, in the order in which findings are told: what decides most comes first.
std::span<const rule> rules();

/// All objections of the table.
std::vector<objection> objections(const contract& c, const roster_facts& roster, const node_facts& node);

/// `c` with `o` enabled, or not; the default order follows where it has to.
contract enabling(const contract& c, order o);
contract disabling(const contract& c, order o);

/// The bound on the leader's lease (R2): E_min (1 - rho) - eps.
std::chrono::microseconds lease_limit(const contract& c);
/// The shortest lease of a fail-stop member (FS2): longer than a renewal and the reaction together.
std::chrono::milliseconds fail_stop_lease_min(const contract& c, const node_facts& node);

// rules_orders.cpp
void orders_are_named(const situation&, ruling&);               // D6
void reads_need_an_order(const situation&, ruling&);            // R1
void minority_multicast_is_unsafe(const situation&, ruling&);   // G1
void atomicity_needs_views(const situation&, ruling&);          // G10
void replication_needs_total(const situation&, ruling&);        // G11
void causality_needs_dependencies(const situation&, ruling&);   // G18
// rules_models.cpp
void fail_stop_needs_leases(const situation&, ruling&);         // G3
void fail_stop_needs_bounds(const situation&, ruling&);         // G4
void byzantine_needs_signatures(const situation&, ruling&);     // G6
void links_carry_trust(const situation&, ruling&);              // G19
void components_are_crash_groups(const situation&, ruling&);    // P2
void partitions_have_no_one_history(const situation&, ruling&); // G9
// rules_members.cpp
void roster_has_a_size(const situation&, ruling&);              // V19
void failures_fit_the_roster(const situation&, ruling&);        // D7
void group_is_large_enough(const situation&, ruling&);          // G2
void witnesses_are_voters(const situation&, ruling&);           // G5
void members_policy_fits(const situation&, ruling&);            // G17
// rules_time.cpp
void deadlines_need_a_clock(const situation&, ruling&);         // G7
void timing_needs_a_bound(const situation&, ruling&);           // TM1
void deadline_can_be_met(const situation&, ruling&);            // TM5
void only_unordered_may_be_lost(const situation&, ruling&);     // DL2
void deadlines_decide_in_total_order(const situation&, ruling&);// DL3
void leases_need_clock_rates(const situation&, ruling&);        // G8
void elections_outlast_heartbeats(const situation&, ruling&);   // E7
void exclusion_outlasts_elections(const situation&, ruling&);   // PA20
// rules_state.cpp
void actions_need_what_lasts(const situation&, ruling&);        // G12
void promises_need_storage(const situation&, ruling&);          // G13
void retention_has_room(const situation&, ruling&);             // G14
void replicas_are_deterministic(const situation&, ruling&);     // G15
// rules_limits.cpp
void values_are_in_range(const situation&, ruling&);            // D5

}  // namespace cohort::contracts
