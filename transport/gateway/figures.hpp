#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace cohort::transport::gateway {

/// Answers by the time they took: up to 64 us, 128 us, 256 us and so on; the last counts what took longer.
inline constexpr std::size_t latency_steps = 20;
inline constexpr double first_latency_us = 64;
inline constexpr std::size_t reason_count = 20;  ///< of `reason`

/// What a gateway counts. One thread writes, any reads.
struct counters {
  using number = std::atomic<std::uint64_t>;
  number connections{0}, streams{0}, open_requests{0};  ///< now
  number connections_total{0};                          ///< accepted
  number turned_away_total{0};                          ///< connections beyond those a gateway or an address may have
  number hung_up_total{0};                              ///< connections of clients that did not take their answers
  number requests_total{0};
  number replied_total{0}, expired_total{0}, unknown_total{0};
  number sessions_opened_total{0}, sessions_closed_total{0};  ///< through this gateway
  number failures_total{0};                             ///< after which it began anew
  number latency_us_total{0};
  std::array<number, reason_count> refused{};           ///< by reason
  std::array<number, latency_steps> latency{};          ///< of answers, each in one step
};

/// The words of the reasons, as metrics have them.
inline constexpr std::array<const char*, reason_count> reason_words{
  "none",    "other",      "no_quorum",  "busy",      "not_member", "lost",     "stopped",       "too_large", "not_enabled", "expired",
  "unresolved", "no_session", "forgotten", "too_far", "answers_full", "sessions_full", "cancelled", "malformed", "no_group", "over_limit"};

inline void add(counters::number& n, std::uint64_t by = 1) { n.fetch_add(by, std::memory_order_relaxed); }
inline void drop(counters::number& n, std::uint64_t by = 1) { n.fetch_sub(by, std::memory_order_relaxed); }

}  // namespace cohort::transport::gateway
