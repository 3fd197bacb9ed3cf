#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cohort::transport {

/// XXH3-64. Frames carry its low half.
std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed = 0);

}  // namespace cohort::transport
