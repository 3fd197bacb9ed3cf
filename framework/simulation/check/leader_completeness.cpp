// I4: an entry whose commitment was counted in term t is in the log of every leader of a term above t. Not of every
// later elected one: a leader of a smaller term may still collect its last vote afterwards.
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class leader_completeness final : public checker {
public:
  const char* property() const override { return "I4 leader completeness"; }

  void passed(const life& l, const inspector::inside& in) override {
    if (!in.has_state) return;
    auto& seen = seen_[l.number];
    for (auto i = std::max(seen, in.log.base().index) + 1; i <= in.commit && in.log.has(i); ++i) {
      // Whoever is first to know has counted, and counts for the newest term in its log.
      if (committed_.try_emplace(i, fact{in.log.term_at(i), in.log.last_term()}).second) order_.push_back(i);
    }
    seen = in.commit;
    if (in.role != core_role::leader) return;
    auto& checked = checked_[{l.number, in.promises.term}];
    for (; checked < order_.size(); ++checked) {
      const auto i = order_[checked];
      const auto& f = committed_[i];
      if (f.counted >= in.promises.term || i <= in.log.base().index) continue;
      if (i > in.log.last() || in.log.term_at(i) != f.term)
        fail("the leader of term " + std::to_string(in.promises.term) + " lacks entry " + std::to_string(i) + " of term " +
             std::to_string(f.term) + ", committed in term " + std::to_string(f.counted));
    }
  }

private:
  struct fact {
    term_number term = 0, counted = 0;
  };
  std::map<std::uint64_t, log_index> seen_;
  std::map<log_index, fact> committed_;
  std::vector<log_index> order_;
  std::map<std::pair<std::uint64_t, term_number>, std::size_t> checked_;
};

}  // namespace

std::unique_ptr<checker> check_leader_completeness() { return std::make_unique<leader_completeness>(); }

}  // namespace cohort::sim
