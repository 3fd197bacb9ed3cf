#pragma once

#include "actors/death_book.hpp"
#include "transport/endpoint.hpp"
#include "transport/gateway/figures.hpp"

#include <cohort/group_port.hpp>
#include <cohort/resilient_process.hpp>
#include <cohort/supervision.hpp>
#include <cohort/supervisor.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::detail {

/// One look at all that runs on a node, at one moment of its protocol thread.
struct node_figures {
  struct link {
    std::string peer;
    transport::link_status now;
  };
  std::string node;
  std::vector<group_status> groups;
  std::vector<link> links;
  transport::endpoint_stats transport;
  std::vector<std::pair<std::string, std::string>> not_hosted;  ///< groups that were created and do not run here, and why
  const transport::gateway::counters* gateway = nullptr;  ///< null: this node serves no clients

  /// Null if it does not run here.
  const group_status* find(std::string_view group) const {
    const auto at = std::ranges::find(groups, group, &group_status::group);
    return at == groups.end() ? nullptr : &*at;
  }
};

/// What a node's supervisors and its runtime count.
struct supervision_figures {
  supervision_counters counters;
  std::vector<child_status> children;
  std::size_t letters = 0;
  std::uint64_t runtime_restarts = 0;
  std::vector<resilient_status> resilient;
  poison_figures poison;
};

/// In Prometheus' text format (version 0.0.4). Without figures, while the node starts again, says that and no more.
std::string metrics_text(const std::string& node, const node_figures* figures, const supervision_figures& supervision);
/// For people: a line per group and per link.
std::string status_text(const node_figures& figures);

}  // namespace cohort::detail
