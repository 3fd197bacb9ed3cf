// DL1: nothing is delivered in total order whose deadline was over, in agreed time, when it was ordered. That what expires is
// delivered nowhere, and its sender is told, is termination's to see (O10).
#include "framework/simulation/check/properties.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class deadlines final : public checker {
public:
  const char* property() const override { return "DL1 deadlines"; }

  void delivered(const life& l, const deliver_batch& d) override {
    if (d.cls == order::total && d.deadline != wall_time{} && d.time > d.deadline)
      fail("member " + std::to_string(to_index(l.member())) + " delivers position " + std::to_string(d.position) + " " +
           std::to_string((d.time - d.deadline).count()) + " us after its deadline");
  }
};

}  // namespace

std::unique_ptr<checker> check_deadlines() { return std::make_unique<deadlines>(); }

}  // namespace cohort::sim
