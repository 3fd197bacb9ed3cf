#pragma once

#include "framework/protocol/bytes.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

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

/// Takes a number from the front of `bytes`; false if there is none. All of its bytes at once where eight can be read: these
/// run for every request at every member.
inline bool take_short(std::uint64_t& value, std::span<const std::byte>& bytes) {
  if (bytes.size() >= 8) {
    const auto eight = protocol::load_little<std::uint64_t>(bytes.data());
    if (const auto ends = ~eight & 0x8080808080808080; ends != 0) {
      const auto bits = static_cast<unsigned>(std::countr_zero(ends)) + 1;
      auto v = eight & (~std::uint64_t{0} >> (64 - bits));
      v = (v & 0x007f007f007f007f) | (v & 0x7f007f007f007f00) >> 1;
      v = (v & 0x00003fff00003fff) | (v & 0x3fff00003fff0000) >> 2;
      value = (v & 0x000000000fffffff) | (v & 0x0fffffff00000000) >> 4;
      bytes = bytes.subspan(bits / 8);
      return true;
    }
  }
  std::size_t at = 0;
  const bool taken = take_short(value, [&](std::byte& next) {
    if (at == bytes.size()) return false;
    next = bytes[at++];
    return true;
  });
  bytes = bytes.subspan(at);
  return taken;
}

}  // namespace cohort::session
