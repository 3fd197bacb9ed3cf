#pragma once

#include <cohort/contract.hpp>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cohort {

/// What is known of a group's members when its contract is checked.
struct roster_facts {
  unsigned members = 3;             ///< n: voters, witnesses among them; 1 to 64
  unsigned inactive = 0;            ///< voters that are away; matters for changes of a live group
  bool lease_authority = false;     ///< a lease authority outside the members exists (rule FS1)
  bool member_keys = false;         ///< every member has a signing key which all others know
  bool founding_guarded = true;     ///< no restarted founder can found the group again (rule V19)
  bool primary_component = true;    ///< this component descends from the last primary view (rule P9)
  bool operator_key = false;        ///< an operator co-signs changes that give up signatures (rule X7)
};

/// What is known of the nodes that host them.
struct node_facts {
  bool stable_storage = true;             ///< a data directory
  bool flushes = true;                    ///< the disk is flushed before anything is acknowledged
  bool interval_clock = false;            ///< the clock yields intervals that contain the time (rule CK1)
  std::chrono::microseconds clock_error{0};  ///< largest half-width of such an interval; 0: not known
  bool untimed_network = false;           ///< pauses and links of these nodes have no bound
  bool watchdog = false;                  ///< a process that stalls is aborted within `reaction_bound` (rule FS2)
  std::chrono::milliseconds reaction_bound{0};  ///< sigma: from reading the clock to the output's leaving
};

enum class severity : std::uint8_t {
  reject,  ///< the group is not started, the change is refused
  warn,    ///< legal, and probably not what is wanted
};

/// One thing that is wrong with a contract.
struct finding {
  std::string rule;                  ///< its number, for instance "G8"
  cohort::severity severity{};
  std::string message;               ///< what contradicts what, with the values
  std::string reason;                ///< why that cannot be promised
  std::vector<std::string> fields;   ///< the fields at fault, the decisive one first
  /// For a reject: the legal contract which differs least from the one checked; none if no contract is legal there.
  std::optional<contract> nearest;
};

/// All findings, in the order of the table of rules. Pure; any thread.
std::vector<finding> check(const contract& what, const roster_facts& members = {}, const node_facts& nodes = {});

/// True if none of them is a reject.
bool legal(std::span<const finding> findings);

/// The legal contract which differs least from `what`, `what` itself if it is legal; none if there is none.
std::optional<contract> nearest_legal(const contract& what, const roster_facts& members = {}, const node_facts& nodes = {});

/// What a legal contract asks for and this version of Cohort does not build yet: one sentence a feature, each with the
/// field that asks for it. A node refuses such a contract; nothing of it is silently left out.
struct missing_feature {
  std::string field;
  std::string what;
};
std::vector<missing_feature> not_built(const contract& what);

/// The findings of changing a live group's contract (rule G16): the target's own against the current roster, changes of
/// model without a transition (rules X3 to X8), and every promise that would become weaker: those are rejected unless
/// `weaker_accepted`. A reject's nearest contract is a target that would be accepted.
std::vector<finding> check_change(const contract& from, const contract& to, const roster_facts& members = {},
                                  const node_facts& nodes = {}, bool weaker_accepted = false);

/// The promises that `to` gives up or lowers, each in words; empty if it is at least as strong.
std::vector<std::string> weaker_promises(const contract& from, const contract& to);

/// A group in a chain of calls or actions.
struct composed_group {
  std::string name;
  contract how;
  roster_facts members;
};

/// What a chain of groups promises together (rule G20).
struct composition {
  failure_model model{};             ///< the weakest
  unsigned failures_tolerated = 0;   ///< the least of any group
  cohort::durability durability{};
  cohort::reads reads{};
  std::string chain;                 ///< "orders (byzantine, f=1) -> stock (crash, f=1)"
  std::vector<finding> findings;     ///< G20: the first group promises more than what it depends on
};

/// `groups`: the one that calls first, then all it depends on; at least one.
composition compose(std::span<const composed_group> groups);

/// Bounds that follow from the timers. Messages' delays (of which there are `round_trips` round trips) and disk flushes come on
/// top; they hold while the network delivers and no two candidates split the votes.
struct time_bounds {
  std::chrono::milliseconds leader_detected;   ///< from a leader's last sign of life to a candidate
  std::chrono::milliseconds failover;          ///< ... to the new leader's first commit
  std::chrono::milliseconds member_detected;   ///< from a member's last sign of life to the start of a view change
  std::chrono::milliseconds member_excluded;   ///< ... to the view without it
};
time_bounds bounds_of(const contract& what);
/// One line of them, for logs.
std::string describe(const time_bounds& bounds);

/// The whole contract in words, for people: per order messages, message delays and flushes; quorums and the stability
/// threshold; what it survives and what not; bounds on detection and failover; costs of reads; memory. With the rules' numbers.
std::string explain(const contract& what, const roster_facts& members = {}, const node_facts& nodes = {});

/// What two contracts differ in, in the form of a configuration file: `reads = "linearizable", election_min = "400 ms"`,
/// with the values of `to`. Empty if in nothing.
std::string difference(const contract& from, const contract& to);

/// What all members must have in common, as one text: members whose texts differ cannot be in one group.
std::string agreed_text(const contract& what);
/// What those must have in common, too, who found the group. Later it is in the group's log, which may change it (X1), and which
/// holds, whatever a member's configuration says.
std::string founding_text(const contract& what);
/// The fields in which two contracts differ although a group that runs cannot change them, each with the reason; empty: there
/// are none.
std::string fixed_because(const contract& from, const contract& to);

/// One row of the table of rules.
struct rule_text {
  const char* number;
  const char* text;  ///< what is refused; what begins with "warns:" is only told
};
std::vector<rule_text> rule_table();

}  // namespace cohort
