#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace cohort::session {

// Numbers of seven bits a byte, the lowest first, the highest bit of all but the last one set.

constexpr std::size_t short_bytes_max = 10;

inline std::size_t short_size(std::uint64_t value) { return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7; }

/// Where the next one goes.
inline std::byte* put_short(std::byte* at, std::uint64_t value) {
  for (; value > 0x7f; value >>= 7) *at++ = static_cast<std::byte>(value | 0x80);
  *at++ = static_cast<std::byte>(value);
  return at;
}

/// Takes a number from the bytes that `next(byte&)` gives, until that says false. False if there is none.
template <class Next>
bool take_short(std::uint64_t& value, Next next) {
  value = 0;
  std::byte taken{};
  for (std::size_t i = 0; i < short_bytes_max && next(taken); ++i) {
    const auto b = std::to_integer<std::uint64_t>(taken);
    if (i == short_bytes_max - 1 && b > 1) return false;
    value |= (b & 0x7f) << (7 * i);
    if (b <= 0x7f) return true;
  }
  return false;
}

}  // namespace cohort::session
