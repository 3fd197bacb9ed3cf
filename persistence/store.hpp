#pragma once

#include "persistence/layout.hpp"

#include <functional>
#include <mutex>
#include <shared_mutex>

struct MDB_env;
struct MDB_txn;
struct MDB_cursor;

namespace cohort::persistence {

/// An LMDB call failed: its code (LMDB's or errno) and what was being done. Thrown inside this folder only.
struct store_failure {
  int code = 0;
  std::string what;
  std::string text() const;
  /// The disk, the quota of the file system, or the map is full: worth trying again.
  bool is_full() const;
  bool is_map_full() const;
};

/// LMDB maps its lock file and writes to it; on a full disk a page that was never allocated would end in SIGBUS. It takes
/// a longer file than it needs for more readers. Throws `store_failure`.
void allocate_lock_file(const std::filesystem::path& data_file);

/// The data file and what is in it. One write transaction at a time, on one thread; read transactions on any thread.
/// Does not check the file before it maps it: `inspect` must have found it sound.
class store {
public:
  /// Opens (creates, with `create`) the file. Databases of the durable groups in `groups` are made when missing.
  store(const std::filesystem::path& file, durability mode, std::size_t map_bytes, std::uint64_t map_bytes_max,
        bool create);
  ~store();
  store(const store&) = delete;
  store& operator=(const store&) = delete;

  // ---- writing: between `begin` and `commit` or `abort` --------------------------------------------------------
  void begin();
  /// Ends the transaction in any case; throws when it did not become durable (under one_flush: did not get written).
  void commit();
  void abort() noexcept;
  /// Makes the group's journal database when missing.
  void open_journal(std::uint32_t group);
  /// Takes at most `rows_max` rows and pieces of checkpoints from the group. True: there were no more, and all else that the file
  /// held of the group is gone, too.
  bool drop_group(std::uint32_t group, std::size_t rows_max);
  void put_owner(const layout::owner_record& r);
  void put_group(const layout::group_record& r);
  void put_record(std::uint32_t group, const protocol::persist_op& op);
  void put_state(std::uint32_t group, const protocol::persist_op& op);
  /// Nothing of what the group's part holds counts any more; checkpoints' rows are left to `drop_checkpoint`.
  void forget(std::uint32_t group);
  /// The same for its checkpoints alone.
  void forget_checkpoints(std::uint32_t group) { pending_.extents[group]->has_checkpoint = false; }
  void put_chunk(const layout::chunk_key& key, std::span<const std::byte> data);
  /// Deletes records below `below`, oldest first, until `rows_max` rows are gone. Returns the rows deleted.
  std::size_t trim(std::uint32_t group, protocol::journal_position below, std::size_t rows_max);
  /// Deletes pieces of the checkpoint at `index`, at most `rows_max`. Returns how many.
  std::size_t drop_checkpoint(std::uint32_t group, log_index index, std::size_t rows_max);
  /// Writes `bytes` of rows nobody needs and frees their pages again, in transactions of its own.
  void recycle(std::size_t bytes);
  /// What the group holds within the running transaction.
  const std::optional<layout::extent>& extent(std::uint32_t group) const { return pending_.extents[group]; }

  /// Flushes everything that was committed (one_flush leaves the newest meta page unflushed).
  void flush();
  /// Doubles the map, up to its maximum. False if it is at its maximum. Outside of transactions.
  bool grow_map();

  // ---- reading ---------------------------------------------------------------------------------------------------
  /// A read transaction. Short-lived: as long as it lives no page freed since its begin can be used again.
  class reader {
  public:
    explicit reader(store& s);
    ~reader();
    reader(const reader&) = delete;
    reader& operator=(const reader&) = delete;

    // Values, empty if absent; valid while the reader lives.
    std::span<const std::byte> owner();
    std::span<const std::byte> state(std::uint32_t group);
    layout::commit_record commit();
    /// All rows of a group's journal from row key `from` on, until `visit` returns false.
    void rows(std::uint32_t group, std::uint64_t from,
              const std::function<bool(std::uint64_t key, std::span<const std::byte> value)>& visit);
    /// The whole chunk with its header; empty if a piece is missing. Unverified.
    std::vector<std::byte> chunk(const layout::chunk_key& key);
    /// Keys of the first piece of every chunk, in order; false ends the walk.
    void chunks(const std::function<bool(const layout::chunk_key&)>& visit);
    /// Calls for every value of the database `node`.
    void node_values(const std::function<void(std::string_view key, std::span<const std::byte> value)>& visit);
    std::uint64_t free_pages();
    std::uint64_t journal_rows(std::uint32_t group);

  private:
    std::span<const std::byte> get(unsigned dbi, std::string_view key);

    store& store_;
    std::shared_lock<std::shared_mutex> mapped_;
    MDB_txn* txn_ = nullptr;
  };

  std::size_t page_bytes() const { return page_bytes_; }
  std::uint64_t file_pages() const;
  std::uint64_t map_bytes() const;

private:
  unsigned database(const char* name, unsigned flags, bool create);
  void remove(unsigned dbi, std::string_view key);
  void lose_handles();
  std::span<std::byte> reserve(unsigned dbi, std::span<const std::byte> key, std::size_t bytes, unsigned flags);
  void put(unsigned dbi, std::string_view key, std::span<const std::byte> value);

  static constexpr unsigned closed = ~0u;

  MDB_env* env_ = nullptr;
  MDB_txn* txn_ = nullptr;
  std::size_t page_bytes_ = 0, piece_bytes_ = 0;
  std::uint64_t map_bytes_max_ = 0;
  unsigned main_ = closed, node_ = closed, state_ = closed, checkpoints_ = closed;
  std::array<unsigned, layout::groups_max> journals_{};
  std::vector<std::uint32_t> opened_;  ///< in the running transaction: their handles end with it unless it commits
  layout::commit_record committed_, pending_;
  std::vector<std::byte> scratch_;

  std::shared_mutex map_mutex_;  ///< shared by readers, exclusive while the map changes its size
  std::mutex pool_mutex_;
  std::vector<MDB_txn*> pool_;   ///< reset read transactions, to be renewed
};

}  // namespace cohort::persistence
