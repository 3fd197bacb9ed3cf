#include "framework/contract/fields.hpp"

#include <cohort/contract_check.hpp>

namespace cohort {
namespace contracts {
namespace {

/// Why no view can change it, in words that follow a colon.
const char* why_fixed(std::string_view field) {
  struct reason {
    std::string_view field;
    const char* why;
  };
  static constexpr reason reasons[] = {
    {"model", "each failure model has a way of its own to agree; found another group and hand the state over"},
    {"partitions", "one log and a history for each component do not turn into one another; found another group beside this one, "
                   "hand the state over, and leave this one"},
    {"one_history", "one log and a history for each component do not turn into one another; found another group beside this one, "
                    "hand the state over, and leave this one"},
    {"merge", "members must have the same when they meet again; stop all and start them with the other one"},
    {"witnesses", "who keeps no payload was settled when the group was founded, and a witness has none to begin with"},
    {"replication", "the replicas that run were made for it"},
    {"deterministic", "the replicas that run were made for it"},
    {"compare_every", "replicas compare at the same positions; stop all and start them with the other one"},
    {"on_divergence", "the replicas that run were made for it"},
    {"sessions", "the replicas that run were made for it"},
    {"calls", "the replicas that run were made for it"},
  };
  for (const auto& r : reasons)
    if (r.field == field) return r.why;
  return "it was settled when the group was founded; stop all and start them with the other one";
}

}  // namespace
}  // namespace contracts

namespace contracts {

std::string written(bool value) { return value ? "true" : "false"; }
std::string written(unsigned value) { return std::to_string(value); }
std::string written(std::uint64_t bytes) { return '"' + bytes_text(bytes) + '"'; }
std::string written(std::chrono::milliseconds value) { return '"' + time_text(value) + '"'; }

std::string written(order_set value) {
  std::string all;
  for (std::size_t i = 0; i < order_count; ++i)
    if (value.has(static_cast<order>(i))) all += (all.empty() ? "" : ", ") + written(static_cast<order>(i));
  return '[' + all + ']';
}

std::string bytes_text(std::uint64_t bytes) {
  static constexpr std::pair<unsigned, const char*> units[] = {{30, " GiB"}, {20, " MiB"}, {10, " KiB"}};
  for (const auto& [shift, name] : units)
    if (bytes != 0 && bytes % (std::uint64_t{1} << shift) == 0) return std::to_string(bytes >> shift) + name;
  return std::to_string(bytes) + " B";
}

std::string time_text(std::chrono::milliseconds value) {
  const auto ms = value.count();
  if (ms != 0 && ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + " h";
  if (ms >= 10'000 && ms % 1000 == 0) return std::to_string(ms / 1000) + " s";
  return std::to_string(ms) + " ms";
}

unsigned distance(const contract& a, const contract& b) {
  unsigned sum = 0;
  for_each_field([&](const auto& f) { sum += a.*f.member == b.*f.member ? 0 : f.weight; });
  return sum;
}

}  // namespace contracts

std::string difference(const contract& from, const contract& to) {
  std::string all;
  contracts::for_each_field([&](const auto& f) {
    if (from.*f.member == to.*f.member) return;
    all += (all.empty() ? "" : ", ") + (f.name + (" = " + contracts::written(to.*f.member)));
  });
  return all;
}

namespace {

std::string text_of(const contract& what, contracts::scope shared) {
  std::string all;
  contracts::for_each_field([&](const auto& f) {
    if (f.shared != shared) return;
    // Members may differ in how fresh they want their answers; only leases concern the others (E5).
    if constexpr (std::is_same_v<std::decay_t<decltype(what.*f.member)>, reads>)
      all += what.reads == reads::lease ? "lease reads\n" : "";
    else
      all += f.name + (" = " + contracts::written(what.*f.member)) + '\n';
  });
  return all;
}

}  // namespace

std::string agreed_text(const contract& what) {
  auto all = text_of(what, contracts::scope::agreed);
  // Such a group neither goes over to its disks nor leaves them (X3).
  if (what.partitions == partition_policy::partitionable) all += std::string("durability = ") + to_string(what.durability) + '\n';
  return all;
}

std::string founding_text(const contract& what) { return text_of(what, contracts::scope::live); }

std::string fixed_because(const contract& from, const contract& to) {
  std::string all;
  contracts::for_each_field([&](const auto& f) {
    if (f.shared == contracts::scope::live || from.*f.member == to.*f.member) return;
    all += (all.empty() ? "" : "; ") + std::string(f.name) + ": " +
           (f.shared == contracts::scope::local ? "it is each node's own, from its configuration, when it starts" : contracts::why_fixed(f.name));
  });
  return all;
}

}  // namespace cohort
