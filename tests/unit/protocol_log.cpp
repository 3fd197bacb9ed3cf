#include "framework/protocol/entry_log.hpp"
#include "framework/protocol/lanes.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace cohort;
using namespace cohort::protocol;

namespace {

view_ptr two_members(view_number number, incarnation second = 1) {
  auto v = std::make_shared<view>();
  v->number = number;
  v->roster = {{{member_id(0), 1}, 1, true, true}, {{member_id(1), 1}, second, true, true}};
  return v;
}

mark base_at(log_index index, term_number term, view_ptr v) {
  mark m;
  m.index = index;
  m.term = term;
  m.cut = {0, 0};
  m.in_force = std::move(v);
  return m;
}

entry cut(log_index index, term_number term, frontier f) { return {index, term, entry_kind::cut, {}, std::move(f), nullptr}; }

batch batch_of(sequence seq, std::size_t bytes) {
  struct memory {
    std::vector<std::byte> blob;
    std::uint32_t size;
  };
  auto m = std::make_shared<memory>();
  m->blob.resize(bytes);
  m->size = static_cast<std::uint32_t>(bytes);
  batch b;
  b.seq = seq;
  b.stamp = seq;
  b.what = {m, {&m->size, 1}, m->blob};
  return b;
}

}  // namespace

TEST_SUITE("protocol: log") {
  TEST_CASE("truncation lowers what counts as durable (mutation M8)") {
    entry_log log;
    log.reset(base_at(0, 0, two_members(0)));
    for (log_index i = 1; i <= 5; ++i) log.append(cut(i, 1, {i, 0}), 10 + i);
    CHECK(log.durable(13) == 3);
    CHECK(log.durable(99) == 5);
    log.truncate(3);
    CHECK(log.last() == 2);
    CHECK(log.durable(99) == 2);
    log.append(cut(3, 2, {9, 0}), 20);
    CHECK(log.durable(19) == 2);  // the new entry 3 is not the old one
    CHECK(log.durable(20) == 3);
  }

  TEST_CASE("views follow the log, also back over a truncation") {
    entry_log log;
    log.reset(base_at(0, 0, two_members(0)));
    log.append(cut(1, 1, {1, 1}), 1);
    entry v{2, 1, entry_kind::view, {}, {4, 6}, two_members(1, 9)};
    log.append(v, 2);
    CHECK(log.view_at(1)->number == 0);
    CHECK(log.view_at(2)->number == 1);
    CHECK(log.last_view().index == 2);
    CHECK(log.cut_behind(2) == frontier{4, 0});  // the second member's lane is a new one
    log.truncate(2);
    CHECK(log.last_view().what->number == 0);
    CHECK(log.views().size() == 1);
  }

  TEST_CASE("the base keeps what lies before the first entry (PA15, PA17)") {
    entry_log log;
    log.reset(base_at(0, 0, two_members(0)));
    for (log_index i = 1; i <= 9; ++i) log.append(cut(i, i < 5 ? 1 : 2, {i, i}), i);
    CHECK(log.first_of_term(9) == 5);
    mark m = base_at(6, 2, two_members(0));
    m.cut = {6, 6};
    log.trim(m);
    CHECK(log.base().index == 6);
    CHECK(log.last() == 9);
    CHECK(log.term_at(6) == 2);
    CHECK(log.cut_behind(6) == frontier{6, 6});
    CHECK(log.first_position(77) == 7);
    CHECK(log.durable(0) == 6);
    CHECK_FALSE(log.has(6));
    CHECK(log.has(7));
  }
}

TEST_SUITE("protocol: lanes") {
  TEST_CASE("held is contiguous, whatever the order of arrival") {
    lane l({member_id(0), 1}, 1, lane_kind::causal, 0);
    CHECK(l.store(batch_of(2, 10), 1));
    CHECK(l.held() == 0);
    CHECK(l.store(batch_of(3, 10), 2));
    CHECK_FALSE(l.store(batch_of(2, 99), 3));  // the first content under a number stays (L2)
    CHECK(l.store(batch_of(1, 10), 4));
    CHECK(l.held() == 3);
    CHECK_FALSE(l.store(batch_of(1, 10), 5));
    CHECK_FALSE(l.store(batch_of(4 + lane_ahead_max, 10), 6));
    CHECK(l.find(2)->what.blob.size() == 10);
    CHECK(l.bytes_above(0) == 3 * 14);
    CHECK(l.bytes_above(2) == 14);
    CHECK(l.bytes_above(3) == 0);
  }

  TEST_CASE("durable follows the journal in lane order, not in order of arrival") {
    lane l({member_id(0), 1}, 1, lane_kind::causal, 0);
    l.store(batch_of(2, 1), 5);
    l.store(batch_of(1, 1), 7);
    CHECK(l.durable(5) == 0);  // 2 is on disk, 1 is not
    CHECK(l.durable(7) == 2);
  }

  TEST_CASE("sealing voids what lies above the final cut (V13, L8)") {
    lane l({member_id(0), 1}, 1, lane_kind::causal, 0);
    for (sequence q = 1; q <= 6; ++q) l.store(batch_of(q, 10), q);
    l.store(batch_of(8, 10), 8);
    CHECK(l.durable(99) == 6);
    l.seal(4);
    CHECK(l.held() == 4);
    CHECK(l.durable(99) == 4);
    CHECK(l.find(5) == nullptr);
    CHECK(l.find(8) == nullptr);
    CHECK(l.bytes() == 4 * 14);
  }

  TEST_CASE("batches that a view's entry names above the final cut outlive the sealing") {
    lane l({member_id(0), 1}, 1, lane_kind::plain, 0);
    for (const sequence q : {1u, 2u, 5u, 7u}) l.store(batch_of(q, 10), 100 + q);
    const std::vector<sequence> extras{7};
    l.seal(1, extras);
    CHECK(l.held() == 1);
    CHECK(l.find(2) == nullptr);
    CHECK(l.find(5) == nullptr);
    REQUIRE(l.find(7) != nullptr);
    CHECK(l.find(7)->seq == 7);
    l.trim(1);
    CHECK(l.first_position(999) == 107);  // its record is still needed
  }

  TEST_CASE("trimming keeps the accounts") {
    lane l({member_id(0), 1}, 1, lane_kind::causal, 0);
    for (sequence q = 1; q <= 6; ++q) l.store(batch_of(q, 10), 100 + q);
    l.trim(2);
    CHECK(l.trimmed() == 2);
    CHECK(l.held() == 6);
    CHECK(l.find(2) == nullptr);
    CHECK(l.find(3) != nullptr);
    CHECK(l.bytes() == 4 * 14);
    CHECK(l.bytes_above(4) == 2 * 14);
    CHECK(l.first_position(999) == 103);
    l.seal(1);  // below the trim point: nothing is left to void
    CHECK(l.held() == 6);
    l.trim(6);
    CHECK(l.bytes() == 0);
    CHECK(l.first_position(999) == 999);
  }

  TEST_CASE("a lane that stays is the same lane in every view (PA13)") {
    lane_store lanes;
    lanes.learn(*two_members(0), {0, 0});
    lanes.find(0, 0)->store(batch_of(1, 10), 1);
    lanes.learn(*two_members(1, 9), {});
    CHECK(lanes.find(1, 0) == lanes.find(0, 0));
    CHECK(lanes.find(1, 1) != lanes.find(0, 1));
    CHECK(lanes.held(1) == frontier{1, 0});
    CHECK(lanes.find(2, 0) == nullptr);
    CHECK(lanes.find(1, 2) == nullptr);
    CHECK(lanes.all().size() == 3);
    lanes.forget_from(1);
    CHECK(lanes.table_of(1) == nullptr);
    CHECK(lanes.held(0) == frontier{1, 0});
    lanes.learn(*two_members(1), {});
    lanes.forget_below(1);
    CHECK(lanes.table_of(0) == nullptr);
    CHECK(lanes.held(1) == frontier{1, 0});
  }
}
