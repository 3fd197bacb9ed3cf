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
  return {{1, persist_batch{member_id{2}, 77, sample_batch(1, {"a", "", "three"})}},
          {2, persist_batch{member_id{0}, 1, sample_batch(2, {})}},
          {3, persist_entry{sample_entry(9, 4)}},
          {4, persist_entry{sample_view_entry(10, 4)}},
          {5, persist_truncate{8}},
          {6, persist_state{sample_state(5)}},
          {7, persist_state{}},
          {8, persist_install{sample_mark(42), 17}}};
}

}  // namespace

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
    CHECK(b.owner == member_id{2});
    CHECK(b.inc == 77);
    CHECK(messages(b.what.what) == std::vector<std::string>{"a", "", "three"});
    REQUIRE(decoded(encoded(ops[3]), 4, back) == record_error::none);
    CHECK(*std::get<persist_entry>(back.op.what).what.next == *sample_view());
    REQUIRE(decoded(encoded(ops[7]), 8, back) == record_error::none);
    CHECK(std::get<persist_install>(back.op.what).chunks == 17);
    CHECK(std::get<persist_install>(back.op.what).at.cut == sample_mark(42).cut);
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

    std::vector<std::byte> views;
    encode_view(*sample_view(), views);
    const std::size_t one = views.size();
    encode_view(view{}, views);
    std::span<const std::byte> in = views;
    CHECK(*decode_view(in) == *sample_view());
    CHECK(in.size() == views.size() - one);
    CHECK(*decode_view(in) == view{});
    CHECK(in.empty());
    for (std::size_t size = 0; size < one; ++size) {
      in = std::span(views).first(size);
      CHECK(decode_view(in) == nullptr);
      CHECK(in.size() == size);
    }
    auto unsorted = *sample_view();
    std::swap(unsorted.roster[0], unsorted.roster[1]);
    views.clear();
    encode_view(unsorted, views);
    in = views;
    CHECK(decode_view(in) == nullptr);
  }
}
