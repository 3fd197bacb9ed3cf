#include "framework/primary_backup/ended_offices.hpp"

#include <algorithm>

namespace cohort::primary_backup {

void ended_offices::ended(const office& which, std::uint64_t newest) {
  offices_.push_back({which.who, which.since, newest, 0});
  if (offices_.size() > offices_max) offices_.pop_front();
}

void ended_offices::told(member_id holder, view_number since, std::uint64_t position) {
  for (auto& o : offices_)
    if (o.who == holder && o.since == since && o.died_of == 0 && position <= o.newest) o.died_of = position;  // E1, E2
}

void ended_offices::settled(std::uint64_t position) {
  while (!offices_.empty() && offices_.front().newest <= position) offices_.pop_front();
}

unsigned ended_offices::lives(std::uint64_t position) const {
  if (std::ranges::none_of(offices_, [&](const one& o) { return o.died_of == position; })) return 0;
  return static_cast<unsigned>(std::ranges::count_if(offices_, [&](const one& o) {
    return o.died_of == position || (o.died_of == 0 && position <= o.newest);  // E3
  }));
}

void ended_offices::checkpoint(sink& out) const {
  out.write_u64(offices_.size());
  for (const auto& o : offices_) {
    out.write_u64(to_index(o.who));
    out.write_u64(o.since);
    out.write_u64(o.newest);
    out.write_u64(o.died_of);
  }
}

void ended_offices::restore(source& in) {
  offices_.clear();
  const auto count = in.read_u64();
  if (count > offices_max) throw truncated_checkpoint("it has " + std::to_string(count) + " offices that ended");
  for (std::uint64_t i = 0; i < count; ++i) {
    one o;
    o.who = member_id(static_cast<std::uint16_t>(in.read_u64()));
    o.since = in.read_u64();
    o.newest = in.read_u64();
    o.died_of = in.read_u64();
    offices_.push_back(o);
  }
}

}  // namespace cohort::primary_backup
