#include "framework/session/messages.hpp"

#include "framework/protocol/bytes.hpp"
#include "framework/session/short_number.hpp"

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

// Calls are short in front: where requests are small, what goes with each decides how many there can be in a second. Three bytes
// that no text begins with; the lower half of the session's id; birth, number and how far below it all is acknowledged, seven bits
// in a byte.
constexpr std::array<unsigned char, 3> call_mark{0xc0, 0x8f, 0x01};
constexpr std::size_t call_head_bytes = call_mark.size() + 8;

using protocol::store_little;

std::uint64_t get(const std::byte* at) { return protocol::load_little<std::uint64_t>(at); }

/// Numbers of eight bytes that a message of this kind begins with.
constexpr std::size_t field_count(kind what) {
  switch (what) {
    case kind::plain: return 0;
    case kind::open: return 10;
    case kind::close: return 3;
    case kind::call: return 5;
    case kind::cancel: return 4;
    case kind::question: return 2;
  }
  return SIZE_MAX;
}
bool begins_with(std::span<const std::byte> message, std::span<const unsigned char> mark) {
  return message.size() >= mark.size() && std::memcmp(message.data(), mark.data(), mark.size()) == 0;
}

bool read_call(std::span<const std::byte> message, request& out) {
  if (message.size() < call_head_bytes) return false;
  out.what = kind::call;
  out.low_half = true;
  out.name.id.low = get(message.data() + call_mark.size());
  auto rest = message.subspan(call_head_bytes);
  if (!take_short(out.name.birth, rest)) return false;
  out.call_head = message.size() - rest.size();
  return read_numbers(rest, out);
}

constexpr bool has_payload(kind what) { return what == kind::plain || what == kind::call || what == kind::question; }

void begin(std::vector<std::byte>& out, kind what, std::initializer_list<std::uint64_t> fields, std::span<const std::byte> payload) {
  out.resize(head_bytes + 8 * fields.size() + payload.size());
  std::memcpy(out.data(), mark_bytes.data(), mark_bytes.size());
  out[mark_bytes.size()] = static_cast<std::byte>(what);
  auto* at = out.data() + head_bytes;
  for (const auto f : fields) {
    store_little(at, f);
    at += 8;
  }
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
}

}  // namespace

bool read_request(std::span<const std::byte> message, request& out) {
  if (begins_with(message, call_mark)) return read_call(message, out);
  if (message.size() < head_bytes) return false;
  out.what = static_cast<kind>(message[mark_bytes.size()]);
  const auto fields = field_count(out.what);
  auto rest = message.subspan(head_bytes);
  if (fields > rest.size() / 8) return false;
  const auto f = [at = rest.data()](std::size_t i) { return get(at + 8 * i); };
  out.payload = rest.subspan(8 * fields);
  if (out.what == kind::plain) return true;
  if (!has_payload(out.what) && !out.payload.empty()) return false;
  if (out.what == kind::question) {
    out.seen = f(0);
    out.not_before = wall_time(static_cast<std::int64_t>(f(1)));
    return true;
  }
  out.name = {{f(0), f(1)}, f(2)};
  if (out.what == kind::call || out.what == kind::cancel) out.number = f(3);
  if (out.what == kind::call) out.acknowledged_below = f(4);
  if (out.what == kind::open) {
    out.owner = f(3);
    // Kept within what fits a time; the table has tighter bounds.
    out.limits.lifetime = std::chrono::milliseconds(std::min<std::uint64_t>(f(4), 1u << 30));
    out.limits.open_requests_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(f(5), 0xffffffff));
    out.limits.answer_bytes_max = f(6);
    out.limits.table_bytes_max = f(7);
    out.limits.sessions_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(f(8), 0xffffffff));
    out.limits.sessions_per_owner_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(f(9), 0xffffffff));
  }
  return true;
}

void write_reply(reply& answer, session_outcome what, bool repeated, const stamp& at, std::uint64_t birth,
                 std::span<const std::byte> payload) {
  // Short ones are put together where that costs least, and copied once.
  std::array<std::byte, 2 * 64> here;
  const bool is_short = reply_bytes + payload.size() <= here.size();
  auto* at_byte = is_short ? here.data() : answer.extend(reply_bytes + payload.size()).data();
  at_byte[0] = static_cast<std::byte>(what);
  at_byte[1] = static_cast<std::byte>(repeated ? 1 : 0);
  store_little(at_byte + 2, at.position);
  store_little(at_byte + 10, at.index);
  store_little(at_byte + 18, at.view);
  store_little(at_byte + 26, static_cast<std::uint64_t>(at.time.count()));
  store_little(at_byte + 34, birth);
  if (!payload.empty()) std::memcpy(at_byte + reply_bytes, payload.data(), payload.size());
  if (is_short) answer.write(std::span(here).first(reply_bytes + payload.size()));
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
  using namespace session;
  // What says nonsense travels as it is, and is refused as malformed.
  if (acknowledged_below > number) return begin(out, kind::call, {s.id.high, s.id.low, s.birth, number, acknowledged_below}, payload);
  const auto back = number - acknowledged_below;
  out.resize(call_head_bytes + short_size(s.birth) + short_size(number) + short_size(back) + payload.size());
  auto* at = out.data();
  std::memcpy(at, call_mark.data(), call_mark.size());
  store_little(at + call_mark.size(), s.id.low);
  at = put_short(put_short(put_short(at + call_head_bytes, s.birth), number), back);
  if (!payload.empty()) std::memcpy(at, payload.data(), payload.size());
}

void write_cancel(std::vector<std::byte>& out, const session_name& s, std::uint64_t number) {
  begin(out, kind::cancel, {s.id.high, s.id.low, s.birth, number}, {});
}

void write_plain(std::vector<std::byte>& out, std::span<const std::byte> payload) { begin(out, kind::plain, {}, payload); }

void write_question(std::vector<std::byte>& out, log_index seen, wall_time not_before, std::span<const std::byte> question) {
  begin(out, kind::question, {seen, static_cast<std::uint64_t>(not_before.count())}, question);
}

bool is_session_message(std::span<const std::byte> m) {
  return session::begins_with(m, session::call_mark) || session::begins_with(m, session::mark_bytes);
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
