#include "tests/sim/detection_figures.hpp"

#include "framework/simulation/world.hpp"
#include "tests/sim/kv_workload.hpp"

#include <algorithm>
#include <cstdio>
#include <set>

namespace cohort::sim {

using namespace protocol;
using namespace std::chrono_literals;

namespace {

/// What the members say of each other.
class listener final : public checker {
public:
  const char* property() const override { return "figures"; }
  void installed(const life&, const deliver_view& v) override {
    if (v.what->number <= newest) return;
    newest = v.what->number;
    std::set<voter_id> out;
    for (const auto& n : v.what->notes)
      if (n.cause == view_cause::failed || n.cause == view_cause::excluded) out.insert(n.id);
    gone += out.size();
  }
  void happened(const life&, const event& e) override {
    if (e.kind == event_kind::member_suspected && e.flag) ++suspected;
    if (e.kind == event_kind::elected) ++elected;
  }
  view_number newest = 0;
  std::uint64_t gone = 0, suspected = 0, elected = 0;
};

/// An idle volatile group with the default timers: every sign of life is a heartbeat, delayed by up to 50 ms each way.
scenario quiet_group(std::uint64_t seed, unsigned members, unsigned loss, std::int64_t jitter) {
  scenario s;
  s.profile = "figures";
  s.seed = seed;
  s.members = members;
  s.core.durable = false;
  s.delay_least = 500;
  s.delay_most = 500 + jitter;
  s.loss = loss;
  s.reorders = true;
  return s;
}

struct group {
  group(std::uint64_t seed, unsigned members, unsigned loss, std::int64_t jitter) {
    auto owned = std::make_unique<listener>();
    ears = owned.get();
    watchers.push_back(std::move(owned));
    app = make_register_workload();
    w = std::make_unique<world>(quiet_group(seed, members, loss, jitter), *app, watchers, record_checksum);
    for (unsigned i = 0; i < members; ++i) w->start(i);
  }
  bool active_at(unsigned at, unsigned member) const {
    const auto* c = w->core_of(at);
    if (!c) return true;
    const auto& in = inspector::of(*c);
    if (!in.in_force) return true;
    return std::ranges::any_of(in.in_force->roster, [&](const auto& r) { return to_index(r.id.member) == member && r.active; });
  }
  listener* ears = nullptr;
  checkers watchers;
  std::unique_ptr<workload> app;
  std::unique_ptr<world> w;
};

struct row {
  unsigned members, loss;
  std::int64_t jitter;
};
constexpr row rows[] = {{3, 0, 0}, {3, 0, 50'000}, {3, 50, 50'000}, {3, 200, 50'000}, {5, 0, 50'000}, {5, 50, 50'000}, {5, 200, 50'000}};

/// Milliseconds from a death without a word until a view without the dead member is in force at a leader; below 0: a run
/// in which the group was not at peace before.
double detection_time(std::uint64_t seed, const row& r, bool leader) {
  group g(seed, r.members, r.loss, r.jitter);
  g.w->run_until(20s + std::chrono::milliseconds(seed * 7919 % 1000));
  const int first = g.w->leader();
  if (first < 0) return -1;
  for (unsigned i = 0; i < r.members; ++i)
    if (!g.active_at(static_cast<unsigned>(first), i)) return -1;
  const auto victim = leader ? static_cast<unsigned>(first) : (static_cast<unsigned>(first) + 1) % r.members;
  const auto died = g.w->now();
  g.w->crash(victim, false);
  while (g.w->now() < died + 30s) {
    g.w->run_until(g.w->now() + 1ms);
    const int now = g.w->leader();
    if (now >= 0 && static_cast<unsigned>(now) != victim && !g.active_at(static_cast<unsigned>(now), victim))
      return static_cast<double>((g.w->now() - died).count()) / 1e6;
  }
  return 30'000;
}

void print_times(const row& r, unsigned trials, bool leader) {
  std::vector<double> times;
  for (unsigned i = 0; i < trials; ++i)
    if (const auto t = detection_time(1000 + i, r, leader); t >= 0) times.push_back(t);
  if (times.empty()) return;
  std::ranges::sort(times);
  const auto at = [&](double part) { return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))]; };
  std::printf("| %u | %u %% | %lld ms | %s | %zu | %.0f | %.0f | %.0f | %.0f |\n", r.members, r.loss / 10,
              static_cast<long long>(r.jitter / 1000), leader ? "leader" : "member", times.size(), times.front(), at(0.5), at(0.99),
              times.back());
  std::fflush(stdout);
}

}  // namespace

int print_detection_figures(unsigned hours, unsigned trials) {
  if (hours > 0) {
    std::printf("| members | loss | jitter | simulated hours | false exclusions | per day | suspicions | changes of leader |\n"
                "|---|---|---|---|---|---|---|---|\n");
    for (const auto& r : rows) {
      group g(7 * r.members + r.loss, r.members, r.loss, r.jitter);
      g.w->run_until(10s);
      const auto begun = *g.ears;
      g.w->run_until(10s + std::chrono::hours(hours));
      const auto gone = g.ears->gone - begun.gone;
      std::printf("| %u | %u %% | %lld ms | %u | %llu | %.2f | %llu | %llu |\n", r.members, r.loss / 10,
                  static_cast<long long>(r.jitter / 1000), hours, static_cast<unsigned long long>(gone),
                  static_cast<double>(gone) * 24 / hours, static_cast<unsigned long long>(g.ears->suspected - begun.suspected),
                  static_cast<unsigned long long>(g.ears->elected - begun.elected));
      std::fflush(stdout);
    }
    std::printf("\n");
  }
  if (trials > 0) {
    std::printf("| members | loss | jitter | who dies | deaths | least ms | median ms | 99 %% ms | most ms |\n"
                "|---|---|---|---|---|---|---|---|---|\n");
    for (const bool leader : {false, true})
      for (const auto& r : rows) print_times(r, trials, leader);
  }
  return 0;
}

}  // namespace cohort::sim
