#include "framework/contract/fields.hpp"

#include <cohort/contract_check.hpp>

namespace cohort {
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

std::string agreed_text(const contract& what) {
  std::string all;
  contracts::for_each_field([&](const auto& f) {
    if (f.shared == contracts::scope::local) return;
    // Members may differ in how fresh they want their answers; only leases concern the others (E5).
    if constexpr (std::is_same_v<std::decay_t<decltype(what.*f.member)>, reads>)
      all += what.reads == reads::lease ? "lease reads\n" : "";
    else
      all += f.name + (" = " + contracts::written(what.*f.member)) + '\n';
  });
  return all;
}

}  // namespace cohort
