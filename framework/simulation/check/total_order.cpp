// I10, I16: what members deliver are runs of one sequence, without gap or repetition in any life.
#include "framework/simulation/check/properties.hpp"
#include "framework/simulation/trace.hpp"

#include <map>

namespace cohort::sim {

using namespace protocol;

namespace {

class total_order final : public checker {
public:
  const char* property() const override { return "I10 total order"; }

  void started(const life& l, const disk::found& found) override {
    at_[l.number] = found.checkpoint ? found.checkpoint->delivered : 0;
  }
  void restored(const life& l, const mark& at) override {
    if (at.delivered < at_[l.number]) fail("member " + std::to_string(to_index(l.member())) + " was set back by a checkpoint");
    at_[l.number] = at.delivered;
  }
  void delivered(const life& l, const deliver_batch& b) override {
    if (b.cls != order::total) return;
    auto& at = at_[l.number];
    const auto who = "member " + std::to_string(to_index(l.member()));
    if (b.position != at + 1)
      fail(who + " delivers position " + std::to_string(b.position) + " after " + std::to_string(at));
    auto hash = mix(hash_payload(b.what), b.index);
    hash = mix(hash, static_cast<std::uint64_t>(b.time.count()));
    hash = mix(hash, b.view);
    hash = mix(hash, to_index(b.sender));
    hash = mix(hash, b.inc);
    hash = mix(hash, b.seq);
    const auto [known, fresh] = order_.try_emplace(b.position, hash);
    if (!fresh && known->second != hash) fail(who + " delivers something else at position " + std::to_string(b.position));
    if (fresh && !batches_.insert({{b.lane(), b.seq}, b.position}).second)
      fail("batch " + std::to_string(b.seq) + " of member " + std::to_string(to_index(b.sender)) + " is in the order twice");
    at = b.position + b.what.sizes.size() - 1;
  }

private:
  std::map<std::uint64_t, std::uint64_t> at_;
  std::map<std::uint64_t, std::uint64_t> order_;
  std::map<std::pair<lane_name, sequence>, std::uint64_t> batches_;
};

}  // namespace

std::unique_ptr<checker> check_total_order() { return std::make_unique<total_order>(); }

}  // namespace cohort::sim
