#pragma once

// The fields of records and marks, byte for byte: for records.cpp and the two that write and read them.
#include "framework/protocol/bytes.hpp"
#include "framework/protocol/lanes.hpp"
#include "framework/protocol/records.hpp"

#include <concepts>

namespace cohort::protocol::layout {

inline constexpr std::size_t batch_fixed_bytes_v1 = 2 + 2 + 4 + 4 * 8;
inline constexpr std::size_t batch_fixed_bytes_v2 = batch_fixed_bytes_v1 + 8 + 4 + 4 + 8;
inline constexpr std::size_t batch_fixed_bytes = batch_fixed_bytes_v2 + 8 + 4 + 4;
inline constexpr std::size_t roster_bytes = 2 + 8 + 8 + 1, burnt_bytes = 2 + 8, note_bytes = 2 + 8 + 1, extra_bytes = 2 + 8;
inline constexpr std::size_t lane_bytes = 2 + 8 + 1, ended_lane_bytes = lane_bytes + 8 + 8 + 4, run_bytes = lane_bytes + 3 * 8;
inline constexpr std::size_t options_bytes = 5 + 2 * 2 + 6 * 8 + 2 * 4 + 3 * 8;
inline constexpr std::size_t lanes_max = no_slot;  // slots are 16 bits wide, no_slot is none
inline constexpr std::size_t extras_max = lanes_max * lane_ahead_max;

/// What the journal carries out itself, and writes no record of.
template <class Op>
concept carried_out = std::same_as<Op, persist_chunk> || std::same_as<Op, persist_trim> || std::same_as<Op, persist_release>;

constexpr record_type type_of(const persist_batch&) { return record_type::batch; }
constexpr record_type type_of(const persist_entry&) { return record_type::entry; }
constexpr record_type type_of(const persist_truncate&) { return record_type::truncate; }
constexpr record_type type_of(const persist_state&) { return record_type::state; }
constexpr record_type type_of(const persist_install&) { return record_type::install; }
constexpr record_type type_of(const persist_component&) { return record_type::component; }

// ---- record_encoding.cpp: what lies before the blob -------------------------------------------------------------------

std::size_t head_size(const persist_batch& b);
std::size_t head_size(const persist_entry& e);
std::size_t head_size(const persist_truncate& t);
std::size_t head_size(const persist_state& s);
std::size_t head_size(const persist_install& i);
std::size_t head_size(const persist_component& c);
std::size_t mark_size(const mark& m);

void put(byte_writer& w, const persist_batch& b);
void put(byte_writer& w, const persist_entry& e);
void put(byte_writer& w, const persist_truncate& t);
void put(byte_writer& w, const persist_state& s);
void put(byte_writer& w, const persist_install& i);
void put(byte_writer& w, const persist_component& c);
void put(byte_writer& w, const mark& m);
void put(byte_writer& w, const view_options& o);

// ---- record_decoding.cpp: of any version that is read; the reader fails where the bytes are none of ours ----------------

persist_batch get_batch(byte_reader& r, std::uint16_t version, std::span<const std::byte> blob);
persist_entry get_entry(byte_reader& r, std::uint16_t version);
persist_truncate get_truncate(byte_reader& r);
persist_state get_state(byte_reader& r, std::uint16_t version);
persist_install get_install(byte_reader& r, std::uint16_t version);
persist_component get_component(byte_reader& r);
mark get_mark(byte_reader& r, std::uint16_t version);
view_options get_options(byte_reader& r, std::uint16_t version);

}  // namespace cohort::protocol::layout
