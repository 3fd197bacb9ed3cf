// G16: contracts of living groups (section 16).
#include "framework/contract/rules.hpp"

#include <algorithm>

namespace cohort {
namespace contracts {
namespace {

/// A promise of which a change gives less: its field, and what is lost in words.
struct promise {
  const char* field;
  std::string lost;
};

template <class T>
void compare(std::vector<promise>& all, const contract& from, const contract& to, const char* name, T contract::*field,
             bool weaker, const char* what) {
  if (!weaker) return;
  all.push_back({name, std::string(what) + " (" + written(from.*field) + " -> " + written(to.*field) + ")"});
}

std::vector<promise> lost_promises(const contract& from, const contract& to) {
  std::vector<promise> all;
  const auto gone = static_cast<std::uint8_t>(from.orders.bits() & ~to.orders.bits());
  compare(all, from, to, "orders", &contract::orders, gone != 0, "orders that are in use are no longer enabled");
  compare(all, from, to, "default_order", &contract::default_order, to.default_order < from.default_order,
          "messages that name no order get a weaker one");
  compare(all, from, to, "causal_total", &contract::causal_total, from.causal_total && !to.causal_total,
          "total messages no longer follow fifo ones");
  compare(all, from, to, "atomic", &contract::atomic, from.atomic && !to.atomic, "messages need not reach all or none");
  compare(all, from, to, "virtual_synchrony", &contract::virtual_synchrony,
          from.virtual_synchrony && !to.virtual_synchrony, "views no longer part messages");
  compare(all, from, to, "durability", &contract::durability, to.durability > from.durability,
          "a restart of all ends the group");
  compare(all, from, to, "reads", &contract::reads, to.reads > from.reads,
          to.reads == reads::local ? "reads may be stale" : "reads rely on clock rates");
  compare(all, from, to, "lossy", &contract::lossy, !from.lossy && to.lossy, "late messages may be dropped");
  compare(all, from, to, "model", &contract::model, to.model < from.model,
          "failures that were tolerated no longer are");
  compare(all, from, to, "failures_tolerated", &contract::failures_tolerated,
          to.failures_tolerated < from.failures_tolerated, "fewer failures are tolerated");
  compare(all, from, to, "single", &contract::single, !from.single && to.single, "no failure need be tolerated");
  compare(all, from, to, "partitions", &contract::partitions, to.partitions > from.partitions,
          "both sides of a partition go on, each with a history of its own");
  compare(all, from, to, "one_history", &contract::one_history, from.one_history && !to.one_history,
          "total order is one of several");
  compare(all, from, to, "minority_multicast", &contract::minority_multicast,
          from.minority_multicast && !to.minority_multicast, "a minority stops");
  compare(all, from, to, "links", &contract::links, to.links < from.links, "links are no longer authenticated");
  compare(all, from, to, "min_copies", &contract::min_copies, to.min_copies < from.min_copies,
          "fewer copies are enough to commit");
  compare(all, from, to, "min_voters", &contract::min_voters, to.min_voters < from.min_voters,
          "fewer voters are enough to go on");
  compare(all, from, to, "shrink", &contract::shrink, !from.shrink && to.shrink,
          "fewer voters than founded it may decide");
  compare(all, from, to, "witnesses", &contract::witnesses, to.witnesses > from.witnesses,
          "fewer members hold payload");
  compare(all, from, to, "reliability", &contract::reliability, to.reliability < from.reliability,
          "members that are away miss messages");
  const bool kept = from.reliability == reliability::all_members;
  compare(all, from, to, "retain_bytes", &contract::retain_bytes, kept && to.retain_bytes < from.retain_bytes,
          "less is kept for members that are away");
  compare(all, from, to, "retain_time", &contract::retain_time, kept && to.retain_time < from.retain_time,
          "what members that are away miss is kept for less long");
  compare(all, from, to, "message_bytes_max", &contract::message_bytes_max,
          to.message_bytes_max < from.message_bytes_max, "messages that were accepted become too large");
  return all;
}

/// X3 to X8: the changes that need more than an entry in the log.
class transitions {
public:
  transitions(const contract& from, const contract& to, const roster_facts& roster)
      : from_(from), to_(to), roster_(roster) {}

  std::vector<objection> find() {
    ruling_.speaks("G16");
    model();
    partitions();
    durability();
    return ruling_.take();
  }

private:
  void model() {
    using enum failure_model;
    const auto a = from_.model, b = to_.model;
    if (a == b) return;
    const bool certified = a == byzantine || b == byzantine, leased = a == fail_stop || b == fail_stop;
    if (certified && leased)
      refuse("no transition leads from " + name(a) + " to " + name(b),
             "change to crash first; each step has its own proof", "model");
    if (a == byzantine && !leased && !roster_.operator_key)
      refuse("a Byzantine group gives up its signatures without an operator's",
             "from then on nothing proves what the group decided; whoever answers for it signs that view (X7)",
             "model");
    if (b == byzantine && from_.durability == durability::in_memory)
      refuse("a volatile group becomes Byzantine",
             "the first certificate is on a checkpoint that each member has on disk: journal it first (X6)",
             "durability");
    if (leased && roster_.inactive > 0)
      refuse(std::to_string(roster_.inactive) + " voters are away",
             "there all active members decide, and votes end: bring them back or remove them first (X4, X5)", "model");
  }

  void partitions() {
    if (from_.partitions == partition_policy::partitionable && to_.partitions == partition_policy::primary &&
        !roster_.primary_component)
      refuse("this component does not descend from the last primary view",
             "another one may, and there would be two (X8): merge first", "partitions");
  }

  void durability() {
    if (from_.partitions == partition_policy::partitionable && to_.partitions == from_.partitions && from_.durability != to_.durability)
      refuse("a partitionable group goes over to its disks, or leaves them",
             "each component would do so by itself: found another group beside this one and hand the state over", "durability");
    if (from_.durability == durability::journaled && to_.durability == durability::in_memory && roster_.inactive > 0)
      refuse(std::to_string(roster_.inactive) + " voters are away",
             "in a volatile group a vote ends with the life it was given in: replace or remove them first (X3)",
             "durability");
  }

  static std::string name(failure_model m) { return to_string(m); }
  void refuse(std::string what, std::string why, const char* field) {
    ruling_.reject(std::move(what), std::move(why), {field}, {});
  }

  const contract& from_;
  const contract& to_;
  const roster_facts& roster_;
  ruling ruling_;
};

}  // namespace
}  // namespace contracts

std::vector<std::string> weaker_promises(const contract& from, const contract& to) {
  std::vector<std::string> all;
  for (auto& p : contracts::lost_promises(from, to)) all.push_back(std::move(p.lost));
  return all;
}

std::vector<finding> check_change(const contract& from, const contract& to, const roster_facts& members,
                                  const node_facts& nodes, bool weaker_accepted) {
  // The target must be legal with the members there are now, not only with those that were founded.
  auto all = check(to, members, nodes);
  for (auto& o : contracts::transitions(from, to, members).find())
    all.push_back(
        {o.rule, o.severity, std::move(o.message), std::move(o.reason), {o.fields.begin(), o.fields.end()}, {}});
  for (auto& p : contracts::lost_promises(from, to))
    all.push_back({"G16",
                   weaker_accepted ? severity::warn : severity::reject,
                   "the change weakens a promise: " + p.lost,
                   "whoever relies on it would not notice; a change to less has to be asked for as such",
                   {p.field},
                   {}});
  if (legal(all)) return all;

  // The target that keeps what was promised; if that is refused as well, the group stays as it is.
  contract kept = to;
  for (const auto& o : contracts::transitions(from, to, members).find())
    contracts::for_each_field([&](const auto& f) {
      if (std::string_view(f.name) == o.fields.front()) kept.*f.member = from.*f.member;
    });
  if (!weaker_accepted)
    for (const auto& p : contracts::lost_promises(from, kept))
      contracts::for_each_field([&](const auto& f) {
        if (std::string_view(f.name) == p.field) kept.*f.member = from.*f.member;
      });
  const auto accepted = [&](const contract& c) {
    return legal(check(c, members, nodes)) && contracts::transitions(from, c, members).find().empty() &&
           (weaker_accepted || contracts::lost_promises(from, c).empty());
  };
  std::optional<contract> nearest = nearest_legal(kept, members, nodes);
  if (!nearest || !accepted(*nearest)) nearest = accepted(from) ? std::optional(from) : std::nullopt;
  for (auto& f : all) f.nearest = f.severity == severity::reject ? nearest : std::nullopt;
  return all;
}

}  // namespace cohort
