// I8: a lane and a number name one batch.
#include "framework/simulation/check/properties.hpp"
#include "framework/simulation/trace.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class lane_uniqueness final : public checker {
public:
  const char* property() const override { return "I8 lane uniqueness"; }

  void sent(const life&, const message& what) override {
    if (const auto* b = std::get_if<batch>(&what)) see(*b);
  }
  void persisted(const life&, const persist_op& op) override {
    if (const auto* b = std::get_if<persist_batch>(&op.what)) see(b->what);
  }

private:
  struct seen {
    std::uint64_t hash = 0, stamp = 0;
  };

  void see(const batch& b) {
    auto hash = mix(hash_payload(b.what), b.stamp);
    hash = mix(mix(mix(hash, static_cast<std::uint64_t>(b.cls)), b.view), b.tdep);
    for (const auto d : b.deps) hash = mix(hash, d);
    const auto [known, fresh] = batches_.try_emplace({b.lane(), b.seq}, seen{hash, b.stamp});
    if (!fresh && known->second.hash != hash)
      fail("two batches " + std::to_string(b.seq) + " of member " + std::to_string(to_index(b.owner)) + " incarnation " +
           std::to_string(b.inc) + ", stamps " + std::to_string(known->second.stamp) + " and " + std::to_string(b.stamp));
  }

  std::map<std::pair<lane_name, sequence>, seen> batches_;
};

}  // namespace

std::unique_ptr<checker> check_lane_uniqueness() { return std::make_unique<lane_uniqueness>(); }

}  // namespace cohort::sim
