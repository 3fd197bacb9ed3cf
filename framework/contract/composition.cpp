// G20: groups that depend on one another.
#include "framework/contract/rules.hpp"

#include <algorithm>

namespace cohort {
namespace {

unsigned tolerated(const composed_group& g) {
  const auto most = contracts::quorums_of(g.how, g.members.members).tolerated;
  return g.how.failures_tolerated == 0 ? most : std::min(most, g.how.failures_tolerated);
}

std::string named(const composed_group& g) {
  return g.name + " (" + to_string(g.how.model) + ", f=" + std::to_string(tolerated(g)) + ", " +
         to_string(g.how.durability) + ')';
}

}  // namespace

composition compose(std::span<const composed_group> groups) {
  composition all;
  if (groups.empty()) return all;
  const auto& head = groups.front();
  all.model = head.how.model;
  all.failures_tolerated = tolerated(head);
  all.durability = head.how.durability;
  all.reads = head.how.reads;
  for (const auto& g : groups) {
    all.chain += (all.chain.empty() ? "" : " -> ") + named(g);
    all.model = std::min(all.model, g.how.model);
    all.failures_tolerated = std::min(all.failures_tolerated, tolerated(g));
    all.durability = std::max(all.durability, g.how.durability);
    all.reads = std::max(all.reads, g.how.reads);
  }
  for (const auto& g : groups.subspan(1)) {
    if (g.how.model < head.how.model) {
      const auto honest = nearest_legal(head.how.with(&contract::model, all.model), head.members);
      all.findings.push_back({"G20",
                              severity::reject,
                              head.name + " promises the " + to_string(head.how.model) + " model and depends on " +
                                  g.name + ", which is a " + to_string(g.how.model) + " group",
                              "together they tolerate what the weakest does: " + all.chain,
                              {"model"},
                              honest});
    }
    if (g.how.durability > head.how.durability)
      all.findings.push_back({"G20",
                              severity::warn,
                              head.name + " is journaled and depends on " + g.name + ", which is volatile",
                              "what was done there is gone after a restart of all: " + all.chain,
                              {"durability"},
                              {}});
    if (g.how.reads == reads::local && head.how.reads != reads::local)
      all.findings.push_back({"G20",
                              severity::warn,
                              head.name + " promises " + to_string(head.how.reads) + " reads and depends on " + g.name +
                                  ", whose reads are local",
                              "an answer made of both may be stale",
                              {"reads"},
                              {}});
  }
  return all;
}

}  // namespace cohort
