#pragma once

#include "framework/protocol/group_number.hpp"
#include "persistence/inspection.hpp"
#include "persistence/journal.hpp"

#include <array>
#include <optional>

/// What lies where in the data file (docs/journal.md). Numbers are little endian except in keys that must sort as bytes.
namespace cohort::persistence::layout {

inline constexpr std::uint32_t format_version = 1;
inline constexpr std::uint32_t groups_max = group_places;
inline constexpr std::size_t name_bytes_max = 255;

inline constexpr const char* data_file = "journal.mdb";
inline constexpr const char* new_file = "journal.mdb.new";
inline constexpr const char* lock_file = "lock";

inline constexpr const char* node_database = "node";
inline constexpr const char* state_database = "state";
inline constexpr const char* checkpoint_database = "checkpoints";
inline constexpr std::string_view commit_key = "commit";
inline constexpr std::string_view owner_key = "owner";
std::string journal_database(std::uint32_t group);
std::string group_key(std::uint32_t group);  ///< in `node` and `state`

/// Key of a piece of a record: records are cut into pieces that fill one page each, so that the file never needs runs of
/// free pages and cannot be ruined by fragmentation.
inline constexpr int piece_bits = 20;
constexpr std::uint64_t row_key(protocol::journal_position position, std::uint64_t piece) {
  return position << piece_bits | piece;
}
constexpr protocol::journal_position position_of(std::uint64_t row) { return row >> piece_bits; }
constexpr std::uint64_t piece_of(std::uint64_t row) { return row & ((std::uint64_t{1} << piece_bits) - 1); }
inline constexpr protocol::journal_position position_max = (std::uint64_t{1} << (64 - piece_bits)) - 1;

/// What a group must have, so that what is missing is missed: a rotten key would otherwise look like nothing at all.
/// Records at positions `first` to `last` in `rows` rows, all 0 when there are none.
struct extent {
  protocol::journal_position first = 0, last = 0;
  std::uint64_t rows = 0;
  log_index checkpoint = 0;  ///< the newest complete one's
  bool journaled = false, has_state = false, has_checkpoint = false;
};

/// Written by every commit: ties the meta page to its transaction, and the journals to their extents.
struct commit_record {
  std::uint64_t transaction = 0;
  bool judge_older = true;  ///< both meta pages are sound after any crash: not promised under one_flush
  std::array<std::optional<extent>, groups_max> extents;
};
void encode(const commit_record& r, std::vector<std::byte>& out);
bool decode(std::span<const std::byte> bytes, commit_record& out);
commit_facts facts(std::span<const std::byte> bytes);

struct owner_record {
  std::uint32_t version = format_version;
  persistence::identity who;
};
std::vector<std::byte> encode(const owner_record& r);
/// The version is decoded even when it is not ours, so that the message can name it.
bool decode(std::span<const std::byte> bytes, owner_record& out);

struct group_record {
  group_options group;
  bool founded = false;
  bool leaves = false;  ///< it is being forgotten: what is still there of it is of no use
};
std::vector<std::byte> encode(const group_record& r);
bool decode(std::span<const std::byte> bytes, group_record& out);

/// Key of a piece of a checkpoint's chunk; sorts by group, index, number, piece.
struct chunk_key {
  std::uint32_t group = 0;
  log_index index = 0;
  std::uint32_t number = 0;
  std::uint32_t piece = 0;
};
inline constexpr std::size_t chunk_key_bytes = 20;
std::array<std::byte, chunk_key_bytes> encode(const chunk_key& k);
bool decode(std::span<const std::byte> bytes, chunk_key& out);

/// Chunk = {u64 checksum, u64 index, u32 group, u32 number, u64 length} and the data.
inline constexpr std::size_t chunk_header_bytes = 32;
inline constexpr std::uint64_t chunk_data_max = std::uint64_t{1} << 31;
std::array<std::byte, chunk_header_bytes> chunk_header(const chunk_key& k, std::span<const std::byte> data);
/// Bytes of the whole chunk from its header, 0 if impossible.
std::uint64_t chunk_length(std::span<const std::byte> front);
/// `bytes` = header and data.
bool chunk_sound(const chunk_key& k, std::span<const std::byte> bytes);

}  // namespace cohort::persistence::layout
