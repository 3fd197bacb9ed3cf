#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace cohort {

/// In which order a multicast message is delivered, and how safely (rule D6). Chosen per message; a group's contract
/// says which of them it enables. Later ones of a line are stronger: unordered < fifo < safe_fifo, and
/// fifo < causal < safe_causal < total (rule O6). Sources: Birman, Schiper, Stephenson, "Lightweight Causal and Atomic
/// Group Multicast", TOCS 1991; Chockler, Keidar, Vitenberg, "Group Communication Specifications", 2001.
enum class order : std::uint8_t {
  unordered,    ///< U: at receipt; only the borders of views are kept
  fifo,         ///< F: as its sender sent them
  safe_fifo,    ///< SF: as `fifo`, and not before enough members hold it that no tolerated failure can lose it
  causal,       ///< C: behind everything its sender had delivered or sent before
  safe_causal,  ///< SC: as `causal`, with the whole causal past as safe as `safe_fifo`
  total,        ///< T: the same sequence everywhere, behind everything in its causal past; always safe
};

inline constexpr std::size_t order_count = 6;

const char* to_string(order o);

/// Waits until enough members hold the message (rule D8).
constexpr bool is_safe(order o) { return o == order::safe_fifo || o == order::safe_causal || o == order::total; }

/// A set of orders, in bits that are part of the wire and record formats.
class order_set {
public:
  constexpr order_set() = default;
  constexpr order_set(std::initializer_list<order> orders) {
    for (const order o : orders) add(o);
  }
  static constexpr order_set from_bits(std::uint8_t bits) {
    order_set s;
    s.bits_ = bits & all_bits;
    return s;
  }
  static constexpr order_set all() { return from_bits(all_bits); }

  constexpr void add(order o) { bits_ = static_cast<std::uint8_t>(bits_ | 1u << static_cast<unsigned>(o)); }
  constexpr bool has(order o) const { return (bits_ >> static_cast<unsigned>(o) & 1u) != 0; }
  constexpr bool has_any(order_set other) const { return (bits_ & other.bits_) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr std::uint8_t bits() const { return bits_; }
  constexpr bool operator==(const order_set&) const = default;

private:
  static constexpr std::uint8_t all_bits = (1u << order_count) - 1;
  std::uint8_t bits_ = 0;
};

}  // namespace cohort
