#pragma once

#include <cohort/types.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace cohort::rpc {

/// A call as it travels in a group whose contract has `calls`. `payload` points into the message.
struct call_message {
  std::uint64_t number =
      0;  ///< of the caller's process; 0: nobody waits, the message only happens to begin like a call
  wall_time answered_until{};  ///< by the caller's clock: a member that gets to it much later does not answer (it
                               ///< redoes its log)
  std::span<const std::byte> payload;
};

void write_call(std::vector<std::byte>& out, std::uint64_t number, wall_time answered_until,
                std::span<const std::byte> payload);
/// True for what `write_call` writes, and for what must be written with number 0.
bool is_call(std::span<const std::byte> message);
/// False if `message`, which begins like one, is none.
bool read_call(std::span<const std::byte> message, call_message& out);
/// Bytes in front of the payload.
inline constexpr std::size_t call_head_bytes = 24;

}  // namespace cohort::rpc
