#include "tests/sim/fleet.hpp"

#include "tests/sim/gathering.hpp"
#include "tests/sim/kv_workload.hpp"

#include <cinttypes>
#include <cstdio>

namespace cohort::sim {

using namespace protocol;
using namespace std::chrono_literals;

namespace {

constexpr unsigned per_group = 3;

/// What befalls a node, and for how long.
struct mishap {
  enum class kind : std::uint8_t { killed, powered_off, stands_still, cut_off } what{};
  instant at{};
  duration lasts{};
};

scenario group_on(unsigned first_node) {
  scenario s;
  s.profile = "fleet";
  s.seed = first_node + 1;
  s.members = per_group;
  s.core.durable = false;
  s.core.orders = {order::fifo, order::causal, order::total};
  s.quiet = true;
  return s;
}

/// Three seats on three nodes, and what befalls them.
class fleet_group {
public:
  fleet_group(unsigned first_node, const std::vector<std::vector<mishap>>& of_nodes)
      : watchers_(make_checkers()), app_(make_register_workload()), w_(group_on(first_node), *app_, watchers_, record_checksum) {
    for (unsigned seat = 0; seat < per_group; ++seat) {
      w_.at(milli(w_.chance().below(200)), [this, seat] { w_.start(seat); });
      for (const auto& m : of_nodes[(first_node + seat) % of_nodes.size()]) w_.at(m.at, [this, seat, m] { befall(seat, m); });
    }
  }

  bool run(duration span) {
    w_.at(10s, [this] { talk(); });
    if (!w_.run_until(10s + span)) return false;
    talks_ = false;
    for (const auto end = w_.now() + 60s; together(w_) < per_group; )
      if (w_.now() >= end)
        w_.fail("I20 liveness: a minute after the last mishap the group is not whole");
      else if (!w_.run_until(w_.now() + 100ms))
        return false;
    whole_after = w_.now() - (10s + span);
    if (!w_.run_until(w_.now() + 10s)) return false;
    return judge(w_, watchers_);
  }

  const std::string& broken() const { return w_.broken(); }
  std::uint64_t events() const { return w_.events(); }
  std::uint64_t views() const { return newest_view(w_); }
  std::uint64_t multicasts = 0;
  duration whole_after{};

private:
  static duration milli(std::uint64_t n) { return std::chrono::milliseconds(n); }

  void befall(unsigned seat, const mishap& m) {
    switch (m.what) {
      case mishap::kind::killed:
      case mishap::kind::powered_off:
        // What its memory alone holds must be elsewhere, too, or a volatile group ends with it.
        if (!w_.up(seat) || !w_.expendable(seat) || !w_.founded_beside(seat)) return;
        w_.crash(seat, m.what == mishap::kind::killed);
        return w_.at(w_.now() + m.lasts, [this, seat] { w_.start(seat); });
      case mishap::kind::stands_still: return w_.pause(seat, m.lasts);
      case mishap::kind::cut_off: cut(seat, true); return w_.at(w_.now() + m.lasts, [this, seat] { cut(seat, false); });
    }
  }

  void cut(unsigned seat, bool off) {
    for (unsigned other = 0; other < per_group; ++other)
      if (other != seat) w_.network().cut[seat][other] = w_.network().cut[other][seat] = off;
  }

  void talk() {
    if (!talks_) return;
    const auto seat = static_cast<unsigned>(w_.chance().below(per_group));
    if (w_.up(seat)) {
      ++multicasts;
      if (w_.chance().below(2) == 0)
        (void)w_.call(0, seat, operation::kind::write, static_cast<unsigned>(w_.chance().below(3)));
      else
        w_.multicast(seat, w_.chance().below(2) == 0 ? order::fifo : order::causal, 16 + w_.chance().below(200));
    }
    w_.at(w_.now() + milli(500 + w_.chance().below(2000)), [this] { talk(); });
  }

  checkers watchers_;
  std::unique_ptr<workload> app_;
  world w_;
  bool talks_ = true;
};

/// About one mishap a node and minute, never two on neighbours at the same time: a majority of every group stays.
std::vector<std::vector<mishap>> draw_mishaps(unsigned nodes, duration span, std::uint64_t& count) {
  random chance(nodes);
  std::vector<std::vector<mishap>> of_nodes(nodes);
  std::vector<instant> free_from(nodes, 10s);
  for (std::uint64_t n = nodes * static_cast<std::uint64_t>(span / 1min + 1), i = 0; i < n; ++i) {
    const auto node = static_cast<unsigned>(chance.below(nodes));
    const mishap m{static_cast<mishap::kind>(chance.below(4)), 10s + std::chrono::milliseconds(chance.below(static_cast<std::uint64_t>(span / 1ms))),
                   std::chrono::milliseconds(200 + chance.below(8000))};
    if (m.at + m.lasts > 10s + span) continue;
    bool apart = true;
    for (unsigned d = 0; d < 2 * per_group - 1; ++d)
      for (const auto& other : of_nodes[(node + nodes + d - (per_group - 1)) % nodes]) apart &= m.at > other.at + other.lasts + 5s || other.at > m.at + m.lasts + 5s;
    if (!apart) continue;
    of_nodes[node].push_back(m);
    ++count;
  }
  return of_nodes;
}

}  // namespace

int run_fleet(unsigned nodes, unsigned minutes) {
  const auto span = std::chrono::minutes(minutes);
  std::uint64_t mishaps = 0, views = 0, multicasts = 0, events = 0;
  duration longest{};
  const auto of_nodes = draw_mishaps(nodes, span, mishaps);
  std::string broken;
  for (unsigned first = 0; first < nodes && broken.empty(); ++first) {
    fleet_group g(first, of_nodes);
    if (!g.run(span)) broken = "group " + std::to_string(first) + ": " + g.broken();
    views += g.views();
    multicasts += g.multicasts;
    events += g.events();
    longest = std::max(longest, g.whole_after);
  }
  std::printf("{\"nodes\": %u, \"groups\": %u, \"minutes\": %u, \"mishaps\": %" PRIu64 ", \"views\": %" PRIu64 ", \"multicasts\": %" PRIu64
              ", \"events\": %" PRIu64 ", \"whole_after_seconds\": %.1f, \"broken\": \"%s\"}\n",
              nodes, nodes, minutes, mishaps, views, multicasts, events, static_cast<double>(longest.count()) / 1e9, broken.c_str());
  return broken.empty() ? 0 : 1;
}

}  // namespace cohort::sim
