#include "framework/contract/rules.hpp"

#include <algorithm>

namespace cohort {

std::vector<finding> check(const contract& what, const roster_facts& members, const node_facts& nodes) {
  std::vector<finding> all;
  for (auto& o : contracts::objections(what, members, nodes))
    all.push_back(
        {o.rule, o.severity, std::move(o.message), std::move(o.reason), {o.fields.begin(), o.fields.end()}, {}});
  if (legal(all)) return all;
  const auto nearest = nearest_legal(what, members, nodes);
  for (auto& f : all)
    if (f.severity == severity::reject) f.nearest = nearest;
  return all;
}

bool legal(std::span<const finding> findings) {
  return std::none_of(findings.begin(), findings.end(), [](auto& f) { return f.severity == severity::reject; });
}

}  // namespace cohort
