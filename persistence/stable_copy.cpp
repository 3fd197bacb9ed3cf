#include "persistence/stable_copy.hpp"

#include "persistence/directory.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace cohort::persistence {
namespace {

void need(int code, const char* what) {
  if (code != MDB_SUCCESS) throw store_failure{code, what};
}

MDB_val value_of(std::string_view text) { return {text.size(), const_cast<char*>(text.data())}; }
std::string_view text_of(const MDB_val& v) { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

std::optional<std::string_view> get(MDB_txn* txn, unsigned dbi, std::string_view key) {
  MDB_val k = value_of(key), v{};
  const int code = mdb_get(txn, dbi, &k, &v);
  if (code == MDB_NOTFOUND) return std::nullopt;
  need(code, "read a record");
  return text_of(v);
}

}  // namespace

void stable_copy::open_environment(std::size_t map_bytes) {
  // Address space may be limited (ulimit -v, small containers): take less then.
  for (std::size_t size = map_bytes;; size /= 4) {
    need(mdb_env_create(&env_), "create the environment");
    need(mdb_env_set_maxdbs(env_, 2), "set the number of databases");
    need(mdb_env_set_mapsize(env_, size), "set the map size");
    const int code = mdb_env_open(env_, file_.c_str(), MDB_NOSUBDIR | MDB_NOTLS, 0640);
    if (code == MDB_SUCCESS) break;
    mdb_env_close(std::exchange(env_, nullptr));
    if (code != ENOMEM || size / 4 < (std::size_t{16} << 20)) throw store_failure{code, "open the data file"};
  }
  int dead = 0;
  need(mdb_reader_check(env_, &dead), "clear the reader table");  // slots of a process that was killed
}

stable_copy::stable_copy(const std::filesystem::path& file, std::size_t map_bytes) : file_(file) {
  allocate_lock_file(file);
  try {
    open_environment(map_bytes);
    need(mdb_txn_begin(env_, nullptr, 0, &txn_), "begin a transaction");
    need(mdb_dbi_open(txn_, nullptr, 0, &main_), "open the main database");
    need(mdb_dbi_open(txn_, stable_layout::database, 0, &records_), "open the database");
    // Handles opened in a transaction outlive it only when it commits. Nothing was changed, so nothing is written.
    need(mdb_txn_commit(std::exchange(txn_, nullptr)), "open the databases");
  } catch (...) {
    abort();
    if (env_) mdb_env_close(env_);
    throw;
  }
}

stable_copy::~stable_copy() {
  abort();
  for (auto* t : pool_) mdb_txn_abort(t);
  mdb_env_close(env_);
}

void stable_copy::create(const std::filesystem::path& file, std::uint64_t id, std::size_t map_bytes) {
  auto fresh = file;
  fresh += ".new";
  std::error_code ignored;
  std::filesystem::remove(fresh, ignored);
  std::filesystem::remove(fresh.string() + "-lock", ignored);
  allocate_lock_file(fresh);
  MDB_env* env = nullptr;
  MDB_txn* txn = nullptr;
  try {
    need(mdb_env_create(&env), "create the environment");
    need(mdb_env_set_maxdbs(env, 2), "set the number of databases");
    need(mdb_env_set_mapsize(env, std::min<std::size_t>(map_bytes, 16u << 20)), "set the map size");
    need(mdb_env_open(env, fresh.c_str(), MDB_NOSUBDIR | MDB_NOTLS, 0640), "create the data file");
    stable_layout::commit_record record;
    record.id = id;
    for (int i = 0; i < 2; ++i) {  // both meta pages must lead to a commit record
      unsigned main = 0, records = 0;
      need(mdb_txn_begin(env, nullptr, 0, &txn), "begin a transaction");
      need(mdb_dbi_open(txn, nullptr, 0, &main), "open the main database");
      need(mdb_dbi_open(txn, stable_layout::database, MDB_CREATE, &records), "make the database");
      record.transaction = mdb_txn_id(txn);
      const auto bytes = encode(record);
      MDB_val k = value_of(stable_layout::commit_key), v = value_of(bytes);
      need(mdb_put(txn, main, &k, &v, 0), "write a record");
      need(mdb_txn_commit(std::exchange(txn, nullptr)), "commit");
    }
    need(mdb_env_sync(env, 1), "flush");
  } catch (...) {
    if (txn) mdb_txn_abort(txn);
    if (env) mdb_env_close(env);
    std::filesystem::remove(fresh, ignored);
    std::filesystem::remove(fresh.string() + "-lock", ignored);
    throw;
  }
  mdb_env_close(env);
  std::filesystem::remove(fresh.string() + "-lock", ignored);
  if (::rename(fresh.c_str(), file.c_str()) != 0) throw store_failure{errno, "rename the new file"};
  if (const int code = flush_directory(file.parent_path())) throw store_failure{code, "flush the directory"};
}

std::uint64_t stable_copy::file_bytes() const {
  struct stat s {};
  return ::stat(file_.c_str(), &s) == 0 ? static_cast<std::uint64_t>(s.st_size) : 0;
}

// ---- writing --------------------------------------------------------------------------------------------------------

void stable_copy::begin() { need(mdb_txn_begin(env_, nullptr, 0, &txn_), "begin a transaction"); }

std::optional<std::string_view> stable_copy::find(std::string_view key) { return get(txn_, records_, key); }

void stable_copy::put(std::string_view key, std::string_view stored) {
  MDB_val k = value_of(key), v = value_of(stored);
  need(mdb_put(txn_, records_, &k, &v, 0), "write a record");
}

void stable_copy::erase(std::string_view key) {
  MDB_val k = value_of(key);
  if (const int code = mdb_del(txn_, records_, &k, nullptr); code != MDB_NOTFOUND) need(code, "delete a record");
}

void stable_copy::commit(stable_layout::commit_record with) {
  with.transaction = mdb_txn_id(txn_);
  const auto bytes = encode(with);
  MDB_val k = value_of(stable_layout::commit_key), v = value_of(bytes);
  if (const int code = mdb_put(txn_, main_, &k, &v, 0)) {
    abort();
    throw store_failure{code, "write the commit record"};
  }
  need(mdb_txn_commit(std::exchange(txn_, nullptr)), "commit");
}

void stable_copy::abort() noexcept {
  if (txn_) mdb_txn_abort(std::exchange(txn_, nullptr));
}

// ---- reading --------------------------------------------------------------------------------------------------------

stable_copy::reader::reader(stable_copy& of) : of_(of) {
  {
    const std::lock_guard lock(of_.pool_mutex_);
    if (!of_.pool_.empty()) {
      txn_ = of_.pool_.back();
      of_.pool_.pop_back();
    }
  }
  if (txn_ && mdb_txn_renew(txn_) == MDB_SUCCESS) return;
  if (txn_) mdb_txn_abort(std::exchange(txn_, nullptr));
  need(mdb_txn_begin(of_.env_, nullptr, MDB_RDONLY, &txn_), "begin a read transaction");
}

stable_copy::reader::~reader() {
  mdb_txn_reset(txn_);
  const std::lock_guard lock(of_.pool_mutex_);
  of_.pool_.push_back(txn_);
}

stable_layout::commit_record stable_copy::reader::commit() {
  const auto bytes = get(txn_, of_.main_, stable_layout::commit_key);
  const auto record = bytes ? stable_layout::decode_commit(*bytes) : std::nullopt;
  if (!record) throw store_failure{MDB_CORRUPTED, "read the commit record"};
  return *record;
}

std::optional<std::string_view> stable_copy::reader::find(std::string_view key) { return get(txn_, of_.records_, key); }

stable_walk::stable_walk(stable_copy::reader& in, std::string_view from) {
  need(mdb_cursor_open(in.txn_, in.of_.records_, &cursor_), "open a cursor");
  MDB_val k = value_of(from), v{};
  const int code =
      from.empty() ? mdb_cursor_get(cursor_, &k, &v, MDB_FIRST) : mdb_cursor_get(cursor_, &k, &v, MDB_SET_RANGE);
  key_ = text_of(k);
  stored_ = text_of(v);
  take(code);
}

stable_walk::~stable_walk() {
  if (cursor_) mdb_cursor_close(cursor_);
}

void stable_walk::next() {
  MDB_val k{}, v{};
  const int code = mdb_cursor_get(cursor_, &k, &v, MDB_NEXT);
  key_ = text_of(k);
  stored_ = text_of(v);
  take(code);
}

void stable_walk::take(int code) {
  at_end_ = code == MDB_NOTFOUND;
  if (!at_end_ && code != MDB_SUCCESS) {
    mdb_cursor_close(std::exchange(cursor_, nullptr));
    throw store_failure{code, "read a record"};
  }
}

}  // namespace cohort::persistence
