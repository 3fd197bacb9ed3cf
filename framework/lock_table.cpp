#include <cohort/lock_table.hpp>

#include <algorithm>

namespace cohort {

lock_table::grant lock_table::give(lock& l, const request& to) {
  l.token = ++last_token_;
  l.until = now_ + to.lease;
  return {l.token, l.until, to.position};
}

const std::vector<lock_table::grant>& lock_table::advance(wall_time now) {
  now_ = std::max(now_, now);
  granted_.clear();
  for (auto at = locks_.begin(); at != locks_.end();) {
    auto& l = at->second;
    if (l.token != 0 && l.until <= now_) l.token = 0;
    if (l.token == 0 && !l.line.empty()) {
      granted_.push_back(give(l, l.line.front()));
      l.line.pop_front();
    }
    at = l.token == 0 ? locks_.erase(at) : std::next(at);
  }
  return granted_;
}

std::optional<lock_table::grant> lock_table::acquire(std::string_view name, wall_time lease, std::uint64_t position, bool waits) {
  const auto known = locks_.find(name);
  const bool free = known == locks_.end() || (known->second.token == 0 && known->second.line.empty());
  if (!free && !waits) return {};
  auto& l = known == locks_.end() ? locks_[std::string(name)] : known->second;
  if (free) return give(l, {position, lease});
  l.line.push_back({position, lease});
  return {};
}

bool lock_table::renew(std::string_view name, fencing_token token, wall_time lease) {
  const auto known = locks_.find(name);
  if (token == 0 || known == locks_.end() || known->second.token != token) return false;
  known->second.until = now_ + lease;
  return true;
}

bool lock_table::release(std::string_view name, fencing_token token) {
  const auto known = locks_.find(name);
  if (token == 0 || known == locks_.end() || known->second.token != token) return false;
  known->second.token = 0;
  return true;
}

fencing_token lock_table::holder(std::string_view name) const {
  const auto known = locks_.find(name);
  return known == locks_.end() ? 0 : known->second.token;
}

std::optional<wall_time> lock_table::next() const {
  std::optional<wall_time> first;
  for (const auto& [name, l] : locks_) {
    if (l.line.empty()) continue;
    const auto when = l.token == 0 ? now_ : l.until;
    if (!first || when < *first) first = when;
  }
  return first;
}

void lock_table::checkpoint(sink& out) const {
  out.write_u64(last_token_);
  out.write_u64(static_cast<std::uint64_t>(now_.count()));
  out.write_u64(locks_.size());
  for (const auto& [name, l] : locks_) {
    out.write_bytes(name);
    out.write_u64(l.token);
    out.write_u64(static_cast<std::uint64_t>(l.until.count()));
    out.write_u64(l.line.size());
    for (const auto& r : l.line) {
      out.write_u64(r.position);
      out.write_u64(static_cast<std::uint64_t>(r.lease.count()));
    }
  }
}

void lock_table::restore(source& in) {
  const auto time = [&] { return wall_time(static_cast<std::int64_t>(in.read_u64())); };
  locks_.clear();
  last_token_ = in.read_u64();
  now_ = time();
  for (auto count = in.read_u64(); count > 0; --count) {
    auto& l = locks_[in.read_bytes()];
    l.token = in.read_u64();
    l.until = time();
    for (auto line = in.read_u64(); line > 0; --line) {
      request r;
      r.position = in.read_u64();
      r.lease = time();
      l.line.push_back(r);
    }
  }
}

}  // namespace cohort
