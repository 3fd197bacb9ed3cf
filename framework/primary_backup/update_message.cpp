#include "framework/primary_backup/update_message.hpp"

#include "framework/protocol/bytes.hpp"

namespace cohort::primary_backup {
namespace {

constexpr std::size_t count_at = 1 + 4 * 8;
constexpr std::size_t settled_bytes_min = 8 + 4 + 4;

}  // namespace

void update_writer::put(std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i, value >>= 8) bytes_.push_back(static_cast<std::byte>(value & 0xff));
}

void update_writer::begin(const update_head& head) {
  bytes_.clear();
  count_ = 0;
  put(static_cast<std::uint64_t>(frame::update), 1);
  put(head.office, 8);
  put(head.attempt, 8);
  put(head.start, 8);
  put(head.base, 8);
  put(0, 4);
}

void update_writer::add(const settled_request& one) {
  ++count_;
  put(one.position, 8);
  put(one.change.size(), 4);
  put(one.answer.size(), 4);
  bytes_.insert(bytes_.end(), one.change.begin(), one.change.end());
  bytes_.insert(bytes_.end(), one.answer.begin(), one.answer.end());
}

std::span<const std::byte> update_writer::finish() {
  for (unsigned i = 0; i < 4; ++i) bytes_[count_at + i] = static_cast<std::byte>(count_ >> (8 * i) & 0xff);
  return bytes_;
}

std::vector<std::byte> encode(const death_tale& t) {
  std::vector<std::byte> bytes{static_cast<std::byte>(frame::tale)};
  for (const std::uint64_t value : {t.office, t.position})
    for (unsigned i = 0; i < 8; ++i) bytes.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
  return bytes;
}

std::optional<death_tale> read_tale(std::span<const std::byte> message) {
  protocol::byte_reader in(message);
  if (in.get<std::uint8_t>() != static_cast<std::uint8_t>(frame::tale)) return {};
  death_tale t;
  t.office = in.get<std::uint64_t>();
  t.position = in.get<std::uint64_t>();
  if (in.failed() || !in.rest().empty()) return {};
  return t;
}

std::optional<update_head> update_reader::read(std::span<const std::byte> message, std::vector<settled_request>& into) {
  into.clear();
  protocol::byte_reader in(message);
  if (in.get<std::uint8_t>() != static_cast<std::uint8_t>(frame::update)) return {};
  update_head head;
  head.office = in.get<std::uint64_t>();
  head.attempt = in.get<std::uint64_t>();
  head.start = in.get<std::uint64_t>();
  head.base = in.get<std::uint64_t>();
  head.count = static_cast<std::uint32_t>(in.get_count(settled_bytes_min, message.size()));
  for (std::uint32_t i = 0; i < head.count && !in.failed(); ++i) {
    settled_request one;
    one.position = in.get<std::uint64_t>();
    const std::size_t change = in.get<std::uint32_t>();
    const std::size_t answer = in.get<std::uint32_t>();
    one.change = in.get_bytes(change);
    one.answer = in.get_bytes(answer);
    into.push_back(one);
  }
  if (in.failed() || !in.rest().empty()) return {};
  return head;
}

}  // namespace cohort::primary_backup
