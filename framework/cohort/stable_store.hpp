#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace cohort {

/// What became of a transaction.
enum class stable_code : std::uint8_t {
  done,      ///< on stable storage, in both copies where there is a mirror
  fenced,    ///< refused: a newer holder's token is in force
  conflict,  ///< refused: an expected value is not there
  full,      ///< refused: quota of the store, or disk or quota of the file. The next one is tried again
  invalid,   ///< refused: a name, key or value out of its bounds
  busy,      ///< refused: too much waits for the disk. Later
  damaged,   ///< refused: what it had to read is broken in every copy
  unknown,   ///< the disk failed while it was written: after a restart it is there as a whole, or not at all
  stopped,   ///< refused: the storage was closed, or no copy of it can be written any more
};
/// Refused ones left nothing behind, not even a part.
struct stable_result {
  stable_code code = stable_code::done;
  std::string why;  ///< empty if done; else what, where, what to do
  explicit operator bool() const { return code == stable_code::done; }
};

/// Bounds of names and records. Names and keys have at least one byte; keys may hold any bytes and are sorted as such.
inline constexpr std::size_t stable_name_bytes_max = 64;  ///< of stores and logs
inline constexpr std::size_t stable_key_bytes_max = 400;
inline constexpr std::size_t stable_value_bytes_max = 1u << 20;  ///< of values and log records; empty ones are allowed

/// Some writes, made as one: all of them or none, whatever crashes. A batch may span several stores.
class stable_batch {
public:
  struct put_op {
    std::string store, key, value;
  };
  struct erase_op {
    std::string store, key;
  };
  struct append_op {
    std::string store, log, record;
  };
  struct trim_op {
    std::string store, log;
    std::uint64_t below = 0;
  };
  struct fence_op {
    std::string store;
    std::uint64_t token = 0;
  };
  struct expect_op {
    std::string store, key;
    std::optional<std::string> value;
  };
  using op = std::variant<put_op, erase_op, append_op, trim_op, fence_op, expect_op>;

  stable_batch& put(std::string_view store, std::string_view key, std::string_view value) {
    return add(put_op{std::string(store), std::string(key), std::string(value)});
  }
  stable_batch& erase(std::string_view store, std::string_view key) {
    return add(erase_op{std::string(store), std::string(key)});
  }
  /// Adds a record to a log. Its number is one more than that of the newest record there ever was; the first has 1.
  stable_batch& append(std::string_view store, std::string_view log, std::string_view record) {
    return add(append_op{std::string(store), std::string(log), std::string(record)});
  }
  /// Removes the log's records with numbers smaller than `below`.
  stable_batch& trim(std::string_view store, std::string_view log, std::uint64_t below) {
    return add(trim_op{std::string(store), std::string(log), below});
  }
  /// Makes the batch one of the holder of `token`: refused (`fenced`) if the store has seen a larger one, else the
  /// store remembers it. Two processes that believe to own a store so never both write to it (Kleppmann, "How to do
  /// distributed locking", 2016). Batches without it are not looked at in this way.
  stable_batch& fence(std::string_view store, std::uint64_t token) { return add(fence_op{std::string(store), token}); }
  /// Refused (`conflict`) unless the key has this value, or none, before the batch.
  stable_batch& expect(std::string_view store, std::string_view key, std::optional<std::string> value) {
    return add(expect_op{std::string(store), std::string(key), std::move(value)});
  }

  const std::vector<op>& ops() const { return ops_; }
  bool empty() const { return ops_.empty(); }
  std::size_t bytes() const { return bytes_; }  ///< about what it takes in memory

private:
  template <class Op>
  stable_batch& add(Op o) {
    bytes_ += sizeof(op) + o.store.size();
    if constexpr (requires { o.key; }) bytes_ += o.key.size();
    if constexpr (std::is_same_v<Op, put_op>) bytes_ += o.value.size();
    if constexpr (std::is_same_v<Op, append_op>) bytes_ += o.record.size();
    ops_.push_back(std::move(o));
    return *this;
  }
  std::vector<op> ops_;
  std::size_t bytes_ = 0;
};

/// Thrown by reads: the record is there and cannot be trusted in any copy. Names store, key and file.
struct stable_damage : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct stable_log_range {
  std::uint64_t first = 0;  ///< oldest record that is kept; 0: none
  std::uint64_t last = 0;   ///< newest there ever was; 0: none
};

struct stable_scrub {
  std::uint64_t records = 0;        ///< looked at, in each copy
  std::uint64_t repaired = 0;       ///< records that differed, or were broken in one copy
  std::vector<std::string> damage;  ///< what no copy could mend, at most 100 of them
};

struct stable_statistics {
  std::uint64_t commits = 0;  ///< of the file, since it was opened
  std::uint64_t batches = 0;  ///< that were committed by them
  std::uint64_t refused = 0;
  std::uint64_t file_bytes = 0;
  std::uint64_t queued_bytes = 0;
  std::uint64_t repaired = 0;  ///< records mended from the other copy, since it was opened
  unsigned copies = 0;         ///< in use; fewer than configured after a failure of one
  std::string trouble;         ///< empty: none. What, where, what to do
};

/// The application's own stable storage: named stores, each with keys and values and with append-only logs. What was
/// reported done survives a crash of the process and of the machine; with a mirror also the loss or rot of one copy
/// (the "perfect" storage of Lampson and Sturgis, "Crash Recovery in a Distributed Data Storage System", 1979).
/// Failures of both copies at once are beyond it.
///
/// Every record carries a checksum over store, key, version and bytes; each read checks it. With a mirror a read
/// compares the copies; one that is broken, stale or absent is mended from the other.
///
/// Threads: any, all calls. Reads see what was committed and never wait for the disk's flush. `done` callbacks run on
/// the writer thread, must not block, nor call anything here that waits.
class stable_store {
public:
  virtual ~stable_store() = default;

  /// Batches are applied in the order of these calls; all that wait share one flush of the disk.
  virtual void commit(stable_batch batch, std::function<void(const stable_result&)> done) = 0;
  /// The same, waiting for the result.
  virtual stable_result commit(stable_batch batch) = 0;

  /// Throws `stable_damage`, as do those below.
  virtual std::optional<std::string> get(std::string_view store, std::string_view key) = 0;
  /// Keys from `from` on, in order, until `visit` returns false. `visit` must not call the store.
  virtual void scan(std::string_view store, std::string_view from,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
  virtual stable_log_range log_range(std::string_view store, std::string_view log) = 0;
  /// Records from number `from` on, in order, until `visit` returns false.
  virtual void read_log(std::string_view store, std::string_view log, std::uint64_t from,
                        const std::function<bool(std::uint64_t number, std::string_view record)>& visit) = 0;
  /// The largest token the store has seen; 0: none.
  virtual std::uint64_t token(std::string_view store) = 0;

  /// Reads every page and record of every copy, mends what can be mended, and waits for the end. Commits wait
  /// meanwhile.
  virtual stable_scrub scrub() = 0;
  virtual stable_statistics stats() const = 0;
};

/// A value of a fixed layout under a key: numbers, enums and structs of them without padding.
template <class T>
requires std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>
class stable_value {
public:
  stable_value(stable_store& in, std::string store, std::string key)
      : in_(in), store_(std::move(store)), key_(std::move(key)) {}
  /// Throws `stable_damage` also for a value of another size.
  std::optional<T> get() const {
    const auto bytes = in_.get(store_, key_);
    if (!bytes) return std::nullopt;
    if (bytes->size() != sizeof(T))
      throw stable_damage("store " + store_ + ", key " + key_ + ": has " + std::to_string(bytes->size()) +
                          " bytes, a value of its type has " + std::to_string(sizeof(T)));
    T value;
    std::copy_n(bytes->data(), sizeof(T), reinterpret_cast<char*>(&value));
    return value;
  }
  void put(stable_batch& batch, const T& value) const {
    batch.put(store_, key_, {reinterpret_cast<const char*>(&value), sizeof value});
  }

private:
  stable_store& in_;
  std::string store_, key_;
};

}  // namespace cohort
