#pragma once

#include <cstdint>
#include <string_view>

namespace kv {

/// 64 bits from bytes and a seed, the same on every machine (all numbers are read as little endian). Multiply-fold as
/// in Wang Yi's wyhash. Good enough for tables and for telling states apart; not cryptographic.
std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed);

/// Mixes two numbers.
std::uint64_t hash_pair(std::uint64_t a, std::uint64_t b);

}  // namespace kv
