#pragma once

#include "samples/kv/value.hpp"

#include <cohort/stream.hpp>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

inline constexpr std::int64_t no_expiry = -1;
/// No key will expire.
inline constexpr std::int64_t never_due = INT64_MAX;

/// A key and what it holds.
struct entry : table_node {
  std::string name;
  value what;
  std::int64_t expires = no_expiry;  ///< milliseconds since the Unix epoch; gone when agreed time is later
  std::uint64_t version = 0;         ///< position of the message that changed it last
  std::uint64_t what_digest = 0;     ///< of `what`
  std::string_view key() const { return name; }
};

/// All keys with their expiry, versions and digest. Commands read and change entries through it, so that none of the
/// three can be forgotten.
class keyspace {
public:
  keyspace();

  /// A message at `position` and agreed time `us` (microseconds) begins. Gives back some of the memory of expired keys.
  /// `salt` of the first message makes the hashes unforeseeable.
  void begin(std::uint64_t position, std::int64_t us, std::uint64_t salt);
  std::int64_t now_ms() const { return now_us_ / 1000; }
  std::int64_t now_us() const { return now_us_; }

  /// nullptr if there is no such key, or it expired.
  const entry* find(std::string_view name) const;
  entry* find(std::string_view name) { return const_cast<entry*>(std::as_const(*this).find(name)); }

  /// Sets a string, creating or replacing the key. Its expiry goes, unless `keep_expiry`.
  entry& set_string(std::string_view name, std::string_view text, bool keep_expiry = false);
  /// Writes `part` at `offset` into the string `e`, filling a gap with zeros.
  void overwrite(entry& e, std::size_t offset, std::string_view part);
  /// The hash under `name`, created empty where there is none. After changing it call `hash_changed`.
  entry& create_hash(std::string_view name);
  static hash_value& hash_of(entry& e) { return *std::get<std::unique_ptr<hash_value>>(e.what); }
  static const hash_value& hash_of(const entry& e) { return *std::get<std::unique_ptr<hash_value>>(e.what); }
  /// Erases the key when the hash is empty.
  void hash_changed(entry& e);

  void set_expiry(entry& e, std::int64_t ms);
  void erase(entry& e);
  /// Gives `e` another name; a key which had it is replaced.
  void rename(entry& e, std::string_view name);
  void clear();

  bool expired(const entry& e) const { return e.expires != no_expiry && e.expires < now_ms(); }
  std::uint64_t live_count() const;
  std::uint64_t expiring_count() const;
  /// When the next key expires, also one that did already.
  std::int64_t next_due() const { return by_expiry_.empty() ? never_due : (*by_expiry_.begin())->expires; }
  bool any_expiring() const { return !by_expiry_.empty(); }

  /// Equal tokens, taken at two moments, mean that nothing changed the key in between (WATCH). The opposite does not
  /// hold: keys that do not exist share the memory of when one of them was last deleted.
  std::uint64_t watch_token(std::string_view name) const;

  /// Visits keys that are not expired in a fixed order, from a cursor on (0 = from the start), until `limit` keys were
  /// looked at; returns the cursor to go on from, 0 at the end.
  template <class Visit>
  std::uint64_t scan(std::uint64_t cursor, std::uint64_t limit, Visit visit) const {
    std::uint64_t seen = 0;
    return entries_.scan(
        cursor,
        [&](const entry* e) {
          ++seen;
          time_mattered_ |= e->expires != no_expiry;
          if (!expired(*e)) visit(*e);
        },
        [&] { return seen >= limit; });
  }

  /// Any key that is not expired; nullptr if there is none. Another one each time, which is no part of the state.
  const entry* any() const;

  /// True if something that `find`, `scan` or a count returned since the last call depends on agreed time.
  bool take_time_mattered() const { return std::exchange(time_mattered_, false); }

  std::uint64_t digest() const { return digest_; }
  void checkpoint(cohort::sink& out) const;
  void restore(cohort::source& in);

private:
  static constexpr std::size_t tombstone_slots = 16384;
  static constexpr std::size_t reclaim_per_message = 20;

  /// Ties are broken by the name, not by the address: which keys are reclaimed must be the same at every replica.
  struct earlier {
    bool operator()(const entry* a, const entry* b) const {
      return a->expires != b->expires ? a->expires < b->expires : a->name < b->name;
    }
  };

  std::uint64_t place(std::string_view name) const;
  entry* find_even_expired(std::string_view name) const;
  entry& create(std::string_view name);
  void touch(entry& e) { e.version = position_; }
  void remove(entry& e, std::uint64_t version);
  void bury(std::string_view name, std::uint64_t version);
  std::uint64_t digest_of(const entry& e) const;

  table<entry> entries_;
  std::set<entry*, earlier> by_expiry_;
  /// Of the keys that hash there, the version the last deleted one would have had. Without it WATCH could not tell a
  /// key that does not exist from one that came and went.
  std::vector<std::uint64_t> tombstones_;
  std::uint64_t digest_ = 0;    ///< sum over entries and tombstones
  std::uint64_t seed_ = 0;      ///< of the table's hashes, from the first message: a client cannot aim at one bucket
  std::uint64_t position_ = 0;
  std::int64_t now_us_ = 0;
  mutable std::uint64_t draws_ = 0;
  mutable bool time_mattered_ = false;
};

}  // namespace kv
