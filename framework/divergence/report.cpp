#include <cohort/divergence.hpp>

namespace cohort {

std::string describe(const divergence_report& r) {
  std::string names;
  for (const auto& name : r.odd) names += (names.empty() ? "" : ", ") + name;
  const auto behind = " behind position " + std::to_string(r.position);
  switch (r.what) {
    case divergence_verdict::agreed: return "all members have the same state again" + behind;
    case divergence_verdict::differs:
      return "states differ" + behind + ": " + names + (r.odd.size() == 1 ? " has" : " have") + " another one than the majority" +
             (r.here ? "; this node is among them" : "");
    case divergence_verdict::undecided:
      return "states differ" + behind + ", and no majority has the same: " + names;
  }
  return "?";
}

}  // namespace cohort
