// A state that differs from the majority's: what follows, and how a restart remembers it.
#include "actors/runtime.hpp"

#include <filesystem>
#include <fstream>

namespace cohort::detail {

/// On the replica's thread.
void runtime::diverged(group_entry& of, const caf::actor& ordering, const divergence_report& what, const std::vector<member_id>& odd) {
  const auto line = "view=" + std::to_string(what.view) + " " + describe(what);
  log_.write(what.what == divergence_verdict::agreed ? log_level::info : log_level::error, "group=" + of.name + " " + line);
  if (what.stopped) {
    if (!of.diverged.exchange(true)) cc::hand_over(ordering, replica_differs{line});
  } else if (what.what != divergence_verdict::undecided) {  // then what was known before still holds
    cc::hand_over(ordering, states_judged{odd, what.here ? line : std::string()});
  }
  if (calls_.diverged) calls_.diverged(what);
}

/// The state is on the disk, too: without a mark a restart would not know that it is wrong.
std::filesystem::path runtime::wrong_state_mark(std::uint32_t group) const {
  return config_.data / "diverged" / ("group-" + std::to_string(group));
}

bool runtime::mark_wrong_state(const group_entry& of, const std::string& why) const {
  std::error_code ignored;
  std::filesystem::create_directories(wrong_state_mark(of.index).parent_path(), ignored);
  std::ofstream mark(wrong_state_mark(of.index));
  mark << why << '\n' << std::flush;
  return mark.good();
}

/// In what the state in the data directory differs; empty if it does not, as far as is known.
std::string runtime::wrong_state(const group_entry& of) const {
  std::ifstream mark(wrong_state_mark(of.index));
  std::string line;
  std::getline(mark, line);
  return line;
}

std::string runtime::how_to_repair(const group_entry& of) const {
  return "cohort group repair " + of.name + " --node " + config_.data.string() + " drops it, and this node is given the others' state";
}

void runtime::state_judged(std::uint32_t group, const std::string& why_odd) {
  auto& g = groups_[group];
  if (why_odd.empty()) {
    std::error_code ignored;
    std::filesystem::remove(wrong_state_mark(g.entry->index), ignored);
    return;
  }
  log_.write(log_level::warn, where(g) + "the state here is given to nobody while another member can give its own; " + how_to_repair(*g.entry));
  if (g.driver->rules().options.durable && !mark_wrong_state(*g.entry, why_odd))
    log_.write(log_level::error, where(g) + "cannot write " + wrong_state_mark(g.entry->index).string() + ": a restart would give this state to others");
}

void runtime::withdrawn(std::uint32_t group, const std::string& why) {
  auto& g = groups_[group];
  g.trouble = why + ". This node serves the group no more; " + how_to_repair(*g.entry);
  if (g.driver->rules().options.durable && !mark_wrong_state(*g.entry, why))
    log_.write(log_level::error, where(g) + "cannot write " + wrong_state_mark(g.entry->index).string() + ": a restart would serve this state again");
  log_.write(log_level::error, where(g) + g.trouble);
  calls_.watch->part_ended(g.entry->name, down_reason::diverged, why);
}

/// Of a group that goes on with what its directory holds, before its replica begins.
void runtime::begin_with_mark(group& g) {
  const auto why = wrong_state(*g.entry);
  if (why.empty()) return;
  if (g.entry->how.on_divergence == divergence_policy::report) {
    g.odd = true;
    return g.driver->states_judged({self_}, why);
  }
  g.entry->left = g.entry->diverged = true;
  g.trouble = why + ". This node does not serve the group; " + how_to_repair(*g.entry);
  log_.write(log_level::error, "group=" + g.entry->name + " " + g.trouble);
}

}  // namespace cohort::detail
