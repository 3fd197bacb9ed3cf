// What members hold of a view is bounded by the windows, and of large messages so little is under way that small ones
// wait no longer than for that (rules FC1, FC2, L10).
#include "framework/simulation/partition/history.hpp"

namespace cohort::sim::partition {

std::string bounded_memory(const history& h) {
  if (h.payload_most > h.payload_bound)
    return "a member held " + std::to_string(h.payload_most) + " bytes of payload, " + std::to_string(h.payload_bound) +
           " are the most";
  if (h.parts_most > h.parts_bound)
    return "a member had " + std::to_string(h.parts_most) + " bytes of large messages under way, " +
           std::to_string(h.parts_bound) + " are the most";
  return {};
}

}  // namespace cohort::sim::partition
