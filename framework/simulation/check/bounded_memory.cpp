// FC1, FC2, S3: what a member holds in memory is bounded by its windows and the distance of checkpoints, whoever is slow.
#include "framework/protocol/payload_bound.hpp"
#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class bounded_memory final : public checker {
public:
  const char* property() const override { return "bounded memory"; }

  void passed(const life& l, const inspector::inside& in) override {
    if (!in.has_state || !in.in_force) return;
    const bool on_disk = in.kept != inspector::inside::keeping::memory;
    const auto bound = payload_bound(in.options, lane_count(*in.in_force), in.checkpoint_distance(), on_disk);
    if (in.lanes.bytes() + in.open_bytes > bound)
      fail("member " + std::to_string(to_index(l.member())) + " holds " + std::to_string(in.lanes.bytes()) + " bytes of " + std::to_string(bound));
  }
};

}  // namespace

std::unique_ptr<checker> check_bounded_memory() { return std::make_unique<bounded_memory>(); }

}  // namespace cohort::sim
