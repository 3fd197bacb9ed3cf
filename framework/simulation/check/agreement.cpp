// I5: one entry per committed index.
#include "framework/simulation/check/properties.hpp"
#include "framework/simulation/trace.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class agreement final : public checker {
public:
  const char* property() const override { return "I5 agreement"; }

  void passed(const life& l, const inspector::inside& in) override {
    if (!in.has_state) return;
    auto& seen = seen_[l.number];
    for (auto i = std::max(seen, in.log.base().index) + 1; i <= in.commit && in.log.has(i); ++i) {
      const auto& e = in.log.at(i);
      const auto hash = hash_entry(e);
      const auto [known, fresh] = committed_.try_emplace(i, hash);
      if (!fresh && known->second != hash)
        fail("member " + std::to_string(to_index(l.member())) + " committed another entry " + std::to_string(i) + " of term " +
             std::to_string(e.term) + " than somebody before it");
    }
    seen = in.commit;
  }

private:
  std::map<std::uint64_t, log_index> seen_;
  std::map<log_index, std::uint64_t> committed_;
};

}  // namespace

std::unique_ptr<checker> check_agreement() { return std::make_unique<agreement>(); }

}  // namespace cohort::sim
