// Random callers that repeat, reorder, acknowledge, cancel and pause, against what a session promises, written down plainly:
// every number of every session with what became of it. Restarts from checkpoints in between change nothing.
#include "tests/unit/session_support.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

struct life {
  session_name name;
  wall_time expires{};
  std::uint64_t low = 1;
  std::map<std::uint64_t, std::string> answers;  ///< executed, by number
  std::set<std::uint64_t> cancelled;
  bool ended = false;
};

constexpr session_limits limits{.lifetime = 5s, .open_requests_max = 24, .answer_bytes_max = 1500};
constexpr std::uint64_t overhead = 64;

class model {
public:
  explicit model(std::uint64_t seed) : random_(seed) {}

  void step() {
    if (below(40) == 0) t_.now += std::chrono::milliseconds(below(6000));
    if (below(50) == 0) {
      const auto kept = t_.checkpoint();
      t_.restart_from(kept);
      REQUIRE(t_.checkpoint() == kept);
    }
    if (lives_.size() < 3 || below(30) == 0) return open();
    auto& s = lives_[below(lives_.size())];
    const auto what = below(100);
    if (what < 85) return call(s);
    if (what < 92) return cancel(s);
    if (what < 94) return close(s);
    CHECK(t_.renew(s.name) == (alive(s) ? session_outcome::replied : session_outcome::no_session));
    if (alive(s)) s.expires = t_.now + limits.lifetime;
  }

  /// What was executed is exactly what the answers say.
  void compare() {
    for (auto& [text, times] : executed_) {
      CAPTURE(text);
      REQUIRE(t_.times(text) == times);
    }
  }

private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool alive(const life& s) const { return !s.ended && t_.now < s.expires; }
  std::string text(const life& s, std::uint64_t number) const {
    return std::to_string(s.name.birth) + '.' + std::to_string(number) + std::string(number % 5 * 20, '-');
  }

  void open() {
    life s;
    const auto id = next_id_++ % 6;  // names come back
    life* known = nullptr;
    for (auto& l : lives_)
      if (l.name.id.high == id && alive(l)) known = &l;
    s.name = t_.open(id, limits);
    REQUIRE(t_.last.what == session_outcome::replied);
    if (known) {
      REQUIRE(s.name == known->name);
      known->expires = t_.now + limits.lifetime;
      return;
    }
    REQUIRE(s.name.birth == t_.position);
    s.expires = t_.now + limits.lifetime;
    lives_.push_back(s);
  }

  void call(life& s) {
    const auto top = s.answers.empty() ? s.low : std::max(s.low, s.answers.rbegin()->first + 1);
    const auto number = below(20) == 0 ? top + below(40) : std::max<std::uint64_t>(1, top + below(4) - std::min<std::uint64_t>(top, below(10)));
    const auto acknowledged = below(3) == 0 ? s.low + below(number > s.low ? number - s.low + 1 : 1) : 1 + below(s.low);
    const auto expected = expect_call(s, number, acknowledged);
    const auto r = t_.call(s.name, number, text(s, number), acknowledged);
    CAPTURE(number);
    CAPTURE(s.low);
    REQUIRE(to_string(r.what) == std::string(to_string(expected)));
    if (r.what != session_outcome::replied) return;
    const auto known = s.answers.find(number);
    REQUIRE(r.repeated == (known != s.answers.end()));
    if (known == s.answers.end()) {
      executed_[text(s, number)] = 1;
      s.answers[number] = text_of(r.payload);
      REQUIRE(text_of(r.payload) == text(s, number) + "#1");
    } else {
      REQUIRE(text_of(r.payload) == known->second);
    }
  }

  session_outcome expect_call(life& s, std::uint64_t number, std::uint64_t acknowledged) {
    executed_.try_emplace(text(s, number), 0);
    if (acknowledged > number) return session_outcome::malformed;
    if (!alive(s)) return session_outcome::no_session;
    s.expires = t_.now + limits.lifetime;
    s.low = std::max(s.low, acknowledged);
    if (number < s.low) return session_outcome::forgotten;
    if (number >= s.low + limits.open_requests_max) return session_outcome::too_far;
    if (s.answers.contains(number)) return session_outcome::replied;
    if (s.cancelled.contains(number)) return session_outcome::cancelled;
    std::uint64_t kept = 0;
    for (auto& [n, answer] : s.answers)
      if (n >= s.low) kept += answer.size() + overhead;
    for (auto n : s.cancelled)
      if (n >= s.low) kept += overhead;
    return kept >= limits.answer_bytes_max ? session_outcome::answers_full : session_outcome::replied;
  }

  void cancel(life& s) {
    const auto number = s.low + below(30);
    const auto r = t_.cancel(s.name, number);
    if (!alive(s)) {
      REQUIRE(r.what == session_outcome::no_session);
      return;
    }
    s.expires = t_.now + limits.lifetime;
    if (number >= s.low + limits.open_requests_max) {
      REQUIRE(r.what == session_outcome::too_far);
    } else if (s.answers.contains(number)) {
      REQUIRE(r.what == session_outcome::replied);
      REQUIRE(text_of(r.payload) == s.answers[number]);
    } else {
      REQUIRE(r.what == session_outcome::cancelled);
      s.cancelled.insert(number);
    }
  }

  void close(life& s) {
    REQUIRE(t_.close(s.name) == (alive(s) ? session_outcome::replied : session_outcome::no_session));
    s.ended = true;
  }

  std::mt19937_64 random_;
  sessions_under_test t_;
  std::vector<life> lives_;
  std::map<std::string, std::uint64_t> executed_;
  std::uint64_t next_id_ = 0;
};

}  // namespace

TEST_SUITE("session: random") {
  TEST_CASE("random callers get what sessions promise") {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
      CAPTURE(seed);
      model m(seed);
      for (int i = 0; i < 600; ++i) m.step();
      m.compare();
    }
  }

  TEST_CASE("any bytes are read or refused") {
    std::mt19937_64 random(7);
    sessions_under_test t;
    std::vector<std::byte> call, other;
    write_call(call, {{1, 2}, 3}, 4, 1, bytes_of("x"));
    write_open(other, {{1, 2}, 3}, {});
    for (int i = 0; i < 40'000; ++i) {
      const bool is_call = i % 2 == 0;
      auto bytes = is_call ? call : other;
      const std::size_t mark = is_call ? 3 : 8;
      bytes.resize(mark + random() % (bytes.size() + 60));
      for (std::size_t k = mark; k < bytes.size(); ++k)
        if (random() % 4 == 0) bytes[k] = static_cast<std::byte>(random());
      if (!is_call && bytes.size() > 8) bytes[8] = static_cast<std::byte>(random() % 8);
      t.apply(bytes);
    }
    CHECK(text_of(t.apply(bytes_of("lives")).payload) == "lives#1");
  }
}
