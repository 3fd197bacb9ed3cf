#include "samples/kv/keyspace.hpp"

#include "samples/kv/hash.hpp"

#include <algorithm>
#include <stdexcept>

namespace kv {

namespace {

constexpr std::uint64_t checkpoint_format = 1;
constexpr std::uint64_t hash_kind = 0x68;

}  // namespace

keyspace::keyspace() : tombstones_(tombstone_slots, 0) {}

void keyspace::begin(std::uint64_t position, std::int64_t us, std::uint64_t salt) {
  position_ = position;
  now_us_ = std::max(now_us_, us);
  if (seed_ == 0) seed_ = hash_pair(static_cast<std::uint64_t>(us), salt) | 1;
  for (std::size_t i = 0; i < reclaim_per_message && next_due() < now_ms(); ++i) {
    entry& gone = **by_expiry_.begin();
    remove(gone, gone.version);  // its own version: reclaiming later or earlier must not change any watch token
  }
}

std::uint64_t keyspace::place(std::string_view name) const { return table<entry>::place_of(hash_bytes(name, seed_)); }

entry* keyspace::find_even_expired(std::string_view name) const { return entries_.find(name, place(name)); }

const entry* keyspace::find(std::string_view name) const {
  const auto* found = find_even_expired(name);
  if (found == nullptr) return nullptr;
  time_mattered_ |= found->expires != no_expiry;
  return expired(*found) ? nullptr : found;
}

const entry* keyspace::any() const {
  const entry* found = nullptr;
  const auto visit = [&](const entry* e) {
    time_mattered_ |= e->expires != no_expiry;
    if (!expired(*e)) found = e;
  };
  const auto enough = [&] { return found != nullptr; };
  entries_.scan(hash_pair(++draws_, position_), visit, enough);
  if (found == nullptr) entries_.scan(0, visit, enough);
  return found;
}

std::uint64_t keyspace::digest_of(const entry& e) const {
  return hash_pair(hash_pair(e.place, e.what_digest), hash_pair(static_cast<std::uint64_t>(e.expires), e.version));
}

/// The entry under `name`, without its part in the digest; new or expired ones are empty strings.
entry& keyspace::create(std::string_view name) {
  const auto where = place(name);
  if (auto* found = entries_.find(name, where)) {
    if (!expired(*found)) return *found;
    remove(*found, found->version);
  }
  auto added = std::make_unique<entry>();
  added->place = where;
  added->name.assign(name);
  entry& e = entries_.insert(std::move(added));
  digest_ += digest_of(e);
  return e;
}

entry& keyspace::set_string(std::string_view name, std::string_view text, bool keep_expiry) {
  entry& e = create(name);
  digest_ -= digest_of(e);
  if (!keep_expiry && e.expires != no_expiry) {
    by_expiry_.erase(&e);
    e.expires = no_expiry;
  }
  if (auto* old = std::get_if<std::string>(&e.what)) {
    // A short text must not keep the memory of a long one.
    if (old->capacity() > 2 * text.size() + 64) std::string().swap(*old);
    old->assign(text);
  } else {
    e.what = std::string(text);
  }
  e.what_digest = string_digest(text);
  touch(e);
  digest_ += digest_of(e);
  return e;
}

void keyspace::overwrite(entry& e, std::size_t offset, std::string_view part) {
  auto& text = std::get<std::string>(e.what);
  digest_ -= digest_of(e);
  const auto from = std::min(offset, text.size());
  e.what_digest -= string_digest_tail(text, from);
  if (offset + part.size() > text.size()) text.resize(offset + part.size(), '\0');
  std::copy(part.begin(), part.end(), text.begin() + static_cast<std::ptrdiff_t>(offset));
  e.what_digest += string_digest_tail(text, from);
  touch(e);
  digest_ += digest_of(e);
}

entry& keyspace::create_hash(std::string_view name) {
  entry& e = create(name);
  if (!std::holds_alternative<std::unique_ptr<hash_value>>(e.what)) {
    e.what = std::make_unique<hash_value>(seed_);
    digest_ -= digest_of(e);
    e.what_digest = hash_kind;
    digest_ += digest_of(e);
  }
  return e;
}

void keyspace::hash_changed(entry& e) {
  const auto& hash = hash_of(e);
  digest_ -= digest_of(e);
  e.what_digest = hash.digest() + hash_kind;
  touch(e);
  digest_ += digest_of(e);
  if (hash.size() == 0) erase(e);
}

void keyspace::set_expiry(entry& e, std::int64_t ms) {
  digest_ -= digest_of(e);
  if (e.expires != no_expiry) by_expiry_.erase(&e);
  e.expires = ms;
  if (ms != no_expiry) by_expiry_.insert(&e);
  touch(e);
  digest_ += digest_of(e);
}

void keyspace::bury(std::string_view name, std::uint64_t version) {
  auto& slot = tombstones_[place(name) % tombstone_slots];
  if (version <= slot) return;
  const auto number = static_cast<std::uint64_t>(&slot - tombstones_.data());
  if (slot != 0) digest_ -= hash_pair(number, slot);
  slot = version;
  digest_ += hash_pair(number, slot);
}

void keyspace::remove(entry& e, std::uint64_t version) {
  digest_ -= digest_of(e);
  if (e.expires != no_expiry) by_expiry_.erase(&e);
  bury(e.name, version);
  entries_.extract(e);
}

void keyspace::erase(entry& e) { remove(e, position_); }

void keyspace::rename(entry& e, std::string_view name) {
  if (auto* old = find_even_expired(name)) remove(*old, old->version);
  digest_ -= digest_of(e);
  if (e.expires != no_expiry) by_expiry_.erase(&e);
  bury(e.name, position_);
  auto moved = entries_.extract(e);
  moved->name.assign(name);
  moved->place = place(name);
  touch(*moved);
  entry& back = entries_.insert(std::move(moved));
  if (back.expires != no_expiry) by_expiry_.insert(&back);
  digest_ += digest_of(back);
}

void keyspace::clear() {
  entries_.for_each([&](const entry* e) {
    digest_ -= digest_of(*e);
    bury(e->name, expired(*e) ? e->version : position_);
  });
  by_expiry_.clear();
  entries_.clear();
}

std::uint64_t keyspace::live_count() const {
  std::uint64_t gone = 0;
  time_mattered_ |= any_expiring();
  for (const auto* e : by_expiry_) {
    if (!expired(*e)) break;
    ++gone;
  }
  return entries_.size() - gone;
}

std::uint64_t keyspace::expiring_count() const { return by_expiry_.size() - (entries_.size() - live_count()); }

std::uint64_t keyspace::watch_token(std::string_view name) const {
  const auto* found = find_even_expired(name);
  const auto slot = tombstones_[place(name) % tombstone_slots];
  if (found == nullptr) return 2 * slot;
  return expired(*found) ? 2 * std::max(slot, found->version) : 2 * found->version + 1;
}

// Everything that can make a difference later is in the checkpoint: also expired keys whose memory is still held, and
// the tombstones. So a replica that restores goes on exactly like one that applied all messages.
void keyspace::checkpoint(cohort::sink& out) const {
  out.write_u64(checkpoint_format);
  out.write_u64(seed_);
  out.write_u64(position_);
  out.write_u64(static_cast<std::uint64_t>(now_us_));
  out.write_u64(static_cast<std::uint64_t>(tombstone_slots - std::count(tombstones_.begin(), tombstones_.end(), 0u)));
  for (std::size_t i = 0; i < tombstone_slots; ++i)
    if (tombstones_[i] != 0) out.write_u64(i), out.write_u64(tombstones_[i]);
  out.write_u64(entries_.size());
  entries_.for_each([&](const entry* e) {
    out.write_bytes(e->name);
    out.write_u64(static_cast<std::uint64_t>(e->expires));
    out.write_u64(e->version);
    if (const auto* text = std::get_if<std::string>(&e->what)) {
      out.write_u64(0);
      out.write_bytes(*text);
      return;
    }
    const auto& hash = hash_of(*e);
    out.write_u64(hash.size());  // never 0: empty hashes do not exist
    for (const auto* f = hash.first(); f != nullptr; f = f->following) {
      out.write_bytes(f->name);
      out.write_bytes(f->value);
    }
  });
}

void keyspace::restore(cohort::source& in) {
  by_expiry_.clear();
  entries_.clear();
  std::fill(tombstones_.begin(), tombstones_.end(), 0);
  digest_ = 0;
  if (const auto format = in.read_u64(); format != checkpoint_format)
    throw std::runtime_error("kv checkpoint has format " + std::to_string(format) + ", this program reads format " +
                             std::to_string(checkpoint_format) + ": start the version that wrote it");
  seed_ = in.read_u64();
  position_ = in.read_u64();
  now_us_ = static_cast<std::int64_t>(in.read_u64());
  for (auto left = in.read_u64(); left > 0; --left) {
    const auto number = in.read_u64();
    if (number >= tombstone_slots) throw std::runtime_error("kv checkpoint is damaged: no such tombstone slot");
    tombstones_[number] = in.read_u64();
    digest_ += hash_pair(number, tombstones_[number]);
  }
  for (auto left = in.read_u64(); left > 0; --left) {
    auto e = std::make_unique<entry>();
    e->name = in.read_bytes();
    e->place = place(e->name);
    if (entries_.find(e->name, e->place) != nullptr)
      throw std::runtime_error("kv checkpoint is damaged: a key occurs twice");
    e->expires = static_cast<std::int64_t>(in.read_u64());
    e->version = in.read_u64();
    if (auto fields = in.read_u64(); fields == 0) {
      auto text = in.read_bytes();
      e->what_digest = string_digest(text);
      e->what = std::move(text);
    } else {
      auto hash = std::make_unique<hash_value>(seed_);
      for (; fields > 0; --fields) {
        const auto name = in.read_bytes();
        hash->set(name, in.read_bytes());
      }
      e->what_digest = hash->digest() + hash_kind;
      e->what = std::move(hash);
    }
    entry& kept = entries_.insert(std::move(e));
    if (kept.expires != no_expiry) by_expiry_.insert(&kept);
    digest_ += digest_of(kept);
  }
}

}  // namespace kv
