#include "framework/resilience/deaths.hpp"

#include "framework/resilience/records.hpp"

#include <algorithm>
#include <utility>

namespace cohort::resilience {
namespace {

constexpr std::uint64_t death_format = 1;

}  // namespace

std::string encode(const death& d) {
  string_sink out;
  out.write_u64(death_format);
  out.write_u64(static_cast<std::uint64_t>(d.what));
  for (const auto part : d.word) out.write_u64(part);
  out.write_u64(static_cast<std::uint64_t>(d.time.count()));
  out.write_bytes(d.process);
  out.write_bytes(d.from);
  for (const auto n : {d.number, d.position, d.activation, d.identity, d.body_bytes}) out.write_u64(n);
  out.write_bytes(d.excerpt);
  out.write_bytes(d.how);
  return std::move(out.bytes);
}

std::optional<death> decode_death(std::string_view bytes) try {
  string_source in(bytes);
  if (in.read_u64() != death_format) return std::nullopt;
  death d;
  const auto what = in.read_u64();
  if (what < static_cast<std::uint64_t>(death::kind::input) ||
      what > static_cast<std::uint64_t>(death::kind::tally))
    return std::nullopt;
  d.what = static_cast<death::kind>(what);
  for (auto& part : d.word) part = in.read_u64();
  d.time = wall_time(static_cast<std::int64_t>(in.read_u64()));
  d.process = in.read_bytes();
  d.from = in.read_bytes();
  for (auto* n : {&d.number, &d.position, &d.activation, &d.identity, &d.body_bytes}) *n = in.read_u64();
  d.excerpt = in.read_bytes();
  d.how = in.read_bytes();
  if (in.left() != 0) return std::nullopt;
  return d;
} catch (const truncated_checkpoint&) {
  return std::nullopt;
}

bool death_table::knows(const death& d) const {
  return std::ranges::any_of(
      all_, [&](const auto& each) { return each.second.what == d.what && each.second.word == d.word; });
}

bool death_table::add(std::uint64_t number, death d) {
  if (knows(d)) return false;
  by_identity_.emplace(d.identity, number);
  all_.insert_or_assign(number, std::move(d));
  return true;
}

toll death_table::of(std::uint64_t identity) const {
  toll t;
  std::uint64_t newest = 0;
  const auto [first, last] = by_identity_.equal_range(identity);
  for (auto at = first; at != last; ++at) {
    const auto& d = all_.at(at->second);
    if (d.what == death::kind::put_aside || d.what == death::kind::threw) {
      t.put_aside = true;
      t.threw = d.what == death::kind::threw;
      if (t.threw) t.how = d.how;
      continue;
    }
    ++t.lives;
    if (at->second > newest) t.how = d.how;
    newest = std::max(newest, at->second);
  }
  return t;
}

std::optional<deadly_place> death_table::worst_place(std::string_view process) const {
  std::map<std::uint64_t, std::uint64_t> places;  // identity by position
  for (const auto& [number, d] : all_)
    if (d.what == death::kind::redo && d.process == process) places[d.position] = d.identity;
  std::optional<deadly_place> worst;
  for (const auto& [position, identity] : places)
    if (auto t = of(identity); !worst || t.lives > worst->what.lives) worst = deadly_place{position, std::move(t)};
  return worst;
}

std::vector<std::uint64_t> death_table::forget_places(std::string_view process) {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, d] : all_)
    if ((d.what == death::kind::redo || d.what == death::kind::checkpoint) && d.process == process) numbers.push_back(number);
  for (const auto n : numbers) remove(n);
  return numbers;
}

std::vector<std::uint64_t> death_table::forget(std::uint64_t identity) {
  std::vector<std::uint64_t> numbers;
  const auto [first, last] = by_identity_.equal_range(identity);
  for (auto at = first; at != last; ++at) numbers.push_back(at->second);
  for (const auto n : numbers) remove(n);
  return numbers;
}

std::vector<std::uint64_t> death_table::expire(wall_time since) {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, d] : all_)
    if (d.time < since && d.what != death::kind::tally) numbers.push_back(number);
  for (const auto n : numbers) remove(n);
  return numbers;
}

void death_table::remove(std::uint64_t number) {
  const auto found = all_.find(number);
  if (found == all_.end()) return;
  const auto [first, last] = by_identity_.equal_range(found->second.identity);
  for (auto at = first; at != last; ++at)
    if (at->second == number) {
      by_identity_.erase(at);
      break;
    }
  all_.erase(found);
}

}  // namespace cohort::resilience
