#pragma once

#include "persistence/inspection.hpp"

#include <cohort/stable_store.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What lies where in `stable.mdb` (docs/stable_storage.md). Numbers are little endian except in keys, which sort as
/// bytes.
namespace cohort::persistence::stable_layout {

inline constexpr std::uint32_t format_version = 1;
inline constexpr const char* data_file = "stable.mdb";
inline constexpr const char* database = "records";
inline constexpr std::string_view commit_key = "commit";

/// Kinds of records of a store; a key is {u8 length of the store's name, name, u8 kind, rest}.
enum class kind : std::uint8_t {
  summary = 0,  ///< one per store, no rest
  value = 1,    ///< rest: the application's key
  log = 2,      ///< a log's bounds; rest: its name
  entry = 3,    ///< rest: u8 length of the log's name, name, u64 big endian number
};
std::string prefix(std::string_view store, kind k);
std::string summary_key(std::string_view store);
std::string value_key(std::string_view store, std::string_view key);
std::string log_key(std::string_view store, std::string_view log);
std::string entry_prefix(std::string_view store, std::string_view log);
std::string entry_key(std::string_view store, std::string_view log, std::uint64_t number);
std::uint64_t entry_number(std::string_view key);  ///< of an entry's key
/// For messages. Any bytes may be given.
std::string describe(std::string_view key);

/// A record = {u64 checksum of key, version and bytes, u64 version, bytes}. The version is the serial of the commit
/// that wrote it: of two sound records under one key the one with the higher version is the newer one.
inline constexpr std::size_t record_header_bytes = 16;
struct record {
  std::uint64_t sum = 0;
  std::uint64_t version = 0;
  std::string_view bytes;
};
std::string encode(std::string_view key, std::uint64_t version, std::string_view bytes);
/// Nothing if it is not what was written under this key.
std::optional<record> decode(std::string_view key, std::string_view stored);

/// Of a store.
struct summary {
  std::uint64_t token = 0;
  std::uint64_t bytes = 0;  ///< keys and values, what the quota counts
};
std::string encode(const summary& s);
std::optional<summary> decode_summary(std::string_view bytes);

std::string encode(const stable_log_range& r);
std::optional<stable_log_range> decode_range(std::string_view bytes);

/// Written by every commit: ties the meta page to its transaction, and the records to their number and their sum, so
/// that a record that is missing, stale or too many is missed although it has no checksum of its own to tell.
struct commit_record {
  std::uint32_t format = format_version;
  std::uint64_t transaction = 0;  ///< LMDB's, of this file
  std::uint64_t serial = 0;       ///< of commits, the same in both copies
  std::uint64_t id = 0;           ///< random, of the storage; the same in both copies
  std::uint64_t records = 0;
  std::uint64_t sum = 0;  ///< of the records' checksums, modulo 2^64
};
std::string encode(const commit_record& r);
std::optional<commit_record> decode_commit(std::string_view bytes);  ///< the format may be another one
commit_facts facts(std::span<const std::byte> bytes);

}  // namespace cohort::persistence::stable_layout
