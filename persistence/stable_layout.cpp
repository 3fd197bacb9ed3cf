#include "persistence/stable_layout.hpp"

#include "persistence/journal.hpp"

#include <cstring>

namespace cohort::persistence::stable_layout {
namespace {

std::span<const std::byte> raw(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

void add_u64(std::string& out, std::uint64_t n) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(n >> 8 * i);
}

std::uint64_t u64_at(std::string_view from, std::size_t at) {
  std::uint64_t n = 0;
  for (std::size_t i = 8; i-- > 0;) n = n << 8 | static_cast<unsigned char>(from[at + i]);
  return n;
}

std::uint64_t record_sum(std::string_view key, std::uint64_t version, std::string_view bytes) {
  return checksum(raw(bytes), checksum(raw(key), version));
}

std::string printable(std::string_view bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u < 0x7f && c != '\\')
      out += c;
    else
      (out += "\\x") += {digits[u >> 4], digits[u & 15]};
  }
  return out;
}

}  // namespace

std::string prefix(std::string_view store, kind k) {
  std::string key;
  key += static_cast<char>(store.size());
  key += store;
  key += static_cast<char>(k);
  return key;
}

std::string summary_key(std::string_view store) { return prefix(store, kind::summary); }
std::string value_key(std::string_view store, std::string_view key) { return prefix(store, kind::value).append(key); }
std::string log_key(std::string_view store, std::string_view log) { return prefix(store, kind::log).append(log); }

std::string entry_prefix(std::string_view store, std::string_view log) {
  auto key = prefix(store, kind::entry);
  key += static_cast<char>(log.size());
  return key.append(log);
}

std::string entry_key(std::string_view store, std::string_view log, std::uint64_t number) {
  auto key = entry_prefix(store, log);
  for (int i = 7; i >= 0; --i) key += static_cast<char>(number >> 8 * i);
  return key;
}

std::uint64_t entry_number(std::string_view key) {
  std::uint64_t n = 0;
  for (std::size_t i = key.size() - std::min<std::size_t>(8, key.size()); i < key.size(); ++i)
    n = n << 8 | static_cast<unsigned char>(key[i]);
  return n;
}

std::string describe(std::string_view key) {
  const std::size_t name = key.empty() ? 0 : static_cast<unsigned char>(key[0]);
  if (key.size() < name + 2) return "the record under the impossible key \"" + printable(key) + '"';
  const auto rest = key.substr(name + 2);
  std::string what;
  switch (static_cast<kind>(key[name + 1])) {
    case kind::summary:
      what = "the summary";
      break;
    case kind::value:
      what = "key \"" + printable(rest) + '"';
      break;
    case kind::log:
      what = "the bounds of log \"" + printable(rest) + '"';
      break;
    case kind::entry: {
      const std::size_t log = rest.empty() ? 0 : static_cast<unsigned char>(rest[0]);
      what = "record " + std::to_string(entry_number(key)) + " of log \"" +
             printable(rest.substr(std::min<std::size_t>(1, rest.size()), log)) + '"';
      break;
    }
    default:
      what = "a record of unknown kind";
      break;
  }
  return what + " of store \"" + printable(key.substr(1, name)) + '"';
}

std::string encode(std::string_view key, std::uint64_t version, std::string_view bytes) {
  std::string out;
  out.reserve(record_header_bytes + bytes.size());
  add_u64(out, record_sum(key, version, bytes));
  add_u64(out, version);
  return out.append(bytes);
}

std::optional<record> decode(std::string_view key, std::string_view stored) {
  if (stored.size() < record_header_bytes) return std::nullopt;
  const record r{u64_at(stored, 0), u64_at(stored, 8), stored.substr(record_header_bytes)};
  if (record_sum(key, r.version, r.bytes) != r.sum) return std::nullopt;
  return r;
}

std::string encode(const summary& s) {
  std::string out;
  add_u64(out, s.token);
  add_u64(out, s.bytes);
  return out;
}

std::optional<summary> decode_summary(std::string_view bytes) {
  if (bytes.size() != 16) return std::nullopt;
  return summary{u64_at(bytes, 0), u64_at(bytes, 8)};
}

std::string encode(const stable_log_range& r) {
  std::string out;
  add_u64(out, r.first);
  add_u64(out, r.last);
  return out;
}

std::optional<stable_log_range> decode_range(std::string_view bytes) {
  if (bytes.size() != 16) return std::nullopt;
  return stable_log_range{u64_at(bytes, 0), u64_at(bytes, 8)};
}

std::string encode(const commit_record& r) {
  std::string out;
  add_u64(out, r.format);
  for (const auto n : {r.transaction, r.serial, r.id, r.records, r.sum}) add_u64(out, n);
  add_u64(out, checksum(raw(out), r.format));
  return out;
}

std::optional<commit_record> decode_commit(std::string_view bytes) {
  if (bytes.size() < 16) return std::nullopt;
  commit_record r;
  r.format = static_cast<std::uint32_t>(u64_at(bytes, 0));
  const auto body = bytes.substr(0, bytes.size() - 8);
  if (checksum(raw(body), r.format) != u64_at(bytes, body.size())) return std::nullopt;
  // Every format begins with its number and the transaction, so that another one is told from damage.
  r.transaction = u64_at(bytes, 8);
  if (r.format != format_version) return r;
  if (bytes.size() != 56) return std::nullopt;
  r.serial = u64_at(bytes, 16);
  r.id = u64_at(bytes, 24);
  r.records = u64_at(bytes, 32);
  r.sum = u64_at(bytes, 40);
  return r;
}

commit_facts facts(std::span<const std::byte> bytes) {
  const auto r = decode_commit({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!r) return {};
  return {true, r->transaction, true};
}

}  // namespace cohort::persistence::stable_layout
