// Messages that travel in parts: whole, once and in order at every node, with others' messages between their parts.
#include "tests/actor/cluster.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

/// Bytes that tell where a piece is missing or twice.
std::string large_text(std::size_t size, unsigned salt) {
  std::string text(size, '\0');
  std::uint64_t x = 88172645463325252ull + salt;
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    std::memcpy(text.data() + i, &x, 8);
  }
  return text;
}

contract with_room(std::size_t message_bytes_max) {
  auto how = contract::replicated();
  how.message_bytes_max = message_bytes_max;
  how.queue_bytes = 2 * message_bytes_max;
  how.outcome_bound = 20s + std::chrono::seconds(message_bytes_max >> 23);
  return how;
}

/// What became of the submissions of one port, in the order in which it was told.
class answers {
public:
  explicit answers(group_port& port) : port_(port) {}
  bool wait_for(std::size_t count, std::chrono::seconds bound = 200s) {
    return eventually([&] {
      completion_batch done;
      while (port_.take(done))
        for (std::size_t i = 0; i < done.size(); ++i) {
          tags.push_back(done[i].tag);
          outcomes.push_back(done[i].outcome);
        }
      return tags.size() >= count;
    }, bound);
  }
  std::vector<std::uint64_t> tags;
  std::vector<outcome> outcomes;

private:
  group_port& port_;
};

void submit(group_port& port, const std::string& text, std::uint64_t tag) {
  port.submit(std::as_bytes(std::span(text)), tag);
  port.flush();
}

}  // namespace

TEST_SUITE("large") {
  TEST_CASE("a large message arrives whole everywhere, small ones of others go in between, those of its port behind it") {
    // COHORT_LARGE_MIB: up to 1024, with memory for seven of them.
    const char* given = std::getenv("COHORT_LARGE_MIB");
    const std::size_t size = std::size_t(given ? std::atoi(given) : 48) << 20;
    for (const auto durability : {durability::in_memory, durability::journaled}) {
      CAPTURE(std::string(to_string(durability)));
      cluster c(3, with_room(size).with(durability));
      c.start_all();
      REQUIRE(eventually([&] { return c.all_serve(); }));
      const auto large = large_text(size, 1);
      auto bulk = c.at(0).port("room"), chat = c.at(0).port("room");
      bulk.submit(std::as_bytes(std::span(large)), 1);
      submit(bulk, "behind it", 2);
      answers of_bulk(bulk), of_chat(chat);
      std::size_t before = 0;
      for (int i = 0; i < 20 && of_bulk.tags.empty(); ++i) {
        submit(chat, "small " + std::to_string(i), static_cast<std::uint64_t>(i));
        REQUIRE(of_chat.wait_for(static_cast<std::size_t>(i) + 1));
        of_bulk.wait_for(0);
        if (of_bulk.tags.empty()) ++before;
      }
      CHECK(before > 0);
      REQUIRE(of_bulk.wait_for(2));
      CHECK(of_bulk.tags == std::vector<std::uint64_t>{1, 2});
      CHECK(std::ranges::count(of_bulk.outcomes, outcome::replied) == 2);
      CHECK(std::ranges::count(of_chat.outcomes, outcome::replied) == static_cast<std::ptrdiff_t>(of_chat.outcomes.size()));
      const auto expected = 2 + of_chat.tags.size();
      for (int i = 0; i < 3; ++i) {
        REQUIRE(eventually([&] { return c.messages(i).size() == expected; }, 60s));
        const auto all = c.messages(i);
        const auto at = std::ranges::find(all, large);
        REQUIRE(at != all.end());
        CHECK(at - all.begin() >= static_cast<std::ptrdiff_t>(before));
        CHECK(*std::next(at) != large);
        CHECK(std::ranges::find(at, all.end(), "behind it") != all.end());
        CHECK(all == c.messages(0));
      }
    }
  }

  TEST_CASE("large messages of several ports and nodes at the same time") {
    cluster c(3, with_room(8u << 20).with(durability::in_memory));
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    std::vector<group_port> ports;
    std::vector<std::string> texts;
    for (unsigned i = 0; i < 6; ++i) {
      ports.push_back(c.at(static_cast<int>(i % 3)).port("room"));
      texts.push_back(large_text(3'000'000 + 77'777 * i, i + 1));
      submit(ports.back(), texts.back(), i);
    }
    for (auto& p : ports) {
      answers a(p);
      REQUIRE(a.wait_for(1));
      CHECK(a.outcomes[0] == outcome::replied);
    }
    for (int i = 0; i < 3; ++i) {
      REQUIRE(eventually([&] { return c.messages(i).size() == 6; }));
      auto all = c.messages(i);
      CHECK(all == c.messages(0));
      std::ranges::sort(all);
      auto sorted = texts;
      std::ranges::sort(sorted);
      CHECK(all == sorted);
    }
  }

  TEST_CASE("a member that goes and comes back meanwhile has it, too; from the beginning for those who came") {
    cluster c(3, with_room(64u << 20));
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    std::vector<std::string> texts;
    auto port = c.at(0).port("room");
    answers told(port);
    for (unsigned i = 0; i < 3; ++i) texts.push_back(large_text(24u << 20, i + 1));
    submit(port, texts[0], 0);
    std::this_thread::sleep_for(30ms);
    c.kill(1);
    REQUIRE(told.wait_for(1));
    CHECK(told.outcomes[0] == outcome::replied);
    submit(port, texts[1], 1);
    c.start(1);
    REQUIRE(told.wait_for(2));
    CHECK(told.outcomes[1] == outcome::replied);
    REQUIRE(eventually([&] { return c.all_serve(); }));
    submit(port, texts[2], 2);
    REQUIRE(told.wait_for(3));
    for (int i = 0; i < 3; ++i) {
      CHECK(eventually([&] { return c.messages(i) == texts; }));
    }
  }

  TEST_CASE("a restart of all in the middle: nothing of what was not finished shows, checkpoints with half a message are good") {
    auto how = with_room(64u << 20);
    how.checkpoint_bytes = 4u << 20;
    cluster c(3, how);
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }));
    const auto first = large_text(10u << 20, 1), second = large_text(60u << 20, 2);
    {
      auto port = c.at(0).port("room");
      answers told(port);
      submit(port, first, 0);
      REQUIRE(told.wait_for(1));
      submit(port, second, 1);
      REQUIRE(eventually([&] { return c.at(0).status("room").applied > 80; }));
      std::this_thread::sleep_for(50ms);
    }
    for (int i = 0; i < 3; ++i) c.kill(i);
    c.start_all();
    REQUIRE(eventually([&] { return c.all_serve(); }, 40s));
    CHECK(c.insist(1, "after") == outcome::replied);
    for (int i = 0; i < 3; ++i) {
      CHECK(eventually([&] { return c.messages(i).size() >= 2 && c.messages(i).back() == "after"; }));
      const auto all = c.messages(i);
      CHECK(all.front() == first);
      CHECK(std::ranges::count(all, second) <= 1);  // the end may have been ordered before all died
      CHECK(all == c.messages(0));
    }
  }
}
