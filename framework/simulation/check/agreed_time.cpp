// Agreed time never goes back in any life.
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class agreed_time final : public checker {
public:
  const char* property() const override { return "agreed time"; }

  void delivered(const life& l, const deliver_batch& b) override { see(l, b.time); }
  void installed(const life& l, const deliver_view& v) override { see(l, v.time); }

private:
  void see(const life& l, wall_time t) {
    auto& before = newest_[l.number];
    if (t < before)
      fail("at member " + std::to_string(to_index(l.member())) + " it goes back by " + std::to_string((before - t).count()) + " us");
    before = t;
  }
  std::map<std::uint64_t, wall_time> newest_;
};

}  // namespace

std::unique_ptr<checker> check_agreed_time() { return std::make_unique<agreed_time>(); }

}  // namespace cohort::sim
