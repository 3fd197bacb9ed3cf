#pragma once

#include "framework/session/session_table.hpp"

namespace cohort::session {

enum class kind : std::uint8_t { plain = 1, open, close, call, cancel, question };

/// A request or question as it was written. `payload` points into the message.
struct request {
  kind what = kind::plain;
  session_name name;
  bool low_half = false;  ///< of the session's id only that half came; `birth` tells which session is meant
  session_limits limits;
  std::uint64_t owner = 0;
  std::uint64_t number = 0;
  std::uint64_t acknowledged_below = 0;
  log_index seen = 0;
  wall_time not_before{};
  std::span<const std::byte> payload;
};

/// False if `message`, which begins like one (`is_session_message`), is none.
bool read_request(std::span<const std::byte> message, request& out);

/// `payload` follows it in `answer`.
void write_reply(reply& answer, session_outcome what, bool repeated, const stamp& at, std::uint64_t birth,
                 std::span<const std::byte> payload);

}  // namespace cohort::session
