#include "framework/session/session_table.hpp"

#include "framework/protocol/bytes.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace cohort::session {
namespace {

constexpr std::uint32_t window_max = 65'536;
constexpr std::size_t kept_capacity_max = 1024;  ///< of a slot without answer

session_limits clamped(session_limits l) {
  using namespace std::chrono_literals;
  l.lifetime = std::clamp<std::chrono::milliseconds>(l.lifetime, 1s, 168h);
  l.open_requests_max = std::clamp(l.open_requests_max, 1u, window_max);
  return l;
}

/// Gathers numbers and short answers: a busy group's table has tens of thousands of them at each checkpoint.
class gathering_sink {
public:
  explicit gathering_sink(sink& out) : out_(out) {}
  ~gathering_sink() { flush(); }
  gathering_sink(const gathering_sink&) = delete;
  gathering_sink& operator=(const gathering_sink&) = delete;
  void put(std::uint64_t value) {
    if (used_ + sizeof value > bytes_.size()) flush();
    protocol::store_little(bytes_.data() + used_, value);
    used_ += sizeof value;
  }
  void put(std::span<const std::byte> bytes) {
    if (used_ + bytes.size() > bytes_.size()) flush();
    if (bytes.size() > bytes_.size()) return out_.write(bytes);
    if (!bytes.empty()) std::memcpy(bytes_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }

private:
  void flush() {
    if (used_ > 0) out_.write(std::span(bytes_).first(used_));
    used_ = 0;
  }

  sink& out_;
  std::array<std::byte, 4096> bytes_;
  std::size_t used_ = 0;
};

}  // namespace

void session_table::advance(wall_time now) {
  now_ = std::max(now_, now);
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
  if (where.what == fate::replied) return {session_outcome::replied, false, where.answer, where.at};
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
  if (where.what == fate::replied) return {session_outcome::replied, false, where.answer, where.at};
  if (where.what == fate::open) keep(*s, where, fate::cancelled, {}, at);
  return {session_outcome::cancelled, false, {}, where.at};
}

void session_table::complete(session_name& name) const {
  if (last_ && last_->birth == name.birth && last_id_.low == name.id.low) {
    name.id.high = last_id_.high;
    return;
  }
  const auto known = births_.find(name.birth);
  if (known != births_.end() && known->second.low == name.id.low) name.id = known->second;
}

session_table::one_session* session_table::find(const session_name& name) {
  if (!last_ || last_id_ != name.id) {
    const auto s = sessions_.find(name.id);
    last_ = s == sessions_.end() ? nullptr : &s->second;
    last_id_ = name.id;
  }
  return last_ && last_->birth == name.birth ? last_ : nullptr;
}

session_table::one_session* session_table::use(const session_name& name) {
  auto* s = find(name);
  if (s) s->expires = now_ + s->limits.lifetime;
  return s;
}

/// Forgets what is below `low`. Late copies of requests carry smaller marks, which change nothing.
void session_table::raise(one_session& s, std::uint64_t low) {
  if (low <= s.low) return;
  for (const auto end = std::min<std::uint64_t>(low, s.low + s.slots.size()); s.low < end; ++s.low) {
    auto& gone = s.slots[s.low & (s.slots.size() - 1)];
    if (gone.what == fate::open) continue;
    const auto bytes = gone.answer.size() + answer_overhead;
    s.bytes -= bytes;
    bytes_ -= bytes;
    gone.what = fate::open;
    gone.answer.clear();
    if (gone.answer.capacity() > kept_capacity_max) gone.answer = {};
  }
  s.low = low;
}

session_table::slot& session_table::place(one_session& s, std::uint64_t number) {
  if (const auto needed = number - s.low + 1; needed > s.slots.size()) {
    auto count = std::max<std::size_t>(s.slots.size() * 2, 4);
    while (count < needed) count *= 2;
    std::vector<slot> more(count);
    for (std::uint64_t n = s.low; n < s.low + s.slots.size(); ++n)
      more[n & (count - 1)] = std::move(s.slots[n & (s.slots.size() - 1)]);
    s.slots = std::move(more);
  }
  return s.slots[number & (s.slots.size() - 1)];
}

void session_table::keep(one_session& s, slot& where, fate what, std::span<const std::byte> answer, const stamp& at) {
  where.what = what;
  where.at = at;
  where.answer.assign(answer.begin(), answer.end());
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

void session_table::checkpoint(sink& to) const {
  gathering_sink out(to);
  std::vector<const sessions::value_type*> sorted;
  for (const auto& s : sessions_) sorted.push_back(&s);
  std::ranges::sort(sorted, {}, [](const auto* s) { return s->first; });
  out.put(static_cast<std::uint64_t>(now_.count()));
  out.put(sorted.size());
  for (const auto* each : sorted) {
    const auto& s = each->second;
    const std::uint64_t fields[] = {each->first.high, each->first.low, s.birth, s.owner, static_cast<std::uint64_t>(s.expires.count()),
      static_cast<std::uint64_t>(s.limits.lifetime.count()), s.limits.open_requests_max, s.limits.answer_bytes_max,
      s.limits.table_bytes_max, s.limits.sessions_max, s.limits.sessions_per_owner_max, s.low};
    for (const auto f : fields) out.put(f);
    const auto kept = std::ranges::count_if(s.slots, [](const slot& x) { return x.what != fate::open; });
    out.put(static_cast<std::uint64_t>(kept));
    for (std::uint64_t n = s.low; n < s.low + s.slots.size(); ++n) {
      const auto& x = s.slots[n & (s.slots.size() - 1)];
      if (x.what == fate::open) continue;
      out.put(n);
      out.put(static_cast<std::uint64_t>(x.what));
      for (const auto f : {x.at.position, x.at.index, x.at.view, static_cast<std::uint64_t>(x.at.time.count())}) out.put(f);
      out.put(x.answer.size());
      out.put(std::span<const std::byte>(x.answer));
    }
  }
}

void session_table::restore(source& in) {
  *this = session_table();
  const auto refuse = [] { throw truncated_checkpoint("the checkpoint's sessions make no sense: it is damaged"); };
  now_ = wall_time(static_cast<std::int64_t>(in.read_u64()));
  for (auto left = in.read_u64(); left > 0; --left) {
    session_id id;
    id.high = in.read_u64();
    id.low = in.read_u64();
    if (sessions_.contains(id)) refuse();
    auto& s = sessions_[id];
    s.birth = in.read_u64();
    if (!births_.emplace(s.birth, id).second) refuse();
    s.owner = in.read_u64();
    s.expires = wall_time(static_cast<std::int64_t>(in.read_u64()));
    s.limits.lifetime = std::chrono::milliseconds(in.read_u64());
    s.limits.open_requests_max = static_cast<std::uint32_t>(in.read_u64());
    s.limits.answer_bytes_max = in.read_u64();
    s.limits.table_bytes_max = in.read_u64();
    s.limits.sessions_max = static_cast<std::uint32_t>(in.read_u64());
    s.limits.sessions_per_owner_max = static_cast<std::uint32_t>(in.read_u64());
    s.low = in.read_u64();
    if (s.limits.open_requests_max == 0 || s.limits.open_requests_max > window_max || s.low == 0) refuse();
    if (s.owner != 0) ++owners_[s.owner];
    watch(id, s.expires);
    std::vector<std::byte> answer;
    for (auto kept = in.read_u64(); kept > 0; --kept) {
      const auto number = in.read_u64();
      const auto what = in.read_u64();
      stamp at;
      at.position = in.read_u64();
      at.index = in.read_u64();
      at.view = in.read_u64();
      at.time = wall_time(static_cast<std::int64_t>(in.read_u64()));
      const auto size = in.read_u64();
      if (number < s.low || number - s.low >= s.limits.open_requests_max || (what != 1 && what != 2) || size > in.left()) refuse();
      answer.resize(static_cast<std::size_t>(size));
      in.read(answer);
      keep(s, place(s, number), static_cast<fate>(what), answer, at);
    }
  }
}

}  // namespace cohort::session
