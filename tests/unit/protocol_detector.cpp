#include "framework/protocol/detector.hpp"

#include "framework/protocol/detection_bounds.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <random>

using namespace cohort;
using namespace cohort::protocol;
using namespace std::chrono_literals;

namespace {

/// The same by the definitions, in floating point, from a list of pauses counted in beats.
struct slow_detector {
  std::deque<double> pauses;
  duration beat;
  instant last{}, begun{};
  double longest = 0;

  explicit slow_detector(duration b, instant now) : beat(b), last(now), begun(now) {}
  double beats(duration d) const { return static_cast<double>(d.count()) / static_cast<double>(beat.count()); }
  void heard(instant now) {
    longest = std::max(longest, beats(now - last));
    last = now;
    if (now - begun < beat) return;
    begun = now;
    if (longest <= detector::outage_beats) pauses.push_back(std::max(longest, 1.0));
    longest = 0;
    if (pauses.size() > detector::window) pauses.pop_front();
  }
  double phi(duration silence) const {
    const auto n = static_cast<double>(pauses.size());
    double sum = 0, squares = 0, lost = detector::prior_beats;
    for (const double p : pauses) sum += p, lost += std::floor(p + 1e-9) - 1;
    const double mean = pauses.empty() ? 1 : sum / n;
    for (const double p : pauses) squares += (p - mean) * (p - mean);
    const double deviation = std::max(0.5, pauses.empty() ? 0 : std::sqrt(squares / n));
    const double beyond = beats(silence) - mean;
    if (beyond <= 0) return 0;
    const double late = -std::log10(std::erfc(beyond / deviation / std::sqrt(2.0)) / 2);
    const double rare = beyond * -std::log10(lost / (lost + n + detector::prior_beats));
    return std::min({late, rare, 20.0});
  }
};

/// A peer that is asked every beat, whose answers take up to `jitter` and get lost `loss` times in a thousand.
void listen(detector& d, slow_detector* slow, instant& now, int beats, duration beat, duration jitter, unsigned loss,
            std::mt19937_64& chance) {
  std::vector<instant> arrivals;
  for (int i = 0; i < beats; ++i, now += beat)
    if (chance() % 1000 >= loss)
      arrivals.push_back(now + duration(static_cast<std::int64_t>(chance() % static_cast<std::uint64_t>(jitter.count() + 1))));
  std::sort(arrivals.begin(), arrivals.end());
  for (const auto at : arrivals) {
    if (at < d.last_heard()) continue;
    d.heard(at);
    if (slow) slow->heard(at);
  }
}

}  // namespace

TEST_SUITE("protocol: detector") {
  TEST_CASE("equals the slow one by the definitions") {
    std::mt19937_64 chance(7);
    for (const auto beat : {20ms, 50ms, 1000ms})
      for (const unsigned loss : {0u, 50u, 200u, 500u})
        for (const auto jitter : {0, 40, 150}) {
          instant now = 5s;
          detector d;
          d.begin(beat, now);
          slow_detector slow(beat, now);
          for (int round = 0; round < 12; ++round) {
            listen(d, &slow, now, 1 + round * 7, beat, beat * jitter / 100, loss, chance);
            for (int i = 0; i < 60; ++i) {
              const auto silence = beat * i / 3;
              const double fast = d.phi(silence) / 1000.0, expected = slow.phi(silence);
              // Pauses are cut to 1024ths of a beat, logarithms to thousandths; the table is read along straight lines.
              INFO("loss ", loss, " jitter ", jitter, " samples ", d.samples(), " silence ", i / 3.0, " beats");
              CHECK(std::abs(fast - expected) <= 0.06 + 0.02 * expected);
            }
          }
        }
  }

  TEST_CASE("patience is where phi reaches the limit") {
    std::mt19937_64 chance(11);
    for (const unsigned loss : {0u, 100u, 400u}) {
      instant now = 1s;
      detector d;
      d.begin(50ms, now);
      for (int round = 0; round < 30; ++round) {
        for (const suspicion limit : {0u, 500u, 1000u, 3000u, 8000u, 12'345u, 20'000u}) {
          const auto p = d.patience(limit);
          CHECK(d.phi(p) >= limit);
          CHECK(d.phi(p - 1ms) <= limit);
          if (limit > 500) CHECK(d.phi(p - 2ms) < limit);
        }
        listen(d, nullptr, now, 9, 50ms, 30ms, loss, chance);
      }
    }
  }

  TEST_CASE("phi grows with the silence and ends at its bound") {
    detector d;
    d.begin(50ms, 0s);
    CHECK(d.phi(-1s) == 0);
    suspicion before = 0;
    for (auto silence = 0ms; silence < 5s; silence += 7ms) {
      const auto now = d.phi(silence);
      CHECK(now >= before);
      before = now;
    }
    CHECK(d.phi(duration::max()) == detector::suspicion_max);
  }

  TEST_CASE("few samples make it patient, a steady rhythm quick, losses patient again") {
    std::mt19937_64 chance(3);
    instant now = 1s;
    detector d;
    d.begin(50ms, now);
    const auto fresh = d.patience(8000);
    CHECK(fresh > 1s);
    CHECK(fresh < 2s);
    listen(d, nullptr, now, 200, 50ms, 5ms, 0, chance);
    const auto steady = d.patience(8000);
    CHECK(steady > 200ms);  // the least deviation: four lost beats in a row are no proof
    CHECK(steady < 400ms);
    listen(d, nullptr, now, 400, 50ms, 5ms, 360, chance);  // both ways lose a fifth
    CHECK(d.patience(8000) > 2 * steady);
    CHECK(d.patience(8000) < 2s);
  }

  TEST_CASE("busy traffic teaches no shorter pause than a beat") {
    detector d;
    instant now = 1s;
    d.begin(50ms, now);
    for (int i = 0; i < 60'000; ++i) d.heard(now += 200us);
    CHECK(d.samples() == detector::window);
    CHECK(d.phi(60ms) < 1000);  // the first idle beat
    CHECK(d.patience(8000) > 200ms);
  }

  TEST_CASE("the bounds follow from the configuration") {
    core_options o;
    const auto b = bounds_of(o);
    CHECK(b.reset == 400ms);
    CHECK(b.calm > 600ms);
    CHECK(b.calm < 800ms);
    CHECK(b.most == 2050ms);
    CHECK(b.replaced == 600ms);
    o.fail_after = 600ms;  // no patience goes beyond it
    CHECK(bounds_of(o).calm == 650ms);
    o.heartbeat = 10ms, o.election_min = 60ms, o.election_max = 120ms;
    CHECK(bounds_of(o).calm < 250ms);
    CHECK(bounds_of(o).most == 610ms);
    for (suspicion s = 1000; s < 15'000; s += 1000) {
      o.suspect_at = s;
      CHECK(bounds_of(o).reset <= bounds_of(o).calm);
      CHECK(bounds_of(o).calm <= bounds_of(o).most);
    }
  }

  TEST_CASE("an outage teaches nothing, and what it interrupted is kept") {
    std::mt19937_64 chance(5);
    instant now = 1s;
    detector d;
    d.begin(50ms, now);
    listen(d, nullptr, now, 200, 50ms, 1ms, 0, chance);
    const auto before = d.patience(8000);
    now += 10s;
    d.heard(now);
    CHECK(d.patience(8000) == before);
    now += 800ms;  // this process itself stood still
    d.restart(now);
    d.heard(now + 50ms);
    CHECK(d.patience(8000) <= before);
  }
}
