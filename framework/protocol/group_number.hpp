#pragma once

#include <cstdint>

namespace cohort {

/// Groups that a node can have at the same time: as many places as there are.
inline constexpr std::uint32_t group_places = 1024;

/// A group's number names it on the wire and for ever; no two groups of a cluster's life have one. Its place is where nodes keep what
/// belongs to it, and is used again when the group is gone.
constexpr std::uint32_t place_of(std::uint32_t number) { return number % group_places; }
/// How many groups had the place before it.
constexpr std::uint32_t life_of(std::uint32_t number) { return number / group_places; }
constexpr std::uint32_t group_number(std::uint32_t place, std::uint32_t life) { return life * group_places + place; }
inline constexpr std::uint32_t group_life_max = ~std::uint32_t{0} / group_places;

}  // namespace cohort
