#include "framework/simulation/check/linearizable.hpp"

#include "framework/simulation/random.hpp"

#include <algorithm>
#include <map>
#include <unordered_set>

namespace cohort::sim {

namespace {

/// Depth-first over which operation comes next. An operation may be next if no other one that is left returned before
/// it was called.
class search {
public:
  search(std::vector<operation> ops, std::uint64_t& steps) : ops_(std::move(ops)), steps_(steps) {
    std::ranges::sort(ops_, {}, &operation::called);
    done_.assign(ops_.size(), false);
    for (const auto& o : ops_) required_ += o.result == operation::outcome::done ? 1 : 0;
  }

  linearizability run() { return go(0, 0, 0); }
  std::size_t furthest() const { return furthest_; }
  const std::vector<operation>& ops() const { return ops_; }

private:
  linearizability go(std::size_t first, std::size_t taken, std::uint64_t value) {
    if (taken == required_) return linearizability::holds;
    if (steps_ == 0) return linearizability::unknown;
    --steps_;
    furthest_ = std::max(furthest_, taken);
    while (first < ops_.size() && done_[first]) ++first;
    // What was tried from the same set of operations done and the same value fails again.
    std::uint64_t set = mix(value, first);
    std::size_t scanned = first;
    protocol::instant earliest_return = protocol::never;
    std::vector<std::size_t> candidates;
    for (; scanned < ops_.size(); ++scanned) {
      const auto& o = ops_[scanned];
      if (o.called > earliest_return) break;
      if (done_[scanned]) {
        set = mix(set, scanned);
        continue;
      }
      candidates.push_back(scanned);
      if (o.result == operation::outcome::done) earliest_return = std::min(earliest_return, o.returned);
    }
    for (std::size_t i = scanned; i < ops_.size(); ++i)
      if (done_[i]) set = mix(set, i);
    if (!tried_.insert(set).second) return linearizability::violated;
    // What must happen soonest is most likely next.
    std::ranges::sort(candidates, {}, [&](std::size_t i) { return std::pair(ops_[i].returned, i); });
    for (const auto i : candidates) {
      const auto& o = ops_[i];
      if (o.called > earliest_return) continue;
      const bool known = o.result == operation::outcome::done;
      std::uint64_t next = value;
      if (o.what == operation::kind::read) {
        if (o.read != value) continue;
      } else {
        if (o.what == operation::kind::swap && known && o.read != value) continue;
        next = o.value;
      }
      done_[i] = true;
      const auto result = go(first, taken + (known ? 1 : 0), next);
      done_[i] = false;
      if (result != linearizability::violated) return result;
    }
    return linearizability::violated;
  }

  std::vector<operation> ops_;
  std::uint64_t& steps_;
  std::vector<bool> done_;
  std::size_t required_ = 0, furthest_ = 0;
  std::unordered_set<std::uint64_t> tried_;
};

}  // namespace

linearizability_verdict check_linearizable(const std::vector<operation>& history, std::uint64_t steps) {
  std::map<unsigned, std::vector<operation>> keys;
  for (const auto& o : history) {
    if (o.what == operation::kind::other || o.what == operation::kind::request) continue;
    const bool effect = o.result == operation::outcome::done ||
                        (o.result == operation::outcome::open && o.what != operation::kind::read);
    if (effect) keys[o.key].push_back(o);
  }
  linearizability_verdict verdict;
  for (auto& [key, ops] : keys) {
    // Open operations that nobody saw have not happened for anybody.
    std::unordered_set<std::uint64_t> seen;
    for (const auto& o : ops)
      if (o.result == operation::outcome::done && o.what != operation::kind::write) seen.insert(o.read);
    std::erase_if(ops, [&](const operation& o) { return o.result == operation::outcome::open && !seen.contains(o.value); });
    auto left = steps;
    search s(std::move(ops), left);
    const auto result = s.run();
    if (result == linearizability::violated) {
      verdict.result = result;
      verdict.why = "the history of key " + std::to_string(key) + " has no order: after " + std::to_string(s.furthest()) +
                    " operations none can be next";
      return verdict;
    }
    if (result == linearizability::unknown) verdict.result = result;
  }
  return verdict;
}

}  // namespace cohort::sim
