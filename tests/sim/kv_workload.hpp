#pragma once

#include "framework/simulation/workload.hpp"

#include <span>

namespace cohort::sim {

/// The key-value service under simulated clients: registers are string keys, and `other` is any of its commands.
std::unique_ptr<workload> make_kv_workload();

/// XXH3-64, the checksum of production.
std::uint64_t record_checksum(std::span<const std::byte> bytes, std::uint64_t seed);

}  // namespace cohort::sim
