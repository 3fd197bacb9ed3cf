#include "framework/session/messages.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <initializer_list>

namespace cohort {
namespace session {
namespace {

// Eight bytes that no text begins with, the last of them the version.
constexpr std::array<unsigned char, 8> mark_bytes{0xc0, 0x8f, 0x53, 0x45, 0x53, 0xf5, 0x00, 0x01};
constexpr std::size_t head_bytes = mark_bytes.size() + 1;
constexpr std::size_t reply_bytes = 2 + 5 * 8;

void put(std::byte* at, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) at[i] = static_cast<std::byte>(value >> (8 * i));
}

std::uint64_t get(const std::byte* at) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= std::uint64_t{static_cast<unsigned char>(at[i])} << (8 * i);
  return value;
}

void begin(std::vector<std::byte>& out, kind what, std::initializer_list<std::uint64_t> fields, std::span<const std::byte> payload) {
  out.resize(head_bytes + 8 * fields.size() + payload.size());
  std::memcpy(out.data(), mark_bytes.data(), mark_bytes.size());
  out[mark_bytes.size()] = static_cast<std::byte>(what);
  auto* at = out.data() + head_bytes;
  for (const auto f : fields) {
    put(at, f);
    at += 8;
  }
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
}

}  // namespace

bool read_request(std::span<const std::byte> message, request& out) {
  if (message.size() < head_bytes) return false;
  out.what = static_cast<kind>(message[mark_bytes.size()]);
  auto rest = message.subspan(head_bytes);
  std::array<std::uint64_t, 10> f{};
  const auto fields = [&](std::size_t count) {
    if (rest.size() < 8 * count) return false;
    for (std::size_t i = 0; i < count; ++i) f[i] = get(rest.data() + 8 * i);
    rest = rest.subspan(8 * count);
    return true;
  };
  bool complete = false;
  switch (out.what) {
    case kind::plain: complete = true; break;
    case kind::open: complete = fields(10) && rest.empty(); break;
    case kind::close: complete = fields(3) && rest.empty(); break;
    case kind::call: complete = fields(5); break;
    case kind::cancel: complete = fields(4) && rest.empty(); break;
    case kind::question: complete = fields(2); break;
  }
  if (!complete) return false;
  out.payload = rest;
  if (out.what == kind::question) {
    out.seen = f[0];
    out.not_before = wall_time(static_cast<std::int64_t>(f[1]));
    return true;
  }
  out.name = {{f[0], f[1]}, f[2]};
  out.number = f[3];
  out.acknowledged_below = f[4];
  if (out.what == kind::open) {
    out.owner = f[3];
    // Kept within what fits a time; the table has tighter bounds.
    out.limits.lifetime = std::chrono::milliseconds(std::min<std::uint64_t>(f[4], 1u << 30));
    out.limits.open_requests_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(f[5], 0xffffffff));
    out.limits.answer_bytes_max = f[6];
    out.limits.table_bytes_max = f[7];
    out.limits.sessions_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(f[8], 0xffffffff));
    out.limits.sessions_per_owner_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(f[9], 0xffffffff));
  }
  return true;
}

void write_reply(reply& answer, session_outcome what, bool repeated, const stamp& at, std::uint64_t birth,
                 std::span<const std::byte> payload) {
  std::array<std::byte, reply_bytes> head{};
  head[0] = static_cast<std::byte>(what);
  head[1] = static_cast<std::byte>(repeated ? 1 : 0);
  put(&head[2], at.position);
  put(&head[10], at.index);
  put(&head[18], at.view);
  put(&head[26], static_cast<std::uint64_t>(at.time.count()));
  put(&head[34], birth);
  answer.write(head);
  answer.write(payload);
}

}  // namespace session

using session::begin;
using session::kind;

const char* to_string(session_outcome o) {
  switch (o) {
    case session_outcome::replied: return "replied";
    case session_outcome::no_session:
      return "no such session: it expired, was closed or never opened; open another, and judge open requests by the state";
    case session_outcome::forgotten: return "not executed: the number lies below those which the caller acknowledged";
    case session_outcome::too_far: return "not executed: too many numbers above the acknowledged ones; acknowledge answers first";
    case session_outcome::answers_full: return "not executed: as many bytes of answers are kept as may be; acknowledge answers first";
    case session_outcome::sessions_full: return "not opened: as many sessions are open as may be; close one, or wait until some expire";
    case session_outcome::cancelled: return "not executed: it was cancelled, and never will be executed";
    case session_outcome::behind: return "this member has not applied what the query wants to see; ask another, or read linearizably";
    case session_outcome::malformed: return "not executed: no request as a session's caller writes it";
  }
  return "?";
}

void write_open(std::vector<std::byte>& out, const session_name& s, const session_limits& l, std::uint64_t owner) {
  begin(out, kind::open,
        {s.id.high, s.id.low, s.birth, owner, static_cast<std::uint64_t>(l.lifetime.count()), l.open_requests_max,
         l.answer_bytes_max, l.table_bytes_max, l.sessions_max, l.sessions_per_owner_max},
        {});
}

void write_close(std::vector<std::byte>& out, const session_name& s) { begin(out, kind::close, {s.id.high, s.id.low, s.birth}, {}); }

void write_call(std::vector<std::byte>& out, const session_name& s, std::uint64_t number, std::uint64_t acknowledged_below,
                std::span<const std::byte> payload) {
  begin(out, kind::call, {s.id.high, s.id.low, s.birth, number, acknowledged_below}, payload);
}

void write_cancel(std::vector<std::byte>& out, const session_name& s, std::uint64_t number) {
  begin(out, kind::cancel, {s.id.high, s.id.low, s.birth, number}, {});
}

void write_plain(std::vector<std::byte>& out, std::span<const std::byte> payload) { begin(out, kind::plain, {}, payload); }

void write_question(std::vector<std::byte>& out, log_index seen, wall_time not_before, std::span<const std::byte> question) {
  begin(out, kind::question, {seen, static_cast<std::uint64_t>(not_before.count())}, question);
}

bool is_session_message(std::span<const std::byte> m) {
  return m.size() >= session::mark_bytes.size() && std::memcmp(m.data(), session::mark_bytes.data(), session::mark_bytes.size()) == 0;
}

bool read_reply(std::span<const std::byte> bytes, session_reply& out) {
  if (bytes.size() < session::reply_bytes || bytes[0] > static_cast<std::byte>(session_outcome::malformed)) return false;
  out.what = static_cast<session_outcome>(bytes[0]);
  out.repeated = bytes[1] != std::byte{0};
  out.position = session::get(&bytes[2]);
  out.index = session::get(&bytes[10]);
  out.view = session::get(&bytes[18]);
  out.time = wall_time(static_cast<std::int64_t>(session::get(&bytes[26])));
  out.birth = session::get(&bytes[34]);
  out.payload = bytes.subspan(session::reply_bytes);
  return true;
}

}  // namespace cohort
