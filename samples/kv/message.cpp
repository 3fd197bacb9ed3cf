#include "samples/kv/message.hpp"

namespace kv {

namespace {

void put_byte(std::uint8_t value, bytes& out) { out.push_back(static_cast<std::byte>(value)); }

void put_number(std::uint64_t value, bytes& out) {
  for (; value >= 0x80; value >>= 7) put_byte(static_cast<std::uint8_t>(value | 0x80), out);
  put_byte(static_cast<std::uint8_t>(value), out);
}

void put_string(std::string_view text, bytes& out) {
  put_number(text.size(), out);
  const auto raw = std::as_bytes(std::span(text));
  out.insert(out.end(), raw.begin(), raw.end());
}

}  // namespace

void encode_clock(bytes& out) { put_byte(static_cast<std::uint8_t>(message_reader::kind::clock), out); }

void append_command(command_id id, std::span<const std::string_view> args, bytes& queued) {
  put_byte(static_cast<std::uint8_t>(id), queued);
  put_number(args.size(), queued);
  for (const auto arg : args) put_string(arg, queued);
}

void encode_command(command_id id, std::span<const std::string_view> args, bytes& out) {
  put_byte(static_cast<std::uint8_t>(message_reader::kind::command), out);
  append_command(id, args, out);
}

bytes encode_command(std::span<const std::string_view> argv) {
  bytes result;
  const auto* info = argv.empty() ? nullptr : find_command(argv.front());
  if (info != nullptr && info->kind != command_kind::session && arity_fits(*info, argv.size()))
    encode_command(info->id, argv.subspan(1), result);
  return result;
}

void encode_transaction(std::span<const watch> watches, std::span<const std::byte> queued, std::uint64_t queued_count,
                        bytes& out) {
  put_byte(static_cast<std::uint8_t>(message_reader::kind::transaction), out);
  put_number(watches.size(), out);
  for (const auto& w : watches) {
    put_string(w.key, out);
    put_number(w.token, out);
  }
  put_number(queued_count, out);
  out.insert(out.end(), queued.begin(), queued.end());
}

bool message_reader::read_kind(kind& out) {
  if (rest_.empty() || std::to_integer<std::uint8_t>(rest_[0]) > static_cast<std::uint8_t>(kind::transaction))
    return false;
  out = static_cast<kind>(rest_[0]);
  rest_ = rest_.subspan(1);
  return true;
}

bool message_reader::read_number(std::uint64_t& out) {
  out = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return false;
    const auto part = std::to_integer<std::uint64_t>(rest_[0]);
    rest_ = rest_.subspan(1);
    out |= (part & 0x7f) << shift;
    if (part < 0x80) return true;
  }
  return false;
}

bool message_reader::read_string(std::string_view& out) {
  std::uint64_t size = 0;
  if (!read_number(size) || size > rest_.size()) return false;
  out = {reinterpret_cast<const char*>(rest_.data()), static_cast<std::size_t>(size)};
  rest_ = rest_.subspan(static_cast<std::size_t>(size));
  return true;
}

bool message_reader::read_command(command& out, std::vector<std::string_view>& args) {
  if (rest_.empty()) return false;
  out.id = static_cast<command_id>(rest_[0]);
  rest_ = rest_.subspan(1);
  std::uint64_t count = 0;
  if (!read_number(count) || count > rest_.size()) return false;  // each takes a byte at least
  args.resize(static_cast<std::size_t>(count));
  for (auto& arg : args)
    if (!read_string(arg)) return false;
  out.args = args;
  return true;
}

// Answer of a query: agreed time, then per command a byte and a string.
bool decode_answers(std::span<const std::byte> reply, answers& out) {
  message_reader in(reply);
  std::uint64_t time = 0, needs_time = 0;
  out.replies.clear();
  if (!in.read_number(time)) return false;
  out.agreed_us = static_cast<std::int64_t>(time);
  while (!in.at_end()) {
    answer a;
    if (!in.read_number(needs_time) || !in.read_string(a.reply)) return false;
    a.needs_time = needs_time != 0;
    out.replies.push_back(a);
  }
  return true;
}

}  // namespace kv
