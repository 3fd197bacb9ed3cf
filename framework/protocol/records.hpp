#pragma once

#include "framework/protocol/outputs.hpp"

#include <functional>
#include <string>

namespace cohort::protocol {

/// 64-bit checksum over bytes, handed in so that the core depends on no library. Production and simulation use XXH3-64.
using checksum_fn = std::uint64_t (*)(std::span<const std::byte> bytes, std::uint64_t seed);

/// Version of the record layout; a journal with a larger one is refused. Older ones are read: those of version 1 know no orders
/// but T, those of version 2 no large messages in parts, those of version 3 no lanes that are over, those of
/// version 4 no limits but the default ones, those of version 5 no partitionable groups, those of version 6 no group that moves between
/// memory and disks.
inline constexpr std::uint16_t record_version = 7;

enum class record_type : std::uint8_t {
  batch = 1,
  entry = 2,
  truncate = 3,
  state = 4,
  install = 5,
  mark = 6,
  component = 7
};

/// Rules of a view alone, with the version of their layout in front.
std::vector<std::byte> encode_options(const view_options& o);
/// False if the bytes are none of ours; `out` is then unspecified.
bool decode_options(std::span<const std::byte> bytes, view_options& out);

/// Record = fixed header {u64 checksum, u64 position, u32 group, u32 length, u16 version, u8 type, u8 0, u32 0} and
/// `length` bytes of body, all little endian. A batch's body ends with its blob. The checksum covers everything behind
/// itself and is seeded with the position, so a record found at another position than its own is recognised:
/// checksum = sum(header and body without the blob, seed = sum(blob, seed = position)).
/// Chained like this a writer may gather the two parts without joining them first (docs/journal.md).
inline constexpr std::size_t record_header_bytes = 32;

/// Bytes that `encode_record` will write for `op`; 0 for operations which are not journal records
/// (`persist_chunk`, `persist_trim`, `persist_release`: persistence executes those itself).
std::size_t record_bytes(const persist_op& op);

/// Writes the record into `out`, which has `record_bytes(op)` bytes.
void encode_record(std::uint32_t group, const persist_op& op, checksum_fn sum, std::span<std::byte> out);

/// The same in two parts for writers that gather: fills `head` (reused; header and body up to the blob) and returns the
/// blob that follows it, empty for all but batches.
std::span<const std::byte> encode_record_head(std::uint32_t group, const persist_op& op, checksum_fn sum,
                                              std::vector<std::byte>& head);

/// Total bytes of the record that begins with these, taken from its unverified header; 0 if they are no header.
std::size_t record_length(std::span<const std::byte> front);

/// A record read back. `what` holds one of the alternatives that are records.
struct decoded_record {
  std::uint32_t group = 0;
  persist_op op;
};

enum class record_error : std::uint8_t { none, too_short, bad_checksum, wrong_position, wrong_version, malformed };

/// Decodes and verifies; `bytes` is exactly one record, and may hold anything. `expected` is the position under which the
/// record was stored. Payloads are copied into memory of their own (the journal's page may be recycled).
record_error decode_record(std::span<const std::byte> bytes, journal_position expected, checksum_fn sum,
                           decoded_record& out);

const char* to_string(record_error e);

/// A mark with its view as bytes: heads a checkpoint (chunk 0 on the wire, and beside the chunks on disk).
/// Carries its own checksum. `chunks` is the number of state chunks.
std::vector<std::byte> encode_mark(const mark& m, std::uint32_t chunks, checksum_fn sum);
record_error decode_mark(std::span<const std::byte> bytes, checksum_fn sum, mark& out, std::uint32_t& chunks);


}  // namespace cohort::protocol
