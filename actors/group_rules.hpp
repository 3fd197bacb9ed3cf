#pragma once

#include "framework/protocol/partition/core.hpp"

#include <cohort/contract.hpp>

#include <optional>
#include <string>
#include <vector>

namespace cohort::detail {

/// A contract in the terms of the core that keeps it.
/// `groups`: how many its node hosts; they share memory.
protocol::core_options core_options_of(const contract& how, std::size_t groups);
/// The same for a partitionable group.
protocol::partition::core_options component_options_of(const contract& how);
/// Larger messages travel in parts.
std::size_t part_bytes_of(const contract& how);
/// The part of it that a view carries, and that a view can change (X1).
protocol::view_options rules_of(const contract& how);
/// The contract of a group that was founded with `how` and runs under `rules` now.
contract under_rules(contract how, const protocol::view_options& rules);

}  // namespace cohort::detail
