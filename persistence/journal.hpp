#pragma once

#include "framework/protocol/core.hpp"

#include <cohort/stream.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// A node's stable storage: one data directory, one LMDB file, one journal thread (docs/journal.md).
namespace cohort::persistence {

/// How commits reach the disk.
enum class durability : std::uint8_t {
  sync,       ///< two flushes a commit; reported durable when the commit returns
  one_flush,  ///< one flush a commit; reported durable one flush later. After a power cut the newest, never reported
              ///< transaction may be missing
};

/// One group hosted by the node. Index and name are fixed when the group first enters the directory, until it is forgotten; the
/// epoch of a volatile group may be raised, which forgets all of it. A group that runs may go from memory to the disk and back (X3):
/// what is appended under a position is journaled, what has none is kept in memory.
struct group_options {
  std::uint32_t index = 0;  ///< below `group_places`; in records and keys. Used again when the group is forgotten
  std::string name;         ///< 1 to 255 bytes
  std::uint64_t epoch = 1;
  bool is_volatile = false;  ///< how it is founded
};

/// One of which the directory holds something.
struct held_group {
  group_options group;
  bool leaves = false;  ///< it is being forgotten
};

struct options {
  std::filesystem::path directory;  ///< created (with parents) when absent
  std::string node;                 ///< 1 to 255 bytes; the directory belongs to this node from its creation on
  std::vector<group_options> groups;
  /// Numbers of groups, listed above or not, of which nothing that the directory holds counts any more from the opening on: each reads
  /// back as one that was founded, and whose promises were made elsewhere.
  std::vector<std::uint32_t> give_up;
  durability mode = durability::sync;
  std::size_t map_bytes = std::size_t{64} << 30;    ///< address space only; raised to what the file and quota need
  std::uint64_t quota_bytes = std::uint64_t{32} << 30;  ///< bytes in use (not free pages) beyond which nothing is taken
  std::size_t recycled_bytes = 16u << 20;  ///< written and freed when the directory is created, so that commits reuse
                                           ///< pages inside the file instead of growing it; 0 = none
  std::size_t queue_bytes_max = 256u << 20;  ///< payload waiting for the disk before `append` refuses
};

/// Who owns the data directory.
struct identity {
  std::uint64_t directory_id = 0;  ///< random, drawn when the directory was created; never 0
  std::string node;
};

/// What went wrong with the disk, or that it is well again.
struct trouble {
  enum class kind : std::uint8_t {
    full,     ///< disk or quota full: nothing is promised until `resumed`; the journal keeps trying by itself
    resumed,  ///< writing works again, held operations are being committed
    fatal,    ///< the journal has stopped for good; only a restart (which reads back what the disk has) can help
  };
  kind what{};
  std::string text;  ///< what, where, what to do
};

/// Both are called on the journal thread, without locks held; they must not block. Never called after `~journal`.
struct callbacks {
  /// All operations of `group` up to `up_to` are on stable storage. Not called for what has no position.
  std::function<void(std::uint32_t group, protocol::journal_position up_to)> on_durable;
  std::function<void(const trouble&)> on_trouble;
};

struct statistics {
  std::uint64_t file_bytes = 0;     ///< of the data file; it never shrinks
  std::uint64_t used_bytes = 0;     ///< of it in pages that hold data (refreshed once a second at most)
  std::uint64_t map_bytes = 0;
  std::uint64_t queued_bytes = 0;   ///< payload waiting for the disk
  std::uint64_t commits = 0;        ///< since the start
  std::uint64_t operations = 0;     ///< since the start
  std::chrono::nanoseconds commit_p50{0}, commit_p99{0};  ///< of the last 512 commits
  std::string trouble;              ///< empty = none
};

/// Receives what a group's part of the directory holds, in this order: at most one checkpoint, at most one state, then
/// the records by position. `record` returns false when a record cannot follow the ones before.
class recovery_reader {
public:
  virtual ~recovery_reader() = default;
  virtual void checkpoint(const protocol::mark& at, std::uint32_t chunks) = 0;
  virtual void state(const protocol::hard_state& what) = 0;
  virtual bool record(const protocol::persist_op& op) = 0;
  virtual std::string why() const = 0;
};

/// What `read_group` found.
struct group_contents {
  bool founded = false;                  ///< this directory saw the group founded (kept for volatile groups, too)
  bool blank = true;                     ///< no state, record or checkpoint
  protocol::journal_position last = 0;   ///< position of the newest record; operations go on behind it
  std::uint64_t records = 0;
  std::string damage;                    ///< not empty: what is broken, where, what to do. Then do not serve
};

/// Writes a checkpoint of one group, front to back, from any one thread. The bytes are cut into chunks of 256 KiB and
/// written by the journal thread between group commits; `write` blocks while 4 MiB wait for the disk.
/// Dropped without `finish`: the checkpoint is forgotten.
class checkpoint_writer : public sink {
public:
  /// Takes the bytes. After a failure (`failed()`) they are ignored: finish to learn why.
  void write(std::span<const std::byte> bytes) override = 0;
  virtual bool failed() const = 0;
  /// All bytes are written: makes the checkpoint the group's newest one. `done` is called on the journal thread with the
  /// number of chunks, or with 0 and the reason; by `finish` itself when the journal is gone.
  virtual void finish(std::function<void(std::uint32_t chunks, const std::string& error)> done) = 0;
};

/// The checkpoint that a group would be restored from.
struct checkpoint_info {
  protocol::mark at;
  std::uint32_t chunks = 0;
};

class journal;

struct open_result {
  std::unique_ptr<journal> opened;  ///< null on failure
  std::string error;                ///< what, where, what to do
};

/// Opens the data directory, creating it when it is absent or empty: takes the exclusive lock, checks the file's
/// structure page by page without mapping it, then owner, groups and format. Starts the journal thread.
open_result open(const options& wanted, callbacks calls);

/// One group in a verified directory.
struct verified_group {
  group_options group;
  bool founded = false;
  std::uint64_t records = 0;      ///< that are sound; with damage, those before it
  std::uint64_t checkpoints = 0;  ///< complete ones
};

/// What a check of a data directory found. `damage` empty = sound.
struct verify_result {
  bool checked = false;  ///< false: could not be looked at, and `damage` says why (no journal, in use, no rights)
  std::string damage;    ///< what, where, what to do
  persistence::identity owner;         ///< as far as it could be read: `directory_id` 0 = not
  std::vector<verified_group> groups;  ///< by number; the sums of what they have are below
  std::uint64_t records = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t file_bytes = 0;
};

/// Checks structure, owner record, every record and every chunk of a directory that nobody has open. Reads with bounds
/// checks only until the structure is proven sound, so damage is reported and never takes the process down.
verify_result verify(const std::filesystem::path& directory);

/// The open journal of a node. Created by `open`. The destructor commits what waits (unless in trouble) and joins the
/// journal thread.
class journal {
public:
  using told = std::function<void(const std::string& error)>;

  virtual ~journal() = default;

  virtual const persistence::identity& identity() const = 0;

  /// Enters a group that was not among the options, if the directory does not hold it already, as `open` does for those that were.
  /// `done` runs on the journal thread once it is in the file, with an empty text, or with the reason why it is not: what the
  /// directory holds under that number is another group, or still being forgotten, or the journal ended. Waits for room on a full
  /// disk. From then on the group is like any other; under `one_flush` a power cut may take it back as long as nothing of it was
  /// reported durable. Any thread.
  virtual void add(const group_options& group, told done) = 0;

  /// The groups of which the directory holds something. Any thread.
  virtual std::vector<held_group> held() const = 0;

  /// Drops a group with its records and checkpoints, a thousand rows at a time beside what else is committed. What was appended and
  /// is not on disk yet is dropped first, what comes later is refused. Frees space on a full disk, too. `done` (may be empty) runs on
  /// the journal thread when nothing of it is left, at once if there was nothing, or with the reason; a journal that is closed
  /// before goes on with it when it is opened again, and does not give the group out any more. A group of another name under that
  /// number stays. Any thread.
  virtual void forget(std::uint32_t group, const std::string& name, told done) = 0;

  /// Feeds what the directory holds of `group` to `into`. Before the first `append` of the group. Any thread.
  virtual group_contents read_group(std::uint32_t group, recovery_reader& into) = 0;

  /// Takes over the operations (their payload references are moved), to be committed in this order. Positions of one
  /// group go up by one, operations without one apart; the first after opening is larger than `group_contents::last`. Never waits for the disk.
  /// One thread per group. False: the journal has stopped for good, or holds more than `queue_bytes_max`, after which it
  /// takes nothing more (a fatal `trouble` says so); or the group is forgotten.
  virtual bool append(std::uint32_t group, std::span<protocol::persist_op> ops) = 0;

  /// Remembers for ever (for a volatile group: within its epoch) that this directory saw the group founded.
  /// `done` (may be empty) runs on the journal thread when that is on disk.
  virtual void mark_founded(std::uint32_t group, std::function<void()> done) = 0;

  /// Begins a checkpoint of the application's state at `at`, on the disk or in memory.
  virtual std::shared_ptr<checkpoint_writer> store_checkpoint(std::uint32_t group, const protocol::mark& at, bool on_disk = true) = 0;

  /// Newest complete checkpoint. Any thread.
  virtual std::optional<checkpoint_info> newest_checkpoint(std::uint32_t group) = 0;

  /// A chunk of the complete checkpoint at `index` as one message: 0 = the encoded mark, 1..chunks the state. Empty
  /// payload = not there (any more) or damaged; `damage`, when given, tells which. The newest two complete checkpoints
  /// are kept, so that a transfer under way is not cut off. Any thread; reads the disk.
  virtual protocol::payload load_chunk(std::uint32_t group, log_index index, std::uint32_t number,
                                       std::string* damage = nullptr) = 0;

  virtual statistics stats() const = 0;
};

/// Size of the chunks into which checkpoints are cut; the last one may be smaller.
inline constexpr std::size_t chunk_bytes = 256u << 10;

/// XXH3-64, the checksum of records on disk (`protocol::checksum_fn`).
std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed);

/// Reads a group into `protocol::recovery` or `protocol::partition::recovery`. Inline, so that persistence itself does not
/// link the recovery rules.
template <class Recovery>
group_contents recover(journal& from, std::uint32_t group, Recovery& into) {
  struct adapter final : recovery_reader {
    Recovery& to;
    explicit adapter(Recovery& r) : to(r) {}
    void checkpoint(const protocol::mark& at, std::uint32_t chunks) override { to.checkpoint(at, chunks); }
    void state(const protocol::hard_state& what) override { to.state(what); }
    bool record(const protocol::persist_op& op) override { return to.record(op); }
    std::string why() const override { return to.why(); }
  } reader{into};
  return from.read_group(group, reader);
}

}  // namespace cohort::persistence
