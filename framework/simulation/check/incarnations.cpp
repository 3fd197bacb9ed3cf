// I9: an incarnation is active in one run of views without a gap.
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class incarnations final : public checker {
public:
  const char* property() const override { return "I9 incarnations"; }

  void installed(const life&, const deliver_view& v) override {
    views_.try_emplace(v.what->number, v.what);
    for (auto next = views_.find(looked_at_); next != views_.end(); next = views_.find(++looked_at_))
      for (const auto& r : next->second->roster) {
        if (!r.active) continue;
        const auto [last, fresh] = last_active_.try_emplace({r.id.member, r.inc}, looked_at_);
        if (!fresh && last->second + 1 != looked_at_)
          fail("member " + std::to_string(to_index(r.id.member)) + " entered view " + std::to_string(looked_at_) +
               " with incarnation " + std::to_string(r.inc) + ", which had left after view " + std::to_string(last->second));
        last->second = looked_at_;
      }
  }

private:
  std::map<view_number, view_ptr> views_;
  view_number looked_at_ = 0;
  std::map<std::pair<member_id, incarnation>, view_number> last_active_;
};

}  // namespace

std::unique_ptr<checker> check_incarnations() { return std::make_unique<incarnations>(); }

}  // namespace cohort::sim
