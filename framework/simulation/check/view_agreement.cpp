// I14: a view's number names one view.
#include "framework/simulation/check/properties.hpp"
#include "framework/simulation/trace.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class view_agreement final : public checker {
public:
  const char* property() const override { return "I14 view agreement"; }

  void installed(const life& l, const deliver_view& v) override {
    const auto hash = hash_view(*v.what);
    const auto [known, fresh] = views_.try_emplace(v.what->number, hash);
    if (!fresh && known->second != hash)
      fail("member " + std::to_string(to_index(l.member())) + " installs another view " + std::to_string(v.what->number));
  }

private:
  std::map<view_number, std::uint64_t> views_;
};

}  // namespace

std::unique_ptr<checker> check_view_agreement() { return std::make_unique<view_agreement>(); }

}  // namespace cohort::sim
