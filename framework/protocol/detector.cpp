#include "framework/protocol/detector.hpp"

#include <algorithm>
#include <bit>

namespace cohort::protocol {

namespace {

/// -1000 log10 of the upper tail of the normal distribution, at 0, 1/4, 2/4 ... 10 deviations. A table, because the
/// libraries' logarithms differ in the last bit.
constexpr std::array<suspicion, 41> tail{
  301, 397, 511, 645, 800, 976, 1175, 1397, 1643, 1913, 2207, 2526,
  2870, 3239, 3633, 4053, 4499, 4971, 5469, 5993, 6543, 7119, 7721, 8350,
  9006, 9688, 10396, 11131, 11893, 12681, 13496, 14338, 15206, 16101, 17023, 17972,
  18947, 19950, 20979, 22035, 23118};

/// Binary logarithm in 65536ths, of a number above 0: one bit of the fraction per squaring.
std::uint32_t log2_fixed(std::uint64_t x) {
  const auto whole = static_cast<std::uint32_t>(std::bit_width(x) - 1);
  std::uint64_t m = whole >= 31 ? x >> (whole - 31) : x << (31 - whole);  // in [1, 2), 31 bits behind the point
  std::uint32_t result = whole << 16;
  for (std::uint32_t bit = 1u << 15; bit != 0; bit >>= 1) {
    m = (m * m) >> 31;
    if (m >> 32) {
      m >>= 1;
      result |= bit;
    }
  }
  return result;
}

std::uint32_t root(std::uint64_t x) {
  std::uint64_t r = 0;
  for (std::uint64_t bit = std::uint64_t(1) << 31; bit != 0; bit >>= 1)
    if ((r | bit) * (r | bit) <= x) r |= bit;
  return static_cast<std::uint32_t>(r);
}

std::uint64_t divide_up(std::uint64_t a, std::uint64_t b) { return (a + b - 1) / b; }

}  // namespace

void detector::begin(duration beat, instant now) {
  *this = {};
  beat_ = std::max(beat, duration(1));
  restart(now);
}

void detector::restart(instant now) {
  last_ = beat_begun_ = now;
  longest_ = duration(0);
}

bool detector::heard(instant now) {
  longest_ = std::max(longest_, now - last_);
  last_ = now;
  if (now - beat_begun_ < beat_) return false;
  const auto pause = longest_;
  beat_begun_ = now;
  longest_ = duration(0);
  if (pause > beat_ * outage_beats) return false;
  add(static_cast<std::uint16_t>(std::max<std::int64_t>(pause.count() * unit / beat_.count(), unit)));
  return true;
}

void detector::add(std::uint16_t pause) {
  const auto lost = [](std::uint64_t p) { return p / unit - 1; };
  auto& place = pauses_[next_];
  if (count_ == window) {
    sum_ -= place;
    squares_ -= std::uint64_t(place) * place;
    lost_ -= lost(place);
  } else {
    ++count_;
  }
  place = pause;
  next_ = (next_ + 1) % window;
  sum_ += pause;
  squares_ += std::uint64_t(pause) * pause;
  lost_ += lost(pause);
  estimate();
}

void detector::estimate() {
  mean_ = static_cast<std::uint32_t>(sum_ / count_);
  const auto variance = (squares_ * count_ - sum_ * sum_) / (std::uint64_t(count_) * count_);
  deviation_ = std::max(root(variance), unit / 2);
  // The share of beats lost is lost / (lost + answered); each beat lost in a row has just that probability.
  const auto missed = lost_ + prior_beats, all = missed + count_ + prior_beats;
  const std::uint64_t binary = log2_fixed(all) - log2_fixed(missed);
  per_beat_ = static_cast<std::uint32_t>(std::max<std::uint64_t>(binary * 30'103 / 100 >> 16, 1));
}

suspicion detector::phi(duration silence) const {
  const auto most = beat_ * 1000;  // beyond that nothing changes any more
  const auto pause = static_cast<std::uint64_t>(std::clamp(silence, duration(0), most).count()) * unit /
                     static_cast<std::uint64_t>(beat_.count());
  if (pause <= mean_) return 0;
  const auto beyond = pause - mean_;
  const auto lost = beyond * per_beat_ / unit;
  const auto quarters = beyond * 4;
  const auto step = quarters / deviation_;
  const suspicion late =
    step + 1 >= tail.size()
      ? tail.back()
      : tail[step] + static_cast<suspicion>((tail[step + 1] - tail[step]) * (quarters % deviation_) / deviation_);
  return static_cast<suspicion>(std::min<std::uint64_t>({late, lost, suspicion_max}));
}

duration detector::patience(suspicion limit) const {
  limit = std::min(limit, suspicion_max);
  std::size_t step = 0;
  while (step + 2 < tail.size() && tail[step + 1] <= limit) ++step;
  const std::uint64_t above = limit > tail[step] ? limit - tail[step] : 0;
  const auto late = divide_up(step * deviation_, 4) + divide_up(above * deviation_, std::uint64_t(4) * (tail[step + 1] - tail[step]));
  const auto lost = divide_up(std::uint64_t(limit) * unit, per_beat_);
  const auto pause = mean_ + std::max(late, lost);
  return duration(static_cast<std::int64_t>(divide_up((pause + 1) * static_cast<std::uint64_t>(beat_.count()), unit)));
}

}  // namespace cohort::protocol
