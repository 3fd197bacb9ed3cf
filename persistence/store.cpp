#include "persistence/store.hpp"

#include "framework/protocol/assert.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace cohort::persistence {
namespace {

void need(int code, const char* what) {
  if (code != MDB_SUCCESS) throw store_failure{code, what};
}

MDB_val value_of(std::span<const std::byte> bytes) { return {bytes.size(), const_cast<std::byte*>(bytes.data())}; }
MDB_val value_of(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }
std::span<const std::byte> bytes_of(const MDB_val& v) { return {static_cast<const std::byte*>(v.mv_data), v.mv_size}; }

/// A cursor that closes itself.
class cursor {
public:
  cursor(MDB_txn* txn, MDB_dbi dbi) { need(mdb_cursor_open(txn, dbi, &cursor_), "open a cursor"); }
  ~cursor() { mdb_cursor_close(cursor_); }
  cursor(const cursor&) = delete;
  cursor& operator=(const cursor&) = delete;

  /// False at the end.
  bool move(MDB_cursor_op op) {
    const int code = mdb_cursor_get(cursor_, &key, &value, op);
    if (code == MDB_NOTFOUND) return false;
    need(code, "read a record");
    return true;
  }
  void erase() { need(mdb_cursor_del(cursor_, 0), "delete a record"); }
  std::uint64_t integer_key() const {
    std::uint64_t k = 0;
    if (key.mv_size == sizeof k) std::memcpy(&k, key.mv_data, sizeof k);
    return k;
  }

  MDB_val key{}, value{};

private:
  MDB_cursor* cursor_ = nullptr;
};

std::span<const std::byte> as_key(const std::uint64_t& row) { return std::as_bytes(std::span(&row, 1)); }

}  // namespace

void allocate_lock_file(const std::filesystem::path& data_file) {
  const auto path = data_file.string() + "-lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0) throw store_failure{errno, "open " + path};
  const int code = ::posix_fallocate(fd, 0, 16384);
  ::close(fd);
  if (code != 0) throw store_failure{code, "allocate " + path};
}

std::string store_failure::text() const { return "cannot " + what + ": " + mdb_strerror(code); }

bool store_failure::is_full() const { return code == ENOSPC || code == EDQUOT || code == MDB_MAP_FULL; }

bool store_failure::is_map_full() const { return code == MDB_MAP_FULL; }

store::store(const std::filesystem::path& file, durability mode, std::size_t map_bytes, std::uint64_t map_bytes_max,
             bool create)
  : map_bytes_max_(map_bytes_max) {
  journals_.fill(closed);
  allocate_lock_file(file);
  try {
    need(mdb_env_create(&env_), "create the environment");
    need(mdb_env_set_maxdbs(env_, layout::groups_max + 8), "set the number of databases");
    // Address space may be limited (ulimit -v, small containers): take less then, and grow when it is needed.
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS;
    if (mode == durability::one_flush) flags |= MDB_NOMETASYNC;
    int code = MDB_SUCCESS;
    for (std::size_t size = map_bytes;; size /= 4) {
      need(mdb_env_set_mapsize(env_, size), "set the map size");
      code = mdb_env_open(env_, file.c_str(), flags, 0640);
      if (code != ENOMEM || size / 4 < (std::size_t{64} << 20)) break;
      mdb_env_close(env_);
      env_ = nullptr;
      need(mdb_env_create(&env_), "create the environment");
      need(mdb_env_set_maxdbs(env_, layout::groups_max + 8), "set the number of databases");
    }
    need(code, "open the data file");
    int dead = 0;
    need(mdb_reader_check(env_, &dead), "clear the reader table");  // slots of a process that was killed
    MDB_stat s;
    need(mdb_env_stat(env_, &s), "read the page size");
    page_bytes_ = s.ms_psize;
    piece_bytes_ = page_bytes_ - 16;  // one page less its header
    if (create) {
      begin();
      commit();  // both meta pages must lead to a commit record
    }
    need(mdb_txn_begin(env_, nullptr, 0, &txn_), "begin a transaction");
    need(mdb_dbi_open(txn_, nullptr, 0, &main_), "open the main database");
    node_ = database(layout::node_database, 0, create);
    state_ = database(layout::state_database, 0, create);
    checkpoints_ = database(layout::checkpoint_database, 0, create);
    MDB_val k = value_of(layout::commit_key), v{};
    need(mdb_get(txn_, main_, &k, &v), "read the commit record");
    if (!layout::decode(bytes_of(v), committed_)) throw store_failure{MDB_CORRUPTED, "read the commit record"};
    for (std::uint32_t g = 0; g < layout::groups_max; ++g)
      if (committed_.extents[g] && committed_.extents[g]->journaled)
        journals_[g] = database(layout::journal_database(g).c_str(), MDB_INTEGERKEY, false);
    committed_.judge_older = mode == durability::sync;
    pending_ = committed_;
    if (create) {
      commit();
    } else {
      // Handles opened in a transaction outlive it only when it commits. Nothing was changed, so nothing is written.
      need(mdb_txn_commit(std::exchange(txn_, nullptr)), "open the databases");
    }
  } catch (...) {
    abort();
    if (env_) mdb_env_close(env_);
    throw;
  }
}

store::~store() {
  abort();
  for (auto* t : pool_) mdb_txn_abort(t);
  mdb_env_close(env_);
}

unsigned store::database(const char* name, unsigned flags, bool create) {
  MDB_dbi dbi = closed;
  const int code = mdb_dbi_open(txn_, name, flags | (create ? MDB_CREATE : 0u), &dbi);
  if (code != MDB_SUCCESS) throw store_failure{code, std::string("open the database ") + name};
  return dbi;
}

// ---- writing --------------------------------------------------------------------------------------------------------

void store::begin() {
  COHORT_INVARIANT(txn_ == nullptr, 1, 0);
  need(mdb_txn_begin(env_, nullptr, 0, &txn_), "begin a transaction");
  if (main_ == closed) need(mdb_dbi_open(txn_, nullptr, 0, &main_), "open the main database");
  pending_ = committed_;
}

void store::commit() {
  try {
    pending_.transaction = mdb_txn_id(txn_);
    layout::encode(pending_, scratch_);
    put(main_, layout::commit_key, scratch_);
  } catch (...) {
    abort();
    throw;
  }
  const int code = mdb_txn_commit(std::exchange(txn_, nullptr));
  if (code != MDB_SUCCESS) lose_handles();
  need(code, "commit");
  opened_.clear();
  committed_ = pending_;
}

void store::abort() noexcept {
  if (txn_) mdb_txn_abort(std::exchange(txn_, nullptr));
  lose_handles();
  pending_ = committed_;
}

void store::lose_handles() {
  for (const auto group : opened_) journals_[group] = closed;
  opened_.clear();
}

std::span<std::byte> store::reserve(unsigned dbi, std::span<const std::byte> key, std::size_t bytes, unsigned flags) {
  MDB_val k = value_of(key), v{bytes, nullptr};
  need(mdb_put(txn_, dbi, &k, &v, flags | MDB_RESERVE), "write a record");
  return {static_cast<std::byte*>(v.mv_data), bytes};
}

void store::put(unsigned dbi, std::string_view key, std::span<const std::byte> value) {
  MDB_val k = value_of(key), v = value_of(value);
  need(mdb_put(txn_, dbi, &k, &v, 0), "write a record");
}

void store::open_journal(std::uint32_t group) {
  journals_[group] = database(layout::journal_database(group).c_str(), MDB_INTEGERKEY, true);
  opened_.push_back(group);
  pending_.extents[group]->journaled = true;
}

void store::put_owner(const layout::owner_record& r) { put(node_, layout::owner_key, layout::encode(r)); }

void store::put_group(const layout::group_record& r) {
  put(node_, layout::group_key(r.group.index), layout::encode(r));
  if (!pending_.extents[r.group.index]) pending_.extents[r.group.index].emplace();
}

void store::put_record(std::uint32_t group, const protocol::persist_op& op) {
  auto& e = *pending_.extents[group];
  COHORT_INVARIANT(op.position > e.last && op.position <= layout::position_max, op.position, e.last);
  const std::size_t total = protocol::record_bytes(op);
  std::uint64_t row = layout::row_key(op.position, 0);
  if (total <= piece_bytes_) {
    protocol::encode_record(group, op, checksum, reserve(journals_[group], as_key(row), total, MDB_APPEND));
    ++e.rows;
  } else {
    const auto blob = protocol::encode_record_head(group, op, checksum, scratch_);
    for (std::size_t at = 0; at < total; ++row, ++e.rows) {
      auto page = reserve(journals_[group], as_key(row), std::min(piece_bytes_, total - at), MDB_APPEND);
      if (at < scratch_.size()) {
        const std::size_t n = std::min(page.size(), scratch_.size() - at);
        std::memcpy(page.data(), scratch_.data() + at, n);
        page = page.subspan(n);
        at += n;
      }
      if (page.empty()) continue;
      std::memcpy(page.data(), blob.data() + (at - scratch_.size()), page.size());
      at += page.size();
    }
  }
  if (e.first == 0) e.first = op.position;
  e.last = op.position;
}

void store::put_state(std::uint32_t group, const protocol::persist_op& op) {
  scratch_.resize(protocol::record_bytes(op));
  protocol::encode_record(group, op, checksum, scratch_);
  put(state_, layout::group_key(group), scratch_);
  pending_.extents[group]->has_state = true;
}

void store::forget(std::uint32_t group) {
  auto& e = *pending_.extents[group];
  if (e.journaled) need(mdb_drop(txn_, journals_[group], 0), "empty a journal");
  remove(state_, layout::group_key(group));
  const bool journaled = e.journaled;
  e = {};
  e.journaled = journaled;
}

void store::put_chunk(const layout::chunk_key& key, std::span<const std::byte> data) {
  if (auto& e = *pending_.extents[key.group]; key.number == 0 && (!e.has_checkpoint || key.index > e.checkpoint)) {
    e.has_checkpoint = true;
    e.checkpoint = key.index;
  }
  const auto header = layout::chunk_header(key, data);
  layout::chunk_key k = key;
  k.piece = 0;
  const std::size_t total = header.size() + data.size();
  for (std::size_t at = 0; at < total; ++k.piece) {
    auto page = reserve(checkpoints_, layout::encode(k), std::min(piece_bytes_, total - at), 0);
    if (at == 0) {
      std::memcpy(page.data(), header.data(), header.size());
      page = page.subspan(header.size());
      at += header.size();
    }
    if (page.empty()) continue;
    std::memcpy(page.data(), data.data() + (at - header.size()), page.size());
    at += page.size();
  }
  // Pieces of a longer chunk that an earlier, abandoned transfer left under the same number.
  for (;; ++k.piece) {
    const auto bytes = layout::encode(k);
    MDB_val v = value_of(bytes);
    const int code = mdb_del(txn_, checkpoints_, &v, nullptr);
    if (code == MDB_NOTFOUND) return;
    need(code, "delete a record");
  }
}

std::size_t store::trim(std::uint32_t group, protocol::journal_position below, std::size_t rows_max) {
  auto& e = *pending_.extents[group];
  if (e.rows == 0 || e.first >= below) return 0;
  cursor c(txn_, journals_[group]);
  std::size_t gone = 0;
  for (; c.move(MDB_FIRST); ++gone) {
    const auto row = c.integer_key();
    const bool whole = layout::piece_of(row) == 0;  // never leave the tail of a record behind
    if (whole) e.first = layout::position_of(row);
    if (whole && (e.first >= below || gone >= rows_max)) break;
    c.erase();
  }
  e.rows -= gone;
  if (e.rows == 0) e.first = e.last = 0;
  return gone;
}

std::size_t store::drop_checkpoint(std::uint32_t group, log_index index, std::size_t rows_max) {
  cursor c(txn_, checkpoints_);
  const auto from = layout::encode(layout::chunk_key{group, index, 0, 0});
  std::size_t gone = 0;
  for (; gone < rows_max; ++gone) {
    c.key = value_of(from);
    layout::chunk_key k;
    if (!c.move(MDB_SET_RANGE) || !layout::decode(bytes_of(c.key), k) || k.group != group || k.index != index) break;
    c.erase();
  }
  return gone;
}

void store::remove(unsigned dbi, std::string_view key) {
  MDB_val k = value_of(key);
  if (const int code = mdb_del(txn_, dbi, &k, nullptr); code != MDB_NOTFOUND) need(code, "delete a record");
}

bool store::drop_group(std::uint32_t group, std::size_t rows_max) {
  auto& e = pending_.extents[group];
  // A transaction that failed behind `mdb_drop` has closed the handle, and the database is still there.
  if (e->journaled && journals_[group] == closed) open_journal(group);
  std::size_t gone = trim(group, layout::position_max + 1, rows_max);
  {
    cursor c(txn_, checkpoints_);
    const auto from = layout::encode(layout::chunk_key{group, 0, 0, 0});
    for (layout::chunk_key k; gone < rows_max; ++gone) {
      c.key = value_of(from);
      if (!c.move(MDB_SET_RANGE) || !layout::decode(bytes_of(c.key), k) || k.group != group) break;
      c.erase();
    }
  }
  e->has_checkpoint = false;  // the newest one may be in pieces already
  if (gone >= rows_max) return false;
  if (e->journaled) need(mdb_drop(txn_, std::exchange(journals_[group], closed), 1), "drop a journal");
  remove(state_, layout::group_key(group));
  remove(node_, layout::group_key(group));
  e.reset();
  return true;
}

void store::recycle(std::size_t bytes) {
  // Without flushes in between: nothing here is worth anything until the directory is complete.
  need(mdb_env_set_flags(env_, MDB_NOSYNC, 1), "suspend flushing");
  constexpr std::size_t rows_per_commit = 2048;
  unsigned dbi = closed;
  for (std::size_t row = 0, rows = bytes / page_bytes_; row < rows;) {
    begin();
    if (dbi == closed) dbi = database("recycled", MDB_INTEGERKEY, true);
    for (std::size_t i = 0; i < rows_per_commit && row < rows; ++i, ++row) {
      const std::uint64_t key = row;
      reserve(dbi, as_key(key), piece_bytes_, MDB_APPEND);
    }
    commit();
  }
  if (dbi != closed) {
    begin();
    need(mdb_drop(txn_, dbi, 1), "free the recycled pages");
    commit();
    begin();
    commit();  // what one transaction frees is usable from the one after the next
  }
  need(mdb_env_set_flags(env_, MDB_NOSYNC, 0), "resume flushing");
  flush();
}

void store::flush() { need(mdb_env_sync(env_, 1), "flush"); }

bool store::grow_map() {
  const std::unique_lock exclusive(map_mutex_);
  const auto now = map_bytes();
  if (now >= map_bytes_max_) return false;
  for (auto* t : std::exchange(pool_, {})) mdb_txn_abort(t);
  return mdb_env_set_mapsize(env_, static_cast<std::size_t>(std::min(2 * now, map_bytes_max_))) == MDB_SUCCESS;
}

std::uint64_t store::file_pages() const {
  MDB_envinfo info;
  return mdb_env_info(env_, &info) == MDB_SUCCESS ? info.me_last_pgno + 1 : 0;
}

std::uint64_t store::map_bytes() const {
  MDB_envinfo info;
  return mdb_env_info(env_, &info) == MDB_SUCCESS ? info.me_mapsize : 0;
}

// ---- reading --------------------------------------------------------------------------------------------------------

store::reader::reader(store& s) : store_(s), mapped_(s.map_mutex_) {
  {
    const std::lock_guard lock(s.pool_mutex_);
    if (!s.pool_.empty()) {
      txn_ = s.pool_.back();
      s.pool_.pop_back();
    }
  }
  if (txn_ && mdb_txn_renew(txn_) == MDB_SUCCESS) return;
  if (txn_) mdb_txn_abort(std::exchange(txn_, nullptr));
  need(mdb_txn_begin(s.env_, nullptr, MDB_RDONLY, &txn_), "begin reading");
}

store::reader::~reader() {
  mdb_txn_reset(txn_);
  const std::lock_guard lock(store_.pool_mutex_);
  store_.pool_.push_back(txn_);
}

std::span<const std::byte> store::reader::get(unsigned dbi, std::string_view key) {
  MDB_val k = value_of(key), v{};
  const int code = mdb_get(txn_, dbi, &k, &v);
  if (code == MDB_NOTFOUND) return {};
  need(code, "read a record");
  return bytes_of(v);
}

std::span<const std::byte> store::reader::owner() { return get(store_.node_, layout::owner_key); }
std::span<const std::byte> store::reader::state(std::uint32_t group) {
  return get(store_.state_, layout::group_key(group));
}

layout::commit_record store::reader::commit() {
  layout::commit_record r;
  if (!layout::decode(get(store_.main_, layout::commit_key), r))
    throw store_failure{MDB_CORRUPTED, "read the commit record"};
  return r;
}

void store::reader::rows(std::uint32_t group, std::uint64_t from,
                         const std::function<bool(std::uint64_t, std::span<const std::byte>)>& visit) {
  if (store_.journals_[group] == closed) return;
  cursor c(txn_, store_.journals_[group]);
  c.key = value_of(as_key(from));
  for (bool more = c.move(MDB_SET_RANGE); more; more = c.move(MDB_NEXT))
    if (!visit(c.integer_key(), bytes_of(c.value))) return;
}

std::vector<std::byte> store::reader::chunk(const layout::chunk_key& key) {
  cursor c(txn_, store_.checkpoints_);
  auto k = key;
  k.piece = 0;
  const auto from = layout::encode(k);
  c.key = value_of(from);
  std::vector<std::byte> result;
  std::uint64_t total = 0;
  for (bool more = c.move(MDB_SET_RANGE); more; more = c.move(MDB_NEXT), ++k.piece) {
    if (!std::ranges::equal(bytes_of(c.key), layout::encode(k))) return {};
    const auto piece = bytes_of(c.value);
    if (k.piece == 0) {
      total = layout::chunk_length(piece);
      if (total == 0) return {};
      result.reserve(std::min<std::uint64_t>(total, 64u << 20));  // the length is not verified yet
    }
    result.insert(result.end(), piece.begin(), piece.end());
    if (result.size() >= total) return result;
  }
  return {};
}

void store::reader::chunks(const std::function<bool(const layout::chunk_key&)>& visit) {
  cursor c(txn_, store_.checkpoints_);
  layout::chunk_key k;
  for (bool more = c.move(MDB_FIRST); more;) {
    if (!layout::decode(bytes_of(c.key), k)) throw store_failure{MDB_CORRUPTED, "read the key of a checkpoint"};
    if (!visit(k)) return;
    // From chunk to chunk by search: a chunk has 65 pieces.
    if (++k.number == 0) ++k.index;
    k.piece = 0;
    const auto next = layout::encode(k);
    c.key = value_of(next);
    more = c.move(MDB_SET_RANGE);
  }
}

void store::reader::node_values(const std::function<void(std::string_view, std::span<const std::byte>)>& visit) {
  cursor c(txn_, store_.node_);
  for (bool more = c.move(MDB_FIRST); more; more = c.move(MDB_NEXT))
    visit({static_cast<const char*>(c.key.mv_data), c.key.mv_size}, bytes_of(c.value));
}

std::uint64_t store::reader::free_pages() {
  cursor c(txn_, 0);  // LMDB's own list of free pages: each value begins with their number
  std::uint64_t sum = 0;
  for (bool more = c.move(MDB_FIRST); more; more = c.move(MDB_NEXT)) {
    std::uint64_t count = 0;
    if (c.value.mv_size >= sizeof count) std::memcpy(&count, c.value.mv_data, sizeof count);
    sum += count;
  }
  return sum;
}

std::uint64_t store::reader::journal_rows(std::uint32_t group) {
  if (store_.journals_[group] == closed) return 0;
  MDB_stat s;
  need(mdb_stat(txn_, store_.journals_[group], &s), "read the number of rows");
  return s.ms_entries;
}

}  // namespace cohort::persistence
