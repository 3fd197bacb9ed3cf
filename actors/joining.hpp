#pragma once

#include "actors/log.hpp"

#include "transport/nodes.hpp"

#include <cohort/node.hpp>

#include <functional>

namespace cohort::detail {

/// Whether the configuration leaves it to others who the founders are: by hints, or by sources of addresses alone.
bool is_joining(const node_config& config);

/// Throws `node_error` if `text` is no hint: "host:port", "srv:NAME" or "file:PATH".
void check_hint(const std::string& text);

/// The cluster which `config` is to be a node of: what the data directory knows of it, and what those say who answer at the hints.
/// Asked until somebody names this node among the cluster's, for a minute at most; only once around if the directory knows it.
/// Throws `node_error`: nobody answers, it was not added or is removed, `stopped` became true, or the directory belongs to another
/// life of the node's name.
transport::cluster_nodes find_cluster(const node_config& config, logger& log, const std::function<bool()>& stopped);

}  // namespace cohort::detail
