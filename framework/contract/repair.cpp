#include "framework/contract/rules.hpp"

#include <algorithm>
#include <utility>

namespace cohort {
namespace contracts {
namespace {

struct candidate {
  contract c;
  unsigned distance = 0;
  unsigned age = 0;  ///< the older of two equally near ones first: the same question has the same answer
  bool open = true;
};

/// Contracts that are looked at. Real ones need a handful; what a generator of nonsense makes, a few hundred. When it
/// is used up the first remedy of each rule is taken, whatever it changes.
constexpr std::size_t candidates_max = 1024;
constexpr unsigned steps_max = 64;

const objection* first_reject(const std::vector<objection>& said) {
  const auto found = std::find_if(said.begin(), said.end(), [](auto& o) { return o.severity == severity::reject; });
  return found == said.end() ? nullptr : &*found;
}

class search {
public:
  search(const contract& what, const roster_facts& roster, const node_facts& node)
      : asked_(what), roster_(roster), node_(node) {
    seen_.push_back({what});
  }

  std::optional<contract> run() {
    for (;;) {
      candidate* next = nullptr;
      for (auto& c : seen_)
        if (c.open && (!next || std::pair(c.distance, c.age) < std::pair(next->distance, next->age))) next = &c;
      if (!next) return std::nullopt;
      next->open = false;
      const contract here = next->c;
      const auto said = objections(here, roster_, node_);
      const auto* reject = first_reject(said);
      if (!reject) return given_back(here);
      if (seen_.size() > candidates_max) return straight(here);
      for (const auto& remedy : reject->remedies) add(remedy);
    }
  }

private:
  void add(const contract& c) {
    if (std::any_of(seen_.begin(), seen_.end(), [&](auto& s) { return s.c == c; })) return;
    seen_.push_back({c, distance(asked_, c), static_cast<unsigned>(seen_.size())});
  }

  std::optional<contract> straight(contract c) const {
    for (unsigned i = 0; i < steps_max; ++i) {
      const auto said = objections(c, roster_, node_);
      const auto* reject = first_reject(said);
      if (!reject) return given_back(c);
      if (reject->remedies.empty()) return std::nullopt;
      c = reject->remedies.front();
    }
    return std::nullopt;
  }

  /// A later remedy may have made an earlier one needless: whatever can be as it was asked for is.
  contract given_back(contract c) const {
    bool again = true;
    while (std::exchange(again, false)) {
      for_each_field([&](const auto& f) {
        if (c.*f.member == asked_.*f.member) return;
        const auto tried = c.with(f.member, asked_.*f.member);
        if (first_reject(objections(tried, roster_, node_))) return;
        c = tried;
        again = true;
      });
    }
    return c;
  }

  const contract asked_;
  const roster_facts& roster_;
  const node_facts& node_;
  std::vector<candidate> seen_;
};

}  // namespace
}  // namespace contracts

std::optional<contract> nearest_legal(const contract& what, const roster_facts& members, const node_facts& nodes) {
  return contracts::search(what, members, nodes).run();
}

}  // namespace cohort
