#include "framework/rpc/messages.hpp"

#include "framework/protocol/bytes.hpp"

#include <array>
#include <cstring>

namespace cohort::rpc {
namespace {

// Eight bytes that no text begins with, the last of them the version.
constexpr std::array<unsigned char, 8> mark_bytes{0xc0, 0x8f, 0x43, 0x41, 0x4c, 0xf5, 0x00, 0x01};

}  // namespace

void write_call(std::vector<std::byte>& out, std::uint64_t number, wall_time answered_until,
                std::span<const std::byte> payload) {
  out.resize(call_head_bytes + payload.size());
  protocol::byte_writer w(out);
  w.put_bytes(std::as_bytes(std::span(mark_bytes)));
  w.put(number);
  w.put(static_cast<std::uint64_t>(answered_until.count()));
  w.put_bytes(payload);
}

bool is_call(std::span<const std::byte> m) {
  return m.size() >= mark_bytes.size() && std::memcmp(m.data(), mark_bytes.data(), mark_bytes.size()) == 0;
}

bool read_call(std::span<const std::byte> message, call_message& out) {
  if (message.size() < call_head_bytes) return false;
  protocol::byte_reader r(message.subspan(mark_bytes.size()));
  out.number = r.get<std::uint64_t>();
  out.answered_until = wall_time(static_cast<std::int64_t>(r.get<std::uint64_t>()));
  out.payload = message.subspan(call_head_bytes);
  return true;
}

}  // namespace cohort::rpc
