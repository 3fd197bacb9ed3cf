#include "samples/kv/hash.hpp"

#include <bit>
#include <cstring>

namespace kv {

namespace {

__extension__ typedef unsigned __int128 u128;

constexpr std::uint64_t secret[4] = {0xa0761d6478bd642fu, 0xe7037ed1a0b428dbu, 0x8ebc6af09c88c6e3u,
                                     0x589965cc75374cc3u};

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  const u128 product = static_cast<u128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t load64(const char* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (std::endian::native == std::endian::big) value = __builtin_bswap64(value);
  return value;
}

/// Fewer than 8 bytes.
std::uint64_t load_tail(const char* at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(at[i]);
  return value;
}

}  // namespace

std::uint64_t hash_pair(std::uint64_t a, std::uint64_t b) {
  return fold(fold(a ^ secret[0], b ^ secret[1]), secret[2]);
}

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed) {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t one = seed ^ secret[0], two = seed ^ secret[3];
  while (left >= 32) {  // two independent chains keep the multiplier busy
    one = fold(load64(at) ^ secret[1], load64(at + 8) ^ one);
    two = fold(load64(at + 16) ^ secret[2], load64(at + 24) ^ two);
    at += 32;
    left -= 32;
  }
  one ^= two;
  if (left >= 16) {
    one = fold(load64(at) ^ secret[1], load64(at + 8) ^ one);
    at += 16;
    left -= 16;
  }
  const std::uint64_t low = left >= 8 ? load64(at) : load_tail(at, left);
  const std::uint64_t high = left >= 8 ? load_tail(at + 8, left - 8) : 0;
  return fold(secret[1] ^ bytes.size(), fold(low ^ secret[2], high ^ one));
}

}  // namespace kv
