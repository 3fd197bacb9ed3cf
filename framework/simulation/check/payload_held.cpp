// I7: whoever has an entry in its log holds the payload that it covers.
#include "framework/simulation/check/properties.hpp"
#include "framework/protocol/frontier.hpp"

namespace cohort::sim {

using namespace protocol;

namespace {

class payload_held final : public checker {
public:
  const char* property() const override { return "I7 payload"; }

  void passed(const life& l, const inspector::inside& in) override {
    if (!in.has_state || in.is_witness() || in.log.last() == in.log.base().index) return;
    const auto i = in.log.last();
    const auto& e = in.log.at(i);
    if (i <= in.applied) return;
    const auto number = in.log.view_at(i - 1)->number;
    if (!covers(in.lanes.held(number), e.cut) || !in.holds(e.extras, number))
      fail("member " + std::to_string(to_index(l.member())) + " appended entry " + std::to_string(i) + " without its payload");
  }
};

}  // namespace

std::unique_ptr<checker> check_payload_held() { return std::make_unique<payload_held>(); }

}  // namespace cohort::sim
