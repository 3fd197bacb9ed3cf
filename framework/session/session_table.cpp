#include "framework/session/session_table.hpp"

#include <algorithm>

namespace cohort::session {
namespace {

constexpr std::uint64_t ahead = 8;  ///< requests

session_limits clamped(session_limits l) {
  using namespace std::chrono_literals;
  l.lifetime = std::clamp<std::chrono::milliseconds>(l.lifetime, 1s, 168h);
  l.open_requests_max = std::clamp(l.open_requests_max, 1u, session_table::open_requests_limit);
  return l;
}

}  // namespace

void session_table::end_due(wall_time now) {
  now_ = now;
  while (!due_.empty() && due_.front().when <= now_) {
    std::ranges::pop_heap(due_, std::greater<>{});
    const auto id = due_.back().id;
    due_.pop_back();
    const auto s = sessions_.find(id);
    if (s == sessions_.end()) continue;  // closed
    if (s->second.expires <= now_)
      end(s);
    else
      watch(id, s->second.expires);
  }
}

session_outcome session_table::open(session_name& name, const session_limits& limits, std::uint64_t owner, std::uint64_t position) {
  if (const auto known = sessions_.find(name.id); known != sessions_.end()) {
    if (name.birth != 0 && known->second.birth != name.birth) return session_outcome::no_session;
    name.birth = known->second.birth;
    use(name);
    return session_outcome::replied;
  }
  if (name.birth != 0) return session_outcome::no_session;
  const auto of_owner = owners_.find(owner);
  if (sessions_.size() >= limits.sessions_max ||
      (owner != 0 && of_owner != owners_.end() && of_owner->second >= limits.sessions_per_owner_max))
    return session_outcome::sessions_full;
  auto& s = sessions_[name.id];
  s.birth = name.birth = position;
  births_[position] = name.id;
  s.owner = owner;
  s.limits = clamped(limits);
  s.expires = now_ + s.limits.lifetime;
  if (owner != 0) ++owners_[owner];
  watch(name.id, s.expires);
  last_ = nullptr;  // it may have been looked for before
  return session_outcome::replied;
}

session_outcome session_table::close(const session_name& name) {
  if (!find(name)) return session_outcome::no_session;
  end(sessions_.find(name.id));
  return session_outcome::replied;
}

session_table::verdict session_table::begin(const session_name& name, std::uint64_t number, std::uint64_t acknowledged_below) {
  if (number == 0 || acknowledged_below > number) return {session_outcome::malformed};
  auto* s = use(name);
  if (!s) return {session_outcome::no_session};
  raise(*s, acknowledged_below);
  if (number < s->low) return {session_outcome::forgotten};
  if (number - s->low >= s->limits.open_requests_max) return {session_outcome::too_far};
  auto& where = place(*s, number);
  // Where the request after some others will be looked for, and what will be forgotten then: a busy session's answers are
  // megabytes, and both are touched once in a round.
  const auto mask = s->slots.size() - 1;
  __builtin_prefetch(&s->slots[(number + ahead) & mask], 1);
  __builtin_prefetch(&s->slots[(s->low + ahead) & mask], 1);
  if (where.what == fate::replied) return {session_outcome::replied, false, where.answer.bytes(), where.at};
  if (where.what == fate::cancelled) return {session_outcome::cancelled, false, {}, where.at};
  if (s->bytes >= s->limits.answer_bytes_max || bytes_ >= s->limits.table_bytes_max) return {session_outcome::answers_full};
  executing_ = &where;
  executing_in_ = s;
  return {session_outcome::replied, true};
}

void session_table::executed(std::span<const std::byte> answer, const stamp& at) {
  keep(*executing_in_, *executing_, fate::replied, answer, at);
  executing_ = nullptr;
}

session_table::verdict session_table::cancel(const session_name& name, std::uint64_t number, const stamp& at) {
  auto* s = use(name);
  if (!s) return {session_outcome::no_session};
  if (number < s->low) return {session_outcome::forgotten};
  if (number - s->low >= s->limits.open_requests_max) return {session_outcome::too_far};
  auto& where = place(*s, number);
  if (where.what == fate::replied) return {session_outcome::replied, false, where.answer.bytes(), where.at};
  if (where.what == fate::open) keep(*s, where, fate::cancelled, {}, at);
  return {session_outcome::cancelled, false, {}, where.at};
}

bool session_table::complete(session_name& name) const {
  const auto known = births_.find(name.birth);
  if (known == births_.end() || known->second.low != name.id.low) return false;
  name.id = known->second;
  return true;
}

void session_table::look_up(const session_id& id) {
  const auto s = sessions_.find(id);
  last_ = s == sessions_.end() ? nullptr : &s->second;
  last_id_ = id;
}

session_table::one_session* session_table::use(const session_name& name) {
  auto* s = find(name);
  if (s) s->expires = now_ + s->limits.lifetime;
  return s;
}

/// Forgets what is below `low`. Late copies of requests carry smaller marks, which change nothing.
void session_table::forget(one_session& s, std::uint64_t low) {
  for (const auto end = std::min<std::uint64_t>(low, s.low + s.slots.size()); s.low < end; ++s.low) {
    auto& gone = s.slots[s.low & (s.slots.size() - 1)];
    if (gone.what == fate::open) continue;
    const auto bytes = gone.answer.size() + answer_overhead;
    s.bytes -= bytes;
    bytes_ -= bytes;
    gone.what = fate::open;
    --s.kept;
    gone.answer.clear();
  }
  s.low = low;
}

void session_table::make_room(one_session& s, std::uint64_t number) {
  auto count = std::max<std::size_t>(s.slots.size() * 2, 4);
  while (count < number - s.low + 1) count *= 2;
  std::vector<slot> more(count);
  for (std::uint64_t n = s.low; n < s.low + s.slots.size(); ++n)
    more[n & (count - 1)] = std::move(s.slots[n & (s.slots.size() - 1)]);
  s.slots = std::move(more);
}

void session_table::keep(one_session& s, slot& where, fate what, std::span<const std::byte> answer, const stamp& at) {
  where.what = what;
  ++s.kept;
  where.at = at;
  where.answer.assign(answer);
  s.bytes += answer.size() + answer_overhead;
  bytes_ += answer.size() + answer_overhead;
}

void session_table::end(sessions::iterator which) {
  bytes_ -= which->second.bytes;
  births_.erase(which->second.birth);
  if (const auto owner = owners_.find(which->second.owner); owner != owners_.end() && --owner->second == 0) owners_.erase(owner);
  sessions_.erase(which);
  last_ = nullptr;
  last_id_ = {};
}

void session_table::watch(const session_id& id, wall_time when) {
  due_.push_back({when, id});
  std::ranges::push_heap(due_, std::greater<>{});
}

}  // namespace cohort::session
