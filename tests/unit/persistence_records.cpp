#include "framework/protocol/bytes.hpp"
#include "framework/protocol/records.hpp"
#include "persistence/journal.hpp"
#include "tests/unit/persistence_samples.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::protocol;
using namespace cohort::persistence::samples;

namespace {

std::vector<std::byte> encoded(const persist_op& op, std::uint32_t group = 3) {
  std::vector<std::byte> bytes(record_bytes(op));
  encode_record(group, op, persistence::checksum, bytes);
  return bytes;
}

record_error decoded(std::span<const std::byte> bytes, journal_position expected, decoded_record& out) {
  return decode_record(bytes, expected, persistence::checksum, out);
}

/// Every kind of record, with the odd shapes: empty batch, empty message, no view, no frontier.
std::vector<persist_op> all_kinds() {
  return {{1, persist_batch{sample_batch(1, {"a", "", "three"}, member_id{2}, 77)}},
          {2, persist_batch{sample_batch(2, {}, member_id{0}, 1)}},
          {3, persist_entry{sample_entry(9, 4)}},
          {4, persist_entry{sample_view_entry(10, 4)}},
          {5, persist_truncate{8}},
          {6, persist_state{sample_state(5)}},
          {7, persist_state{}},
          {8, persist_install{sample_mark(42), 17}},
          {9, persist_batch{sample_causal_batch(3, {"c", ""})}},
          {10, persist_component{sample_bytes("what a process has promised")}}};
}

}  // namespace

/// A record of an older version, whose body ends with `blob` bytes of payload.
std::vector<std::byte> old_record(std::uint16_t version, record_type type, journal_position position, const std::vector<std::byte>& body,
                                  std::size_t blob) {
  std::vector<std::byte> bytes(record_header_bytes + body.size());
  byte_writer w(bytes);
  w.put(std::uint64_t{0});
  w.put(position);
  w.put(std::uint32_t{3});
  w.put(static_cast<std::uint32_t>(body.size()));
  w.put(version);
  w.put(static_cast<std::uint8_t>(type));
  w.put(std::uint8_t{0});
  w.put(std::uint32_t{0});
  w.put_bytes(body);
  const auto all = std::span<const std::byte>(bytes);
  const auto sum = persistence::checksum(all.subspan(8, all.size() - 8 - blob), persistence::checksum(all.last(blob), position));
  byte_writer(bytes).put(sum);
  return bytes;
}

TEST_SUITE("records") {
  TEST_CASE("what was encoded comes back, byte for byte when encoded again") {
    for (const auto& op : all_kinds()) {
      CAPTURE(op.position);
      const auto bytes = encoded(op);
      REQUIRE(bytes.size() == record_length(bytes));
      decoded_record back;
      REQUIRE(decoded(bytes, op.position, back) == record_error::none);
      CHECK(back.group == 3);
      CHECK(back.op.position == op.position);
      CHECK(back.op.what.index() == op.what.index());
      CHECK(encoded(back.op) == bytes);
    }
    decoded_record back;
    const auto ops = all_kinds();
    REQUIRE(decoded(encoded(ops[0]), 1, back) == record_error::none);
    const auto& b = std::get<persist_batch>(back.op.what);
    CHECK(b.what.owner == member_id{2});
    CHECK(b.what.inc == 77);
    CHECK(b.what.cls == order::total);
    CHECK(messages(b.what.what) == std::vector<std::string>{"a", "", "three"});
    REQUIRE(decoded(encoded(ops[3]), 4, back) == record_error::none);
    CHECK(*std::get<persist_entry>(back.op.what).what.next == *sample_view());
    CHECK(std::get<persist_entry>(back.op.what).what.extras == sample_view_entry(10, 4).extras);
    REQUIRE(decoded(encoded(ops[7]), 8, back) == record_error::none);
    CHECK(std::get<persist_install>(back.op.what).chunks == 17);
    CHECK(std::get<persist_install>(back.op.what).at.cut == sample_mark(42).cut);
    REQUIRE(decoded(encoded(ops[8]), 9, back) == record_error::none);
    const auto& causal = std::get<persist_batch>(back.op.what).what;
    CHECK(causal.cls == order::safe_causal);
    CHECK(causal.tdep == 41);
    CHECK(causal.deadline == wall_time{1'700'000'000'000'001});
    CHECK(causal.deps == frontier{0, 7, 0xffff'ffff'ffu});
    CHECK(causal.part.whole());
    REQUIRE(decoded(encoded(ops[9]), 10, back) == record_error::none);
    CHECK(*std::get<persist_component>(back.op.what).bytes == *sample_bytes("what a process has promised"));
    auto part = sample_causal_batch(8, {"a part"});
    REQUIRE(decoded(encoded({9, persist_batch{part}}), 9, back) == record_error::none);
    CHECK(std::get<persist_batch>(back.op.what).what.part == message_part{3, true, 2});
  }

  TEST_CASE("a part of a large message stands alone in its batch") {
    auto crowded = sample_causal_batch(8, {"a", "b"});
    crowded.part = {1, false, 2};
    decoded_record back;
    CHECK(decoded(encoded({9, persist_batch{crowded}}), 9, back) == record_error::malformed);
  }

  TEST_CASE("a checkpoint's head tells which lanes are over, and what its receiver had missed; a state record tells neither") {
    auto m = sample_mark(42);
    m.ended = std::make_shared<lane_history>(lane_history{3, {{{member_id{2}, 77, lane_kind::plain}, 5, 9, {11, 14}}}});
    m.missed = std::make_shared<missed_messages>(
      missed_messages{40, 4, 1234, false, {{{member_id{2}, 77, lane_kind::plain}, 5, 3, 9}, {{member_id{1}, 1, lane_kind::causal}, 6, 2, 2}}});
    mark back;
    std::uint32_t chunks = 0;
    const auto bytes = encode_mark(m, 5, persistence::checksum);
    REQUIRE(decode_mark(bytes, persistence::checksum, back, chunks) == record_error::none);
    REQUIRE(back.ended);
    REQUIRE(back.missed);
    CHECK(*back.ended == *m.ended);
    CHECK(*back.missed == *m.missed);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      REQUIRE(decode_mark(std::span(bytes).first(size), persistence::checksum, back, chunks) != record_error::none);
    CHECK_FALSE(back.component);
    decoded_record record;
    REQUIRE(decoded(encoded({8, persist_install{m, 17}}), 8, record) == record_error::none);
    CHECK(*std::get<persist_install>(record.op.what).at.missed == *m.missed);
    persist_state state;
    state.what.base = m;
    REQUIRE(decoded(encoded({8, state}), 8, record) == record_error::none);
    CHECK(!std::get<persist_state>(record.op.what).what.base.missed);
    CHECK(!std::get<persist_state>(record.op.what).what.base.ended);
  }

  TEST_CASE("a checkpoint's head tells where in its view a process of a partitionable group was") {
    auto m = sample_mark(42);
    m.component = sample_bytes("a place");
    mark back;
    std::uint32_t chunks = 0;
    const auto bytes = encode_mark(m, 5, persistence::checksum);
    REQUIRE(decode_mark(bytes, persistence::checksum, back, chunks) == record_error::none);
    REQUIRE(back.component);
    CHECK(*back.component == *m.component);
    for (std::size_t size = 0; size < bytes.size(); ++size)
      REQUIRE(decode_mark(std::span(bytes).first(size), persistence::checksum, back, chunks) != record_error::none);
  }

  TEST_CASE("a record gathered in two parts is the same record") {
    std::vector<std::byte> head;
    for (const auto& op : all_kinds()) {
      const auto blob = encode_record_head(3, op, persistence::checksum, head);
      std::vector<std::byte> joined = head;
      joined.insert(joined.end(), blob.begin(), blob.end());
      CHECK(joined == encoded(op));
    }
  }

  TEST_CASE("operations that persistence executes itself are no records") {
    CHECK(record_bytes({1, persist_chunk{}}) == 0);
    CHECK(record_bytes({1, persist_trim{}}) == 0);
  }

  TEST_CASE("every flipped bit of every kind is noticed") {
    for (const auto& op : all_kinds()) {
      auto bytes = encoded(op);
      for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        bytes[bit / 8] ^= std::byte(1 << bit % 8);
        decoded_record back;
        CAPTURE(op.position);
        CAPTURE(bit);
        REQUIRE(decoded(bytes, op.position, back) != record_error::none);
        bytes[bit / 8] ^= std::byte(1 << bit % 8);
      }
    }
  }

  TEST_CASE("every truncation and every excess byte is noticed") {
    for (const auto& op : all_kinds()) {
      auto bytes = encoded(op);
      decoded_record back;
      for (std::size_t size = 0; size < bytes.size(); ++size)
        REQUIRE(decoded(std::span(bytes).first(size), op.position, back) != record_error::none);
      bytes.push_back(std::byte{0});
      CHECK(decoded(bytes, op.position, back) == record_error::malformed);
    }
  }

  TEST_CASE("a sound record at another position, or of a later format, is refused") {
    const auto ops = all_kinds();
    decoded_record back;
    CHECK(decoded(encoded(ops[2]), 99, back) == record_error::wrong_position);
    auto bytes = encoded(ops[4]);
    bytes[24] = std::byte{record_version + 1};
    sign(bytes, 5);
    CHECK(decoded(bytes, 5, back) == record_error::wrong_version);
  }

  TEST_CASE("hostile bodies under a right checksum stay bounded") {
    // A body of random bytes, or of a real record with random bytes planted, signed as if it were ours.
    std::uint64_t random = 20'240;
    const auto next = [&] { return random = random * 6364136223846793005u + 1442695040888963407u, random >> 33; };
    int accepted = 0;
    for (int round = 0; round < 20'000; ++round) {
      const auto ops = all_kinds();
      auto bytes = encoded(ops[static_cast<std::size_t>(next()) % ops.size()]);
      for (int i = 0; i < 3; ++i) {
        const std::size_t at = record_header_bytes + static_cast<std::size_t>(next()) % (bytes.size() - record_header_bytes);
        bytes[at] = next() % 2 ? std::byte{0xff} : static_cast<std::byte>(next());
      }
      const auto position = static_cast<journal_position>(bytes[8]);
      sign(bytes, position);
      decoded_record back;
      const auto result = decoded(bytes, position, back);
      accepted += result == record_error::none;
      if (result == record_error::none) CHECK(record_bytes(back.op) == bytes.size());
    }
    CHECK(accepted > 0);  // changed numbers are legal; the point is that nothing else gets through
  }

  TEST_CASE("marks and views") {
    const auto m = sample_mark(42);
    auto bytes = encode_mark(m, 5, persistence::checksum);
    mark back;
    std::uint32_t chunks = 0;
    REQUIRE(decode_mark(bytes, persistence::checksum, back, chunks) == record_error::none);
    CHECK(chunks == 5);
    CHECK(back.index == 42);
    CHECK(back.term == m.term);
    CHECK(back.time == m.time);
    CHECK(back.delivered == m.delivered);
    CHECK(back.cut == m.cut);
    CHECK(*back.in_force == *m.in_force);
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
      bytes[bit / 8] ^= std::byte(1 << bit % 8);
      REQUIRE(decode_mark(bytes, persistence::checksum, back, chunks) != record_error::none);
      bytes[bit / 8] ^= std::byte(1 << bit % 8);
    }
    for (std::size_t size = 0; size < bytes.size(); ++size)
      REQUIRE(decode_mark(std::span(bytes).first(size), persistence::checksum, back, chunks) != record_error::none);

  }

  TEST_CASE("a view whose roster is not sorted, or that takes no order at all, is malformed") {
    decoded_record back;
    auto unsorted = *sample_view();
    std::swap(unsorted.roster[0], unsorted.roster[1]);
    auto orderless = *sample_view();
    orderless.options.orders = {};
    for (const auto& v : {unsorted, orderless}) {
      auto e = sample_view_entry(10, 4);
      e.next = std::make_shared<const view>(v);
      CHECK(decoded(encoded({4, persist_entry{e}}), 4, back) == record_error::malformed);
    }
  }

  TEST_CASE("records of version 1 are read: they know no order but total") {
    // As version 1 wrote them, field by field.
    const auto record = [](auto... fields) { return old_record(1, fields...); };
    decoded_record back;
    {
      std::vector<std::byte> body(2 + 2 + 4 + 4 * 8 + 2 * 4 + 3);
      byte_writer w(body);
      w.put(std::uint16_t{2});
      w.put(std::uint16_t{1});
      w.put(std::uint32_t{2});
      for (const std::uint64_t n : {77u, 3u, 5u, 99u}) w.put(n);
      w.put(std::uint32_t{1});
      w.put(std::uint32_t{2});
      for (const char c : {'a', 'b', 'c'}) w.put(static_cast<std::uint8_t>(c));
      REQUIRE(decoded(record(record_type::batch, 7, body, 3), 7, back) == record_error::none);
      const auto& b = std::get<persist_batch>(back.op.what).what;
      CHECK(b.owner == member_id{2});
      CHECK(b.inc == 77);
      CHECK(b.view == 3);
      CHECK(b.seq == 5);
      CHECK(b.stamp == 99);
      CHECK(b.cls == order::total);
      CHECK(b.deps.empty());
      CHECK(messages(b.what) == std::vector<std::string>{"a", "bc"});
    }
    {
      std::vector<std::byte> body(3 * 8 + 1 + 4 + 8 + 1 + 8 + 3 * 4 + (2 + 8 + 8 + 1));
      byte_writer w(body);
      w.put(std::uint64_t{9});
      w.put(std::uint64_t{4});
      w.put(std::uint8_t{2});
      w.put(std::uint64_t{1'000});
      w.put(std::uint32_t{1});
      w.put(std::uint64_t{6});
      w.put(std::uint8_t{1});
      w.put(std::uint64_t{12});
      w.put(std::uint32_t{1});
      w.put(std::uint16_t{0});
      w.put(std::uint64_t{11});
      w.put(std::uint64_t{5});
      w.put(std::uint8_t{3});
      w.put(std::uint32_t{0});
      w.put(std::uint32_t{0});
      REQUIRE(decoded(record(record_type::entry, 8, body, 0), 8, back) == record_error::none);
      const auto& e = std::get<persist_entry>(back.op.what).what;
      CHECK(e.index == 9);
      CHECK(e.cut == frontier{6});
      CHECK(e.extras.empty());
      CHECK(e.next->number == 12);
      CHECK(e.next->options.orders == order_set{order::total});
    }
  }

  TEST_CASE("state records of version 6 are read: all of it counts, under the directory's identity") {
    const auto now = encoded({6, persist_state{sample_state(5)}});
    const std::vector<std::byte> body(now.begin() + record_header_bytes, now.end() - 16);
    decoded_record back;
    REQUIRE(decoded(old_record(6, record_type::state, 6, body, 0), 6, back) == record_error::none);
    const auto& s = std::get<persist_state>(back.op.what).what;
    CHECK(s.term == 5);
    CHECK(s.identity == 0);
    CHECK(s.valid_from == 1);
  }

  TEST_CASE("records of version 2 are read: they know no large messages, and their marks head states without any") {
    decoded_record back;
    {
      std::vector<std::byte> body(2 + 2 + 4 + 4 * 8 + 8 + 4 + 4 + 8 + 8 + 4 + 3);
      byte_writer w(body);
      w.put(std::uint16_t{2});
      w.put(std::uint16_t{1});
      w.put(std::uint32_t{1});
      for (const std::uint64_t n : {77u, 3u, 5u, 99u, 41u}) w.put(n);
      w.put(std::uint32_t{1});
      w.put(static_cast<std::uint32_t>(order::safe_causal));
      w.put(std::uint64_t{0});
      w.put(std::uint64_t{6});
      w.put(std::uint32_t{3});
      for (const char c : {'a', 'b', 'c'}) w.put(static_cast<std::uint8_t>(c));
      REQUIRE(decoded(old_record(2, record_type::batch, 7, body, 3), 7, back) == record_error::none);
      const auto& b = std::get<persist_batch>(back.op.what).what;
      CHECK(b.cls == order::safe_causal);
      CHECK(b.deps == frontier{6});
      CHECK(b.part.whole());
      CHECK(messages(b.what) == std::vector<std::string>{"abc"});
    }
    {
      std::vector<std::byte> body(8 + 2 + 3 * 8 + 4 * 8 + 4 + 1);
      byte_writer w(body);
      w.put(std::uint64_t{4});
      w.put(std::uint16_t{1});
      for (const std::uint64_t n : {12u, 4u, 2u, 9u, 3u, 99u, 1000u}) w.put(n);
      w.put(std::uint32_t{0});
      w.put(std::uint8_t{0});
      REQUIRE(decoded(old_record(2, record_type::state, 8, body, 0), 8, back) == record_error::none);
      const auto& base = std::get<persist_state>(back.op.what).what.base;
      CHECK(base.index == 9);
      CHECK(base.delivered == 1000);
      CHECK_FALSE(base.with_parts);
    }
  }
}
