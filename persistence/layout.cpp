#include "persistence/layout.hpp"

#include "framework/protocol/bytes.hpp"

namespace cohort::persistence::layout {
namespace {

using protocol::byte_reader;
using protocol::byte_writer;

// A value's checksum is seeded by its kind, so that one is never taken for the other.
enum class seed : std::uint64_t { commit = 1, owner = 2, group = 3, chunk = 4 };

void sign(std::span<std::byte> value, seed s) {
  byte_writer(value).put(checksum(value.subspan(8), static_cast<std::uint64_t>(s)));
}

bool signed_right(std::span<const std::byte> value, seed s) {
  return value.size() >= 8 &&
         byte_reader(value).get<std::uint64_t>() == checksum(value.subspan(8), static_cast<std::uint64_t>(s));
}

std::string two_digits(std::uint32_t n) { return {static_cast<char>('0' + n / 10), static_cast<char>('0' + n % 10)}; }

void put_text(byte_writer& w, const std::string& text) {
  w.put(static_cast<std::uint32_t>(text.size()));
  w.put_bytes(std::as_bytes(std::span(text.data(), text.size())));
}

std::string get_text(byte_reader& r) {
  const std::size_t size = r.get_count(1, name_bytes_max);
  const auto bytes = r.rest();
  if (r.failed() || bytes.size() < size) return {};
  std::string text(reinterpret_cast<const char*>(bytes.data()), size);
  for (std::size_t i = 0; i < size; ++i) r.get<std::uint8_t>();
  return text;
}

constexpr std::size_t extent_bytes = 2 * 4 + 4 * 8;

template <class T>
void put_big_endian(std::span<std::byte> out, T value) {
  for (std::size_t i = sizeof(T); i-- > 0; value = static_cast<T>(value >> 8)) out[i] = static_cast<std::byte>(value & 0xff);
}
template <class T>
T get_big_endian(std::span<const std::byte> in) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value << 8 | std::to_integer<T>(in[i]));
  return value;
}

}  // namespace

std::string journal_database(std::uint32_t group) { return "journal/" + two_digits(group); }
std::string group_key(std::uint32_t group) { return "group/" + two_digits(group); }

void encode(const commit_record& r, std::vector<std::byte>& out) {
  std::uint32_t count = 0;
  for (const auto& e : r.extents) count += e.has_value();
  out.resize(8 + 8 + 4 + 4 + count * extent_bytes);
  byte_writer w{std::span<std::byte>(out)};
  w.put(std::uint64_t{0});
  w.put(r.transaction);
  w.put(static_cast<std::uint32_t>(r.judge_older));
  w.put(count);
  for (std::uint32_t g = 0; g < groups_max; ++g) {
    if (!r.extents[g]) continue;
    w.put(g);
    const auto& e = *r.extents[g];
    w.put((e.journaled ? 1u : 0u) | (e.has_state ? 2u : 0u) | (e.has_checkpoint ? 4u : 0u));
    w.put(e.first);
    w.put(e.last);
    w.put(e.rows);
    w.put(e.checkpoint);
  }
  sign(out, seed::commit);
}

bool decode(std::span<const std::byte> bytes, commit_record& out) {
  if (!signed_right(bytes, seed::commit)) return false;
  byte_reader r(bytes.subspan(8));
  out.transaction = r.get<std::uint64_t>();
  out.judge_older = r.get<std::uint32_t>() != 0;
  const auto count = r.get_count(extent_bytes, groups_max);
  for (std::size_t i = 0; i < count; ++i) {
    const auto group = r.get<std::uint32_t>();
    if (group >= groups_max) return false;
    auto& e = out.extents[group].emplace();
    const auto flags = r.get<std::uint32_t>();
    e.journaled = flags & 1;
    e.has_state = flags & 2;
    e.has_checkpoint = flags & 4;
    e.first = r.get<std::uint64_t>();
    e.last = r.get<std::uint64_t>();
    e.rows = r.get<std::uint64_t>();
    e.checkpoint = r.get<std::uint64_t>();
  }
  return !r.failed() && r.rest().empty();
}

commit_facts facts(std::span<const std::byte> bytes) {
  commit_record r;
  if (!decode(bytes, r)) return {};
  return {true, r.transaction, r.judge_older};
}

std::vector<std::byte> encode(const owner_record& r) {
  std::vector<std::byte> out(8 + 4 + 8 + 4 + r.who.node.size());
  byte_writer w{std::span<std::byte>(out)};
  w.put(std::uint64_t{0});
  w.put(r.version);
  w.put(r.who.directory_id);
  put_text(w, r.who.node);
  sign(out, seed::owner);
  return out;
}

bool decode(std::span<const std::byte> bytes, owner_record& out) {
  if (!signed_right(bytes, seed::owner)) return false;
  byte_reader r(bytes.subspan(8));
  out.version = r.get<std::uint32_t>();
  if (out.version != format_version) return !r.failed();
  out.who.directory_id = r.get<std::uint64_t>();
  out.who.node = get_text(r);
  return !r.failed() && r.rest().empty();
}

std::vector<std::byte> encode(const group_record& r) {
  std::vector<std::byte> out(8 + 4 + 8 + 1 + 1 + 4 + r.group.name.size());
  byte_writer w{std::span<std::byte>(out)};
  w.put(std::uint64_t{0});
  w.put(r.group.index);
  w.put(r.group.epoch);
  w.put(static_cast<std::uint8_t>(r.group.is_volatile));
  w.put(static_cast<std::uint8_t>((r.founded ? 1 : 0) | (r.leaves ? 2 : 0)));
  put_text(w, r.group.name);
  sign(out, seed::group);
  return out;
}

bool decode(std::span<const std::byte> bytes, group_record& out) {
  if (!signed_right(bytes, seed::group)) return false;
  byte_reader r(bytes.subspan(8));
  out.group.index = r.get<std::uint32_t>();
  out.group.epoch = r.get<std::uint64_t>();
  out.group.is_volatile = r.get<std::uint8_t>() != 0;
  const auto marks = r.get<std::uint8_t>();
  out.founded = marks & 1;
  out.leaves = marks & 2;
  out.group.name = get_text(r);
  return !r.failed() && r.rest().empty() && out.group.index < groups_max;
}

std::array<std::byte, chunk_key_bytes> encode(const chunk_key& k) {
  std::array<std::byte, chunk_key_bytes> out;
  const std::span<std::byte> s = out;
  put_big_endian(s.subspan(0, 4), k.group);
  put_big_endian(s.subspan(4, 8), k.index);
  put_big_endian(s.subspan(12, 4), k.number);
  put_big_endian(s.subspan(16, 4), k.piece);
  return out;
}

bool decode(std::span<const std::byte> bytes, chunk_key& out) {
  if (bytes.size() != chunk_key_bytes) return false;
  out.group = get_big_endian<std::uint32_t>(bytes);
  out.index = get_big_endian<std::uint64_t>(bytes.subspan(4));
  out.number = get_big_endian<std::uint32_t>(bytes.subspan(12));
  out.piece = get_big_endian<std::uint32_t>(bytes.subspan(16));
  return true;
}

namespace {
std::uint64_t chunk_checksum(std::span<const std::byte> header, std::span<const std::byte> data) {
  return checksum(header.subspan(8), checksum(data, static_cast<std::uint64_t>(seed::chunk)));
}
}  // namespace

std::array<std::byte, chunk_header_bytes> chunk_header(const chunk_key& k, std::span<const std::byte> data) {
  std::array<std::byte, chunk_header_bytes> out;
  byte_writer w{std::span<std::byte>(out)};
  w.put(std::uint64_t{0});
  w.put(k.index);
  w.put(k.group);
  w.put(k.number);
  w.put(static_cast<std::uint64_t>(data.size()));
  byte_writer{std::span<std::byte>(out)}.put(chunk_checksum(out, data));
  return out;
}

std::uint64_t chunk_length(std::span<const std::byte> front) {
  if (front.size() < chunk_header_bytes) return 0;
  const auto length = byte_reader(front.subspan(24)).get<std::uint64_t>();
  return length <= chunk_data_max ? chunk_header_bytes + length : 0;
}

bool chunk_sound(const chunk_key& k, std::span<const std::byte> bytes) {
  if (chunk_length(bytes) != bytes.size()) return false;
  byte_reader r(bytes);
  const auto sum = r.get<std::uint64_t>();
  return r.get<std::uint64_t>() == k.index && r.get<std::uint32_t>() == k.group && r.get<std::uint32_t>() == k.number &&
         sum == chunk_checksum(bytes.first(chunk_header_bytes), bytes.subspan(chunk_header_bytes));
}

}  // namespace cohort::persistence::layout
