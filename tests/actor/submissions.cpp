// The book-keeping of own submissions: who is answered what.
#include "actors/group_entry.hpp"
#include "actors/ledger.hpp"

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::detail;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<port_state> new_port() {
  auto entry = std::make_shared<group_entry>();
  entry->name = "g";
  return std::make_shared<port_state>(entry, port_wake{});
}

std::vector<std::pair<std::uint64_t, outcome>> answers(port_state& port) {
  std::lock_guard guard(port.mutex);
  std::vector<std::pair<std::uint64_t, outcome>> all;
  for (std::size_t i = 0; i < port.ready.size(); ++i) all.emplace_back(port.ready[i].tag, port.ready[i].outcome);
  port.ready.clear();
  return all;
}

}  // namespace

TEST_SUITE("submissions") {
  TEST_CASE("ledger: deliveries answer the oldest, split where a batch ends within a run") {
    ledger l;
    auto a = new_port(), b = new_port();
    l.add(a, 10, 3, 1s);
    l.add(b, 100, 2, 1s);
    std::vector<own_run> got;
    REQUIRE(l.take(4, got));
    REQUIRE(got.size() == 2);
    CHECK(got[0].first_tag == 10);
    CHECK(got[0].count == 3);
    CHECK(got[1].port == b);
    CHECK(got[1].count == 1);
    got.clear();
    REQUIRE(l.take(1, got));
    CHECK(got[0].first_tag == 101);
    CHECK_FALSE(l.take(1, got));
  }

  TEST_CASE("ledger: what is overdue is unknown once, and stays in its place") {
    ledger l;
    auto a = new_port();
    l.add(a, 1, 2, 1s);
    l.add(a, 3, 1, 2s);
    CHECK(l.next_deadline() == 1s);
    CHECK(l.expire(1s) == 2);
    CHECK(l.expire(1s) == 0);
    CHECK(answers(*a) == std::vector<std::pair<std::uint64_t, outcome>>{{1, outcome::unknown}, {2, outcome::unknown}});
    CHECK(l.next_deadline() == 2s);
    std::vector<own_run> got;
    REQUIRE(l.take(3, got));
    CHECK(got[0].answered);
    answer_all(got, outcome::lost);
    CHECK(answers(*a) == std::vector<std::pair<std::uint64_t, outcome>>{{3, outcome::lost}});
    CHECK(l.next_deadline() == protocol::never);
    l.add(a, 4, 1, 3s);
    CHECK(l.next_deadline() == 3s);
  }

  TEST_CASE("ledger: consecutive submissions of one port are one run") {
    ledger l;
    auto a = new_port();
    l.add(a, 1, 2, 1s);
    l.add(a, 3, 5, 1s + 100us);
    l.add(a, 9, 1, 1s);  // a gap
    std::vector<own_run> got;
    REQUIRE(l.take(8, got));
    CHECK(got.size() == 2);
    CHECK(got[0].count == 7);
  }

  TEST_CASE("ledger: consecutive tags of two ports are two runs") {
    ledger l;
    auto a = new_port(), b = new_port();
    l.add(a, 1, 2, 1s);
    l.add(b, 3, 1, 1s);
    std::vector<own_run> got;
    REQUIRE(l.take(3, got));
    answer_all(got, outcome::lost);
    CHECK(answers(*a).size() == 2);
    CHECK(answers(*b) == std::vector<std::pair<std::uint64_t, outcome>>{{3, outcome::lost}});
  }

  TEST_CASE("port: what is refused at once is answered at the flush, and stopped groups answer all") {
    auto entry = std::make_shared<group_entry>();
    entry->name = "g";
    entry->how.message_bytes_max = 4;
    auto state = std::make_shared<port_state>(entry, port_wake{});
    submission_block block;
    block.sizes = {1, 1, 1};
    block.blob.resize(3);
    block.runs = {{5, 2}, {9, 1}};
    block.next_message = 1;
    block.next_in_run = 1;
    state->queued = 3 * 5;
    state->refuse_rest(block, outcome::busy);
    CHECK(answers(*state) == std::vector<std::pair<std::uint64_t, outcome>>{{6, outcome::busy}, {9, outcome::busy}});
    CHECK(state->queued == 5);
  }

  TEST_CASE("questions that are dropped answer themselves") {
    auto a = new_port();
    {
      question_set set;
      set.port = a;
      set.questions = {{7, 0, 0}, {8, 0, 0}};
    }
    CHECK(answers(*a) == std::vector<std::pair<std::uint64_t, outcome>>{{7, outcome::no_quorum}, {8, outcome::no_quorum}});
  }
}
