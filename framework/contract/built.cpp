// What is legal and not built yet. Whoever builds a feature takes its line out.
#include "framework/contract/fields.hpp"

#include <cohort/contract_check.hpp>

namespace cohort {

std::vector<missing_feature> not_built(const contract& c) {
  std::vector<missing_feature> all;
  const auto missing = [&](bool asked, const char* field, const std::string& what) {
    if (asked) all.push_back({field, what + " is not built yet"});
  };
  missing(!c.causal_dependencies && !(c.orders == order_set{order::total}), "causal_dependencies",
          "leaving out what messages depend on");
  missing(c.action_participant, "action_participant", "taking part in atomic actions");
  missing(c.deadline.count() != 0, "deadline", "a deadline of messages");
  missing(c.lossy, "lossy", "dropping what is late");
  missing(c.model != failure_model::crash, "model", std::string("the ") + to_string(c.model) + " model");
  const bool partitionable = c.partitions == partition_policy::partitionable;
  missing(partitionable && c.sessions, "sessions", "sessions in a partitionable group");
  missing(partitionable && c.calls, "calls",
          "calls in a partitionable group (who is to answer is a view that the whole group agrees on; submit, and let members multicast "
          "their answers)");
  missing(c.links != link_security::open, "links", "authentication of links");
  missing(c.rate_bytes_max != 0, "rate_bytes_max", "a limit of the rate in bytes");
  missing(c.rate_messages_max != 0, "rate_messages_max", "a limit of the rate in messages");
  return all;
}

}  // namespace cohort
