#pragma once

#include <cohort/contract.hpp>

#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace cohort::contracts {

/// Whether members must have a field in common.
enum class scope : std::uint8_t {
  agreed,  ///< always
  live,    ///< when they found the group; from then on views carry it, and may change it (X1)
  local,   ///< never
};

/// One field of `contract`. `weight` says how much a change of it alters what was asked for; the nearest contract is
/// the one whose changed fields weigh least.
template <class T>
struct field {
  const char* name;
  T contract::* member;
  unsigned weight;
  scope shared = scope::agreed;
};
template <class T>
field(const char*, T contract::*, unsigned) -> field<T>;
template <class T>
field(const char*, T contract::*, unsigned, scope) -> field<T>;

/// All fields, in the order in which they are declared.
inline constexpr auto fields = std::tuple{
  field{"orders", &contract::orders, 6, scope::live},
  field{"default_order", &contract::default_order, 4, scope::live},
  field{"causal_dependencies", &contract::causal_dependencies, 2},
  field{"causal_total", &contract::causal_total, 3},
  field{"atomic", &contract::atomic, 4},
  field{"virtual_synchrony", &contract::virtual_synchrony, 4},
  field{"durability", &contract::durability, 5, scope::live},
  field{"replication", &contract::replication, 10},
  field{"deterministic", &contract::deterministic, 12},
  field{"compare_every", &contract::compare_every, 1},
  field{"on_divergence", &contract::on_divergence, 2},
  field{"sessions", &contract::sessions, 4},
  field{"calls", &contract::calls, 4},
  field{"action_participant", &contract::action_participant, 5},
  field{"volatile_participant", &contract::volatile_participant, 2},
  field{"reads", &contract::reads, 3, scope::live},
  field{"deadline", &contract::deadline, 3},
  field{"lossy", &contract::lossy, 3},
  field{"model", &contract::model, 8},
  field{"failures_tolerated", &contract::failures_tolerated, 3},
  field{"single", &contract::single, 3},
  field{"partitions", &contract::partitions, 7},
  field{"minority_multicast", &contract::minority_multicast, 3, scope::live},
  field{"one_history", &contract::one_history, 4},
  field{"merge", &contract::merge, 3},
  field{"links", &contract::links, 3},
  field{"trust_domains", &contract::trust_domains, 12},
  field{"witnesses", &contract::witnesses, 4},
  field{"min_copies", &contract::min_copies, 3, scope::live},
  field{"shrink", &contract::shrink, 3, scope::live},
  field{"min_voters", &contract::min_voters, 2, scope::live},
  field{"slow", &contract::slow, 3, scope::live},
  field{"reliability", &contract::reliability, 4, scope::live},
  field{"retain_bytes", &contract::retain_bytes, 1, scope::live},
  field{"retain_time", &contract::retain_time, 1, scope::live},
  field{"heartbeat", &contract::heartbeat, 1, scope::live},
  field{"election_min", &contract::election_min, 1, scope::live},
  field{"fail_after", &contract::fail_after, 1, scope::live},
  field{"suspect_at", &contract::suspect_at, 1, scope::live},
  field{"outcome_bound", &contract::outcome_bound, 1, scope::local},
  field{"lease", &contract::lease, 1, scope::live},
  field{"clock_rate_ppm", &contract::clock_rate_ppm, 2, scope::live},
  field{"clock_margin", &contract::clock_margin, 2, scope::live},
  field{"delay_bound", &contract::delay_bound, 2},
  field{"message_bytes_max", &contract::message_bytes_max, 1, scope::live},
  field{"lane_window", &contract::lane_window, 1, scope::live},
  field{"queue_bytes", &contract::queue_bytes, 1, scope::local},
  field{"backlog_bytes", &contract::backlog_bytes, 1, scope::local},
  field{"checkpoint_bytes", &contract::checkpoint_bytes, 1, scope::local},
  field{"rate_bytes_max", &contract::rate_bytes_max, 1},
  field{"rate_messages_max", &contract::rate_messages_max, 1},
};

/// Calls `f(field<T>)` for each.
template <class F>
constexpr void for_each_field(F&& f) {
  std::apply([&](const auto&... each) { (f(each), ...); }, fields);
}

namespace counting {
struct anything {
  template <class T>
  operator T() const;
};
template <class T, class... Parts>
constexpr std::size_t members_of() {
  if constexpr (requires { T{Parts{}..., anything{}}; }) return members_of<T, Parts..., anything>();
  else return sizeof...(Parts);
}
}  // namespace counting
static_assert(counting::members_of<contract>() == std::tuple_size_v<decltype(fields)>,
              "a field of contract is missing in this list: it would not be read, compared or explained");

/// The words of an enumeration, in the order of its values.
template <class E>
inline constexpr std::size_t words_count = 0;
template <> inline constexpr std::size_t words_count<order> = order_count;
template <> inline constexpr std::size_t words_count<durability> = 2;
template <> inline constexpr std::size_t words_count<reads> = 3;
template <> inline constexpr std::size_t words_count<failure_model> = 4;
template <> inline constexpr std::size_t words_count<partition_policy> = 2;
template <> inline constexpr std::size_t words_count<merge_policy> = 4;
template <> inline constexpr std::size_t words_count<slow_member> = 3;
template <> inline constexpr std::size_t words_count<reliability> = 2;
template <> inline constexpr std::size_t words_count<replication> = 3;
template <> inline constexpr std::size_t words_count<divergence_policy> = 2;
template <> inline constexpr std::size_t words_count<link_security> = 2;

template <class E>
std::vector<std::string_view> words() {
  static_assert(words_count<E> > 0);
  std::vector<std::string_view> all;
  for (std::size_t i = 0; i < words_count<E>; ++i) all.emplace_back(to_string(static_cast<E>(i)));
  return all;
}

/// A value as a configuration file has it: `"total"`, `["fifo", "total"]`, `"50 ms"`, `"8 MiB"`, `true`, `3`.
std::string written(bool value);
std::string written(unsigned value);
std::string written(std::uint64_t bytes);
std::string written(std::chrono::milliseconds value);
std::string written(order_set value);
template <class E>
  requires(std::is_enum_v<E>)
std::string written(E value) {
  return '"' + std::string(to_string(value)) + '"';
}

/// Sizes and times without quotes.
std::string bytes_text(std::uint64_t bytes);
std::string time_text(std::chrono::milliseconds value);

/// Sum of the weights of the fields in which the two differ.
unsigned distance(const contract& a, const contract& b);

}  // namespace cohort::contracts
