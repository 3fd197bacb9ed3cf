// FC1, FC2, S3: what a member holds in memory is bounded by its windows and the distance of checkpoints, whoever is slow.
#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class bounded_memory final : public checker {
public:
  const char* property() const override { return "bounded memory"; }

  void passed(const life& l, const inspector::inside& in) override {
    if (!in.has_state || !in.in_force) return;
    const auto& o = in.options;
    const auto lanes = lane_count(*in.in_force) + 2;
    // Retransmission under way, and what the last checkpoints leave; a disk may lag behind by its own bound.
    const auto bound = lanes * (2 * o.lane_window + 2 * (o.part_bytes + o.batch_bytes)) + 12 * in.checkpoint_distance() + o.retain_bytes +
                       (in.kept != inspector::inside::keeping::memory ? o.journal_backlog_max : 0);
    if (in.lanes.bytes() + in.open_bytes > bound)
      fail("member " + std::to_string(to_index(l.member())) + " holds " + std::to_string(in.lanes.bytes()) + " bytes of " + std::to_string(bound));
  }
};

}  // namespace

std::unique_ptr<checker> check_bounded_memory() { return std::make_unique<bounded_memory>(); }

}  // namespace cohort::sim
