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

  void installed(const life&, const deliver_view& v) override { views_.try_emplace(v.what->number, v.what); }

  void sent(const life&, const message& what) override {
    const auto* b = std::get_if<batch>(&what);
    if (!b) return;
    const auto v = views_.find(b->view);
    if (v == views_.end()) return;
    if (const auto* owner = lane_owner(*v->second, b->slot)) see(owner->id.member, owner->inc, *b);
  }
  void persisted(const life&, const persist_op& op) override {
    if (const auto* b = std::get_if<persist_batch>(&op.what)) see(b->owner, b->inc, b->what);
  }

private:
  struct seen {
    std::uint64_t hash = 0, stamp = 0;
  };

  void see(member_id owner, incarnation inc, const batch& b) {
    const auto hash = mix(hash_payload(b.what), b.stamp);
    const auto [known, fresh] = batches_.try_emplace({{owner, inc}, b.seq}, seen{hash, b.stamp});
    if (!fresh && known->second.hash != hash)
      fail("two batches " + std::to_string(b.seq) + " of member " + std::to_string(to_index(owner)) + " incarnation " +
           std::to_string(inc) + ", stamps " + std::to_string(known->second.stamp) + " and " + std::to_string(b.stamp));
  }

  std::map<view_number, view_ptr> views_;
  std::map<std::pair<std::pair<member_id, incarnation>, sequence>, seen> batches_;
};

}  // namespace

std::unique_ptr<checker> check_lane_uniqueness() { return std::make_unique<lane_uniqueness>(); }

}  // namespace cohort::sim
