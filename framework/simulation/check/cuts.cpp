// I6: cuts are monotone along the committed log.
#include "framework/simulation/check/properties.hpp"
#include "framework/protocol/frontier.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class cuts final : public checker {
public:
  const char* property() const override { return "I6 cuts"; }

  void passed(const life& l, const inspector::inside& in) override {
    if (!in.has_state) return;
    auto& seen = seen_[l.number];
    for (auto i = std::max(seen, in.log.base().index) + 1; i <= in.commit && in.log.has(i); ++i)
      if (!covers(in.log.at(i).cut, in.log.cut_behind(i - 1))) fail("the cut of entry " + std::to_string(i) + " goes back");
    seen = in.commit;
  }

private:
  std::map<std::uint64_t, log_index> seen_;
};

}  // namespace

std::unique_ptr<checker> check_cuts() { return std::make_unique<cuts>(); }

}  // namespace cohort::sim
