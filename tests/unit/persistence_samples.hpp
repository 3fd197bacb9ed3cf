#pragma once

#include "framework/protocol/records.hpp"
#include "persistence/journal.hpp"

#include <cstring>
#include <numeric>
#include <string>
#include <vector>

/// Values for tests of records and of the journal.
namespace cohort::persistence::samples {

inline protocol::payload sample_payload(const std::vector<std::string>& texts) {
  struct memory {
    std::vector<std::uint32_t> sizes;
    std::string blob;
  };
  auto m = std::make_shared<memory>();
  for (const auto& t : texts) {
    m->sizes.push_back(static_cast<std::uint32_t>(t.size()));
    m->blob += t;
  }
  return {m, m->sizes, std::as_bytes(std::span(m->blob))};
}

inline std::vector<std::string> messages(const protocol::payload& p) {
  std::vector<std::string> result;
  std::size_t at = 0;
  for (const auto size : p.sizes) {
    result.emplace_back(reinterpret_cast<const char*>(p.blob.data()) + at, size);
    at += size;
  }
  return result;
}

inline protocol::bytes_ptr sample_bytes(const std::string& text) {
  const auto all = std::as_bytes(std::span(text));
  return std::make_shared<const std::vector<std::byte>>(all.begin(), all.end());
}

inline protocol::batch sample_batch(sequence seq, const std::vector<std::string>& texts, member_id owner = no_member,
                                    incarnation inc = 0) {
  return {3, 1, seq, 0x1234'5678'9abc'def0u, sample_payload(texts), owner, inc, order::total, 0, {}, {}, {}};
}

/// One of a group in which orders are mixed.
inline protocol::batch sample_causal_batch(sequence seq, const std::vector<std::string>& texts) {
  auto b = sample_batch(seq, texts, member_id{1}, 9);
  b.cls = order::safe_causal;
  b.tdep = 41;
  b.deadline = wall_time{1'700'000'000'000'001};
  b.deps = {0, 7, 0xffff'ffff'ffu};
  if (texts.size() == 1) b.part = {3, true, 2};
  return b;
}

inline protocol::view_ptr sample_view() {
  protocol::view v;
  v.number = 6;
  v.roster = {{{member_id{0}, 11}, 5, true, true}, {{member_id{1}, 12}, 0, true, false}, {{member_id{1}, 13}, 9, false, true}};
  v.burnt = {{member_id{0}, 5}, {member_id{1}, 9}};
  v.notes = {{{member_id{1}, 13}, protocol::view_cause::joined}};
  v.options.orders = {order::fifo, order::total};
  v.options.min_copies = 2;
  v.options.retain_bytes = 1u << 20;
  v.kinds = protocol::kinds_of(v.options.orders);
  v.barred = {member_id{4}, member_id{7}};
  v.admitted = 5;
  v.options.suspect_at = 9000;
  v.options.lease = std::chrono::milliseconds(200);
  v.options.clock_rate_ppm = 50;
  v.options.clock_margin = std::chrono::milliseconds(3);
  v.options.message_bytes_max = 4u << 20;
  v.largest_message = 32u << 20;
  return std::make_shared<const protocol::view>(std::move(v));
}

inline protocol::entry sample_entry(log_index index, term_number term) {
  return {index, term, protocol::entry_kind::cut, wall_time{1'700'000'000'000'000}, {index, 0xffff'ffff'ffu}, nullptr};
}

inline protocol::entry sample_view_entry(log_index index, term_number term) {
  return {index, term, protocol::entry_kind::view, wall_time{-5}, {1, 2}, sample_view(), {{0, 4}, {2, 9}}};
}

inline protocol::mark sample_mark(log_index index) { return {index, 3, wall_time{99}, {7, 8}, sample_view(), 1000}; }

inline protocol::hard_state sample_state(term_number term) {
  return {term, {member_id{1}, 12}, 4, 2, sample_mark(1), 77, 3};
}

/// Puts the right checksum on a record that was changed: its blob starts behind dependencies and sizes, if it has one.
inline void sign(std::span<std::byte> record, protocol::journal_position position) {
  std::size_t head = record.size();
  constexpr std::size_t fixed = 32 + 80;
  if (record[26] == std::byte{1} && record.size() >= fixed) {
    std::uint32_t sizes = 0, deps = 0;
    std::memcpy(&sizes, record.data() + 36, 4);
    std::memcpy(&deps, record.data() + 80, 4);
    const auto end = fixed + 4 * std::uint64_t{sizes} + 8 * std::uint64_t{deps};
    if (end <= record.size()) head = static_cast<std::size_t>(end);
  }
  const auto sum = checksum(record.first(head).subspan(8), checksum(record.subspan(head), position));
  std::memcpy(record.data(), &sum, 8);
}

}  // namespace cohort::persistence::samples
