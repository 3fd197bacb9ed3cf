#pragma once

#include "framework/session/session_table.hpp"
#include "framework/session/short_number.hpp"

#include <array>
#include <cstring>

namespace cohort::session {

enum class kind : std::uint8_t { plain = 1, open, close, call, cancel, question };

/// A request or question as it was written. `payload` points into the message.
struct request {
  kind what = kind::plain;
  session_name name;
  bool low_half = false;  ///< of the session's id only that half came; `birth` tells which session is meant
  std::size_t call_head = 0;  ///< of a call like that, the bytes in front of its numbers
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

/// What follows a call's head: number, acknowledgement, payload. False if that is cut or makes no sense.
inline bool read_numbers(std::span<const std::byte> rest, request& out) {
  std::uint64_t back = 0;
  if (!take_short(out.number, rest) || !take_short(back, rest) || back > out.number) return false;
  out.acknowledged_below = out.number - back;
  out.payload = rest;
  return true;
}

/// What all calls of one session begin with (mark, half of its id, birth): who has read it once need not read it again.
class call_head {
public:
  static constexpr std::size_t bytes_max = 3 + 8 + short_bytes_max;

  bool begins(std::span<const std::byte> message) const {
    return size_ > 0 && message.size() >= size_ && std::memcmp(message.data(), bytes_.data(), 8) == 0 &&
           std::memcmp(message.data() + size_ - 8, bytes_.data() + size_ - 8, 8) == 0 &&
           (size_ <= 16 || std::memcmp(message.data() + 8, bytes_.data() + 8, 8) == 0);
  }
  std::size_t size() const { return size_; }
  /// `head` has at least the twelve bytes of mark, half an id and a birth.
  void remember(std::span<const std::byte> head) {
    size_ = head.size();
    std::memcpy(bytes_.data(), head.data(), size_);
  }
  void forget() { size_ = 0; }

private:
  std::array<std::byte, bytes_max> bytes_{};
  std::size_t size_ = 0;
};

/// `payload` follows it in `answer`.
void write_reply(reply& answer, session_outcome what, bool repeated, const stamp& at, std::uint64_t birth,
                 std::span<const std::byte> payload);

}  // namespace cohort::session
