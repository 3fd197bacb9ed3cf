// I17: a read sees at least what anybody had delivered before it was asked for, and a write comes behind it.
#include "framework/simulation/check/properties.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class reads final : public checker {
public:
  const char* property() const override { return "I17 reads"; }

  void state_reached(const life&, std::uint64_t position, std::uint64_t) override { newest_ = std::max(newest_, position); }
  void called(const operation& o) override { floor_[o.number] = newest_; }
  void returned(const operation& o) override {
    const auto floor = floor_.extract(o.number);
    if (o.result != operation::outcome::done || floor.empty()) return;
    if (o.what == operation::kind::read ? o.position < floor.mapped() : o.position <= floor.mapped())
      fail("operation " + std::to_string(o.number) + " at member " + std::to_string(o.node) + " saw the state at " +
           std::to_string(o.position) + ", " + std::to_string(floor.mapped()) + " was delivered before it was called");
  }

private:
  std::uint64_t newest_ = 0;
  std::map<std::uint64_t, std::uint64_t> floor_;
};

}  // namespace

std::unique_ptr<checker> check_reads() { return std::make_unique<reads>(); }

}  // namespace cohort::sim
