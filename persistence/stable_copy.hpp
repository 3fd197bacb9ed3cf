#pragma once

#include "persistence/stable_layout.hpp"
#include "persistence/store.hpp"

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::persistence {

/// One copy of the stable storage: an LMDB file of records. Knows neither stores nor the other copy. Throws
/// `store_failure`. One write transaction at a time, on one thread; read transactions on any thread.
class stable_copy {
public:
  /// `file` exists and was found sound by `inspect`.
  stable_copy(const std::filesystem::path& file, std::size_t map_bytes);
  ~stable_copy();
  stable_copy(const stable_copy&) = delete;
  stable_copy& operator=(const stable_copy&) = delete;

  /// Makes an empty file in an existing directory: under another name first, so that a crash leaves none or a whole
  /// one.
  static void create(const std::filesystem::path& file, std::uint64_t id, std::size_t map_bytes);

  // ---- writing ---------------------------------------------------------------------------------------------------
  void begin();
  /// The stored bytes under a key, as the transaction sees them; valid until its next write.
  std::optional<std::string_view> find(std::string_view key);
  void put(std::string_view key, std::string_view stored);
  void erase(std::string_view key);
  /// Makes what was written durable, with this commit record (the transaction's number is filled in).
  void commit(stable_layout::commit_record with);
  void abort() noexcept;

  // ---- reading ---------------------------------------------------------------------------------------------------
  /// A read transaction; short-lived.
  class reader {
  public:
    explicit reader(stable_copy& of);
    ~reader();
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;
    stable_layout::commit_record commit();
    /// Valid while the reader lives.
    std::optional<std::string_view> find(std::string_view key);

  private:
    friend class stable_walk;
    stable_copy& of_;
    MDB_txn* txn_ = nullptr;
  };

  const std::filesystem::path& file() const { return file_; }
  std::uint64_t file_bytes() const;

private:
  friend class stable_walk;
  void open_environment(std::size_t map_bytes);

  std::filesystem::path file_;
  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
  unsigned main_ = 0, records_ = 0;
  std::mutex pool_mutex_;
  std::vector<MDB_txn*> pool_;  ///< reset read transactions, to be renewed
};

/// The records of a copy in the order of their keys, as a reader sees them.
class stable_walk {
public:
  stable_walk(stable_copy::reader& in, std::string_view from);
  ~stable_walk();
  stable_walk(const stable_walk&) = delete;
  stable_walk& operator=(const stable_walk&) = delete;
  bool at_end() const { return at_end_; }
  std::string_view key() const { return key_; }
  std::string_view stored() const { return stored_; }
  void next();

private:
  void take(int code);
  MDB_cursor* cursor_ = nullptr;
  bool at_end_ = false;
  std::string_view key_, stored_;
};

}  // namespace cohort::persistence
