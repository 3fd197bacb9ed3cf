// Random lives of children, against a model that keeps the whole history and looks for what to do by trying everything.
#include "supervision_stage.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <random>

using namespace cohort;
using namespace cohort::test;

namespace {

struct model {
  enum state { down, starting, up, leaving, killed, final_end, stuck };
  struct kid {
    child_rules rules;
    state at = down;
    life number = 0;
    instant due = never;
    instant not_before{0};
    bool in_sequence = true, must_go = false, leaves_for_good = false, late = false, forgotten = false;
    std::vector<instant> failures;
    bool lives() const { return !forgotten && (at == starting || at == up || at == leaving || at == killed); }
  };
  supervisor_options options;
  draw random;
  std::vector<kid> kids;
  std::vector<instant> failures;
  bool begun = false, stopping = false, ended = false, said_up = false;
  std::optional<child_id> gave_up;
  std::vector<std::string> did;

  bool ordered() const { return options.strategy != restart_strategy::dynamic; }
  static instant plus(instant a, instant b) { return b >= never - a ? never : a + b; }
  void say(const std::string& sign, std::size_t i) { did.push_back(sign + std::to_string(i + 1)); }

  void kill(instant now, std::size_t i) {
    kids[i].at = killed;
    kids[i].due = plus(now, options.kill_limit);
    say("!", i);
  }
  void ask(instant now, std::size_t i) {
    if (kids[i].rules.stop_limit <= 0ms) return kill(now, i);
    kids[i].at = leaving;
    kids[i].due = plus(now, kids[i].rules.stop_limit);
    say("-", i);
  }
  void give_up(std::size_t i) {
    gave_up = i + 1;
    stop_all();
  }
  void stop_all() {
    stopping = true;
    for (auto& k : kids) k.must_go = true;
    for (auto& k : kids)
      if (!k.lives()) k.due = never;
  }

  bool may_stop(std::size_t i) const {
    if (!kids[i].must_go || kids[i].forgotten || (kids[i].at != starting && kids[i].at != up)) return false;
    for (auto j = i + 1; ordered() && j < kids.size(); ++j)
      if (kids[j].must_go && kids[j].lives()) return false;
    return true;
  }
  bool may_start(instant now, std::size_t i) const {
    auto& k = kids[i];
    if (stopping || k.forgotten || k.at != down || k.not_before > now) return false;
    if (!ordered() || !k.in_sequence) return true;
    for (auto& other : kids)
      if (other.must_go && other.lives()) return false;
    for (std::size_t j = 0; j < i; ++j)
      if (!kids[j].forgotten && kids[j].in_sequence && !kids[j].leaves_for_good) return false;
    return true;
  }
  void settle(instant now) {
    if (!begun && !stopping) return;
    if (ended) return;
    for (auto i = kids.size(); i-- > 0;)
      if (may_stop(i)) ask(now, i);
    for (std::size_t i = 0; i < kids.size(); ++i)
      if (may_start(now, i)) {
        auto& k = kids[i];
        k.at = starting;
        ++k.number;
        k.due = plus(now, k.rules.start_limit);
        say("+", i);
      }
    if (stopping) {
      for (auto& k : kids)
        if (k.lives()) return;
      ended = true;
      did.push_back(gave_up ? "^" + std::to_string(*gave_up) : ".");
    } else if (!said_up) {
      for (auto& k : kids)
        if (!k.forgotten && k.at != up && k.at != final_end) return;
      said_up = true;
      did.push_back("up");
    }
  }

  bool one_too_many(instant now) const {
    unsigned within = 0;
    for (auto when : failures) within += now - when <= options.limits.window;
    return within > options.limits.failures_max;
  }
  void died(instant now, std::size_t i, death how) {
    auto& k = kids[i];
    const bool failed = how == death::failed || k.late;
    k.late = false;
    k.at = down;
    k.due = never;
    if (stopping || k.leaves_for_good) {
      k.forgotten = k.leaves_for_good;
      return;
    }
    if (k.must_go) {
      k.must_go = false;
      k.due = k.not_before;
      k.forgotten = k.rules.type == restart_type::temporary;
      return;
    }
    if (k.rules.type == restart_type::temporary) {
      k.forgotten = true;
      return;
    }
    if (k.rules.type == restart_type::transient && !failed) {
      k.at = final_end;
      k.in_sequence = false;
      return;
    }
    failures.push_back(now);
    if (one_too_many(now)) return give_up(i);
    k.failures.push_back(now);
    unsigned row = 1;
    for (auto n = k.failures.size(); n-- > 1 && k.failures[n] - k.failures[n - 1] <= options.limits.window;) ++row;
    const auto resume = now + restart_delay(options.limits, row, random);
    const bool grouped = options.strategy == restart_strategy::one_for_all || options.strategy == restart_strategy::rest_for_one;
    for (std::size_t j = 0; j < kids.size(); ++j) {
      auto& other = kids[j];
      const bool concerned = j == i || options.strategy == restart_strategy::one_for_all ||
                             (options.strategy == restart_strategy::rest_for_one && j > i);
      if (!concerned || other.forgotten || other.leaves_for_good || other.at == stuck) continue;
      if (grouped) other.in_sequence = true;
      other.not_before = resume;
      if (other.lives()) {
        other.must_go = true;
      } else {
        other.at = down;
        other.due = resume;
      }
    }
  }
  void passed(instant now, std::size_t i) {
    auto& k = kids[i];
    k.due = never;
    if (k.at == starting) {
      k.late = true;
      kill(now, i);
    } else if (k.at == leaving) {
      kill(now, i);
    } else if (k.at == killed) {
      k.at = stuck;
      if (k.leaves_for_good)
        k.forgotten = true;
      else if (!stopping)
        give_up(i);
    }
  }
  instant next_due() const {
    auto due = never;
    for (auto& k : kids)
      if (!k.forgotten && !ended) due = std::min(due, k.due);
    return due;
  }
  void tick(instant now) {
    while (next_due() <= now) {
      std::size_t first = 0;
      for (std::size_t i = 0; i < kids.size(); ++i)
        if (!kids[i].forgotten && (kids[first].forgotten || kids[i].due < kids[first].due)) first = i;
      passed(now, first);
      settle(now);
    }
  }
};

std::vector<std::string> in_words(std::vector<output>& outputs) {
  std::vector<std::string> words;
  for (auto& each : std::exchange(outputs, {})) {
    if (auto* s = std::get_if<start_child>(&each)) words.push_back("+" + std::to_string(s->child));
    if (auto* s = std::get_if<stop_child>(&each)) words.push_back((s->kill ? "!" : "-") + std::to_string(s->child));
    if (std::get_if<all_up>(&each)) words.push_back("up");
    if (auto* f = std::get_if<finished>(&each)) words.push_back(f->gave_up ? "^" + std::to_string(f->cause) : ".");
  }
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (auto& w : words) text += w + ' ';
  return text;
}

/// One random life of a supervisor; says what was seen, so that a run in which nothing happens is noticed.
struct figures {
  unsigned starts = 0, kills = 0, escalations = 0, ends = 0, ups = 0;
};

void run(std::uint64_t seed, figures& seen) {
  std::mt19937_64 random(seed);
  auto chance = [&](unsigned of_100) { return random() % 100 < of_100; };
  supervisor_options options;
  options.strategy = static_cast<restart_strategy>(random() % 4);
  options.limits = {.first_delay = std::chrono::milliseconds(random() % 200),
                    .longest_delay = 1s,
                    .failures_max = static_cast<unsigned>(random() % 12),
                    .window = std::chrono::milliseconds(500 + random() % 5000),
                    .at_once = static_cast<unsigned>(random() % 3)};
  options.kill_limit = 300ms;
  auto jitter = [seed](std::uint64_t& n) { return draw([seed, n]() mutable { return (n += 0x9e3779b97f4a7c15) ^ seed; }); };
  std::uint64_t start = seed;
  supervisor real(options, jitter(start));
  model expected{options, jitter(start)};
  instant now{0};
  unsigned failing = static_cast<unsigned>(random() % 60);

  auto compare = [&](const char* after) {
    const auto got = in_words(real.outputs());
    const auto want = std::exchange(expected.did, {});
    CAPTURE(seed);
    CAPTURE(now.count());
    CAPTURE(std::string(after));
    REQUIRE(joined(got) == joined(want));
    for (auto& w : got) {
      seen.starts += w[0] == '+';
      seen.kills += w[0] == '!';
      seen.escalations += w[0] == '^';
      seen.ends += w == ".";
      seen.ups += w == "up";
    }
    if (real.next_deadline() != never || expected.next_due() != never) REQUIRE(real.next_deadline() == expected.next_due());
  };
  auto add = [&] {
    child_rules rules{static_cast<restart_type>(random() % 3), std::chrono::milliseconds(50 + random() % 200),
                      std::chrono::milliseconds(random() % 4 * 50)};
    const auto id = real.add(now, rules);
    if (expected.stopping) {
      REQUIRE(id == 0);
      return;
    }
    expected.kids.push_back({rules});
    expected.kids.back().not_before = now;
    expected.kids.back().in_sequence = !expected.begun;
    expected.settle(now);
    REQUIRE(id == expected.kids.size());
  };

  for (auto n = random() % 5; n > 0; --n) add();
  real.begin(now);
  expected.begun = true;
  expected.settle(now);
  compare("begin");
  for (int step = 0; step < 250; ++step) {
    now += std::chrono::milliseconds(random() % 40);
    while (real.next_deadline() <= now || expected.next_due() <= now) {
      const auto due = std::min(real.next_deadline(), expected.next_due());
      real.tick(due);
      expected.tick(due);
      compare("tick");
    }
    if (expected.kids.empty() || chance(3)) {
      add();
      compare("add");
      if (expected.stopping) continue;
    }
    const std::size_t i = random() % expected.kids.size();
    auto& k = expected.kids[i];
    if (chance(1)) {
      real.remove(now, i + 1);
      if (!k.forgotten && !expected.ended) {
        if (k.lives()) {
          k.leaves_for_good = true;
          if (k.at == model::starting || k.at == model::up) expected.ask(now, i);
        } else {
          k.forgotten = true;
          expected.settle(now);
        }
      }
      compare("remove");
    } else if (chance(2) && real.start_again(now, i + 1)) {
      REQUIRE(k.at == model::final_end);
      k.at = model::down;
      k.not_before = now;
      k.due = now;
      k.in_sequence = false;
      expected.settle(now);
      compare("start again");
    } else if (k.lives()) {
      if (chance(5)) {  // what an older life says
        real.ended(now, i + 1, k.number - 1, death::failed);
        real.started(now, i + 1, k.number + 1);
        compare("stale");
      }
      const bool asked = k.at == model::leaving || k.at == model::killed;
      if (k.at == model::starting && chance(60)) {
        real.started(now, i + 1, k.number);
        k.at = model::up;
        k.in_sequence = false;
        k.due = never;
        expected.settle(now);
        compare("started");
      } else if (asked ? chance(50) : chance(failing)) {
        const auto how = asked ? (chance(80) ? death::shutdown : death::failed) : chance(70) ? death::failed : death::normal;
        real.ended(now, i + 1, k.number, how);
        expected.died(now, i, how);
        expected.settle(now);
        compare("ended");
      }
    }
    if (step > 100 && chance(1) && chance(40)) {
      real.stop(now);
      if (!expected.stopping) {
        expected.stop_all();
        expected.settle(now);
      }
      compare("stop");
    }
  }
  // SU3: once nothing fails any more, everybody who is not final is up.
  if (expected.stopping) return;
  for (int turn = 0; turn < 400 && !expected.stopping; ++turn) {
    now += 20ms;
    real.tick(now);
    expected.tick(now);
    compare("quiet");
    for (std::size_t i = 0; i < expected.kids.size(); ++i) {
      auto& k = expected.kids[i];
      if (k.at == model::starting && !k.forgotten) {
        real.started(now, i + 1, k.number);
        k.at = model::up;
        k.in_sequence = false;
        k.due = never;
      } else if (k.lives() && k.at != model::up) {
        real.ended(now, i + 1, k.number, death::shutdown);
        expected.died(now, i, death::shutdown);
      } else {
        continue;
      }
      expected.settle(now);
      compare("quiet");
    }
  }
  for (auto& k : expected.kids)
    if (!k.forgotten && !expected.stopping) CHECK((k.at == model::up || k.at == model::final_end));
}

}  // namespace

TEST_SUITE("supervision: random") {
  TEST_CASE("random lives: the supervisor does what the model says") {
    figures seen;
    for (std::uint64_t seed = 1; seed <= 4000; ++seed) run(seed, seen);
    CHECK(seen.starts > 20'000);
    CHECK(seen.kills > 2'000);
    CHECK(seen.escalations > 500);
    CHECK(seen.ends > 100);
    CHECK(seen.ups > 1'000);
    MESSAGE(seen.starts << " starts, " << seen.kills << " kills, " << seen.escalations << " escalations");
  }
}
