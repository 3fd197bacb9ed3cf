#include "tests/sim/crowd.hpp"

#include "tests/sim/gathering.hpp"
#include "tests/sim/kv_workload.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace cohort::sim {

using namespace protocol;
using namespace std::chrono_literals;

namespace {

/// Timers as docs/growth.md advises for hundreds of members: acknowledgements grow with their square.
scenario crowd_of(unsigned members) {
  scenario s;
  s.profile = "crowd";
  s.seed = members;
  s.members = members;
  s.core.durable = false;
  s.core.orders = {order::fifo, order::causal, order::total};
  s.core.heartbeat = 1s;
  s.core.election_min = 4s;
  s.core.election_max = 8s;
  s.core.wedge_wait = 4s;
  s.core.pull_wait = 8s;
  s.core.fail_after = 10s;
  s.core.checkpoint_bytes_in_memory = 1u << 20;  // here all members share one memory
  s.delay_least = 100;
  s.delay_most = 2000;
  return s;
}

class crowd {
public:
  crowd(unsigned members, unsigned churning)
      : churning_(std::min(churning, members / 3)), watchers_(make_checkers()), app_(make_register_workload()),
        w_(crowd_of(members), *app_, watchers_, record_checksum) {
    w_.on_left = [this](unsigned node) { w_.at(w_.now(), [this, node] { away(node, true); }); };
    for (unsigned i = 0; i < members; ++i) w_.at(milli(chance_.below(200)), [this, i] { w_.start(i); });
  }

  bool run(unsigned minutes) {
    const auto span = std::chrono::minutes(minutes);
    if (!w_.run_until(15s) || !one_view(60s, "founding")) return false;
    for (unsigned i = 0; i < churning_; ++i) w_.at(w_.now() + milli(chance_.below(120'000)), [this, i] { go(w_.members() - 1 - i); });
    talk();
    for (const auto end = w_.now() + span; w_.now() < end;) {
      if (!w_.run_until(w_.now() + 30s)) return false;
      tell();
    }
    churns_ = false;
    // Who came and went often is held back for up to 8 T_fail (V23).
    if (!one_view(240s, "churn")) return false;
    talks_ = false;
    if (!w_.run_until(w_.now() + 20s)) return false;
    return judge(w_, watchers_);
  }

  void report() const {
    std::printf("{\"members\": %u, \"churning\": %u, \"minutes\": %.1f, \"departures\": %" PRIu64 ", \"views\": %" PRIu64
                ", \"multicasts\": %" PRIu64 ", \"events\": %" PRIu64 ", \"broken\": \"%s\", \"trace_hash\": \"%016" PRIx64 "\"}\n",
                w_.members(), churning_, static_cast<double>(w_.now().count()) / 60e9, departures_, newest_view(w_), multicasts_, w_.events(),
                w_.broken().c_str(), w_.trace_hash());
  }

private:
  static duration milli(std::uint64_t n) { return std::chrono::milliseconds(n); }

  /// Ends, is cut off the power, or leaves; and comes back.
  void go(unsigned node) {
    if (!churns_ || !w_.up(node)) return;
    ++departures_;
    switch (chance_.below(3)) {
      case 0: return away(node, true);
      case 1: return away(node, false);
      default: w_.request(node, change_kind::leave, node, {});
    }
    // A member that has no group to leave just now tries again.
    w_.at(w_.now() + 60s, [this, node] { go(node); });
  }

  void away(unsigned node, bool evidence) {
    if (!w_.up(node)) return;
    w_.crash(node, evidence);
    w_.at(w_.now() + milli(1000 + chance_.below(20'000)), [this, node] {
      w_.start(node);
      w_.at(w_.now() + milli(60'000 + chance_.below(120'000)), [this, node] { go(node); });
    });
  }

  void talk() {
    if (!talks_) return;
    constexpr order orders[] = {order::fifo, order::causal, order::total};
    const auto node = static_cast<unsigned>(chance_.below(w_.members()));
    if (const auto how = orders[chance_.below(3)]; w_.up(node)) {
      ++multicasts_;
      if (how == order::total)
        (void)w_.call(0, node, operation::kind::write, static_cast<unsigned>(chance_.below(3)));
      else
        w_.multicast(node, how, 16 + chance_.below(200));
    }
    w_.at(w_.now() + milli(20 + chance_.below(80)), [this] { talk(); });
  }

  bool one_view(duration patience, const char* after) {
    for (const auto end = w_.now() + patience; w_.now() < end;) {
      if (together(w_) == w_.members()) return true;
      if (!w_.run_until(w_.now() + 1s)) return false;
    }
    w_.fail(std::string("I20 liveness: ") + std::to_string(patience / 1s) + " s after the " + after + " only " + std::to_string(together(w_)) +
            " of " + std::to_string(w_.members()) + " members are in view " + std::to_string(newest_view(w_)));
    return false;
  }

  void tell() const {
    std::fprintf(stderr, "%.0f s: view %" PRIu64 ", %u members in it, %" PRIu64 " departures, %" PRIu64 " events\n",
                 static_cast<double>(w_.now().count()) / 1e9, newest_view(w_), together(w_), departures_, w_.events());
  }

  unsigned churning_;
  random chance_{64};
  checkers watchers_;
  std::unique_ptr<workload> app_;
  world w_;
  bool churns_ = true, talks_ = true;
  std::uint64_t departures_ = 0, multicasts_ = 0;
};

}  // namespace

int run_crowd(unsigned members, unsigned churning, unsigned minutes) {
  crowd c(members, churning);
  const bool held = c.run(minutes);
  c.report();
  return held ? 0 : 1;
}

}  // namespace cohort::sim
