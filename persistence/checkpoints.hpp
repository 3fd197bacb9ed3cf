#pragma once

#include "persistence/journal.hpp"

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

namespace cohort::persistence {

/// A complete checkpoint. Its chunks, one at least, are in the data file, or right here.
struct complete_checkpoint {
  checkpoint_info info;
  std::vector<protocol::payload> chunks;
};

/// The complete checkpoints of all groups, newest two of each. Any thread.
class checkpoint_catalogue {
public:
  /// Makes it one of the group's checkpoints. Returns the indexes of those in the file that are not kept any more.
  std::vector<log_index> add(std::uint32_t group, complete_checkpoint c);
  /// Gives up those up to `index`. Returns the indexes of those in the file.
  std::vector<log_index> release(std::uint32_t group, log_index index);
  void forget(std::uint32_t group);
  std::optional<checkpoint_info> newest(std::uint32_t group) const;
  std::optional<checkpoint_info> find(std::uint32_t group, log_index index) const;
  bool on_disk(std::uint32_t group, log_index index) const;
  /// A chunk held in memory; empty if there is none.
  protocol::payload chunk(std::uint32_t group, log_index index, std::uint32_t number) const;

private:
  static constexpr std::size_t kept = 2;  // a transfer of the older one may be under way

  mutable std::mutex mutex_;
  std::map<std::uint32_t, std::map<log_index, complete_checkpoint>> groups_;
};

/// Bytes as a payload of one message that owns them; the first `skip` bytes are left out.
protocol::payload one_message(std::vector<std::byte> bytes, std::size_t skip = 0);

/// What a `checkpoint_writer` and the journal thread share: chunks on their way to the disk.
class checkpoint_queue {
public:
  checkpoint_queue(std::uint32_t group, protocol::mark at, bool on_disk, std::function<void()> wake)
    : group(group), at(std::move(at)), on_disk(on_disk), wake_(std::move(wake)) {}

  const std::uint32_t group;
  const protocol::mark at;
  const bool on_disk;

  // ---- the writer's thread
  void write(std::span<const std::byte> bytes);
  bool failed() const;
  void finish(std::function<void(std::uint32_t, const std::string&)> done);
  void abandon();

  // ---- the journal thread
  enum class standing : std::uint8_t { waiting, has_chunks, complete, abandoned };
  standing look() const;
  /// The oldest chunk not yet taken; stays in the queue until `took`, so that a failed commit can repeat it.
  const std::vector<std::byte>* chunk(std::size_t ahead) const;
  void took(std::size_t chunks);
  /// Not `on_disk`: the first `chunks` waiting ones stay in `memory` from now on.
  void keep(std::size_t chunks);
  /// The writer has finished, and nothing follows behind the first `chunks` waiting ones.
  bool ends_after(std::size_t chunks) const;
  std::uint32_t taken = 0;                  ///< chunks committed so far
  std::vector<protocol::payload> memory;    ///< not `on_disk`: the chunks taken
  /// Ends it: `error` empty = stored in `chunks` chunks.
  void close(std::uint32_t chunks, const std::string& error);
  /// The journal ends; the writer's end may live on.
  void detach();

private:
  static constexpr std::size_t waiting_max = 16;  // of 256 KiB

  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::deque<std::vector<std::byte>> chunks_;
  std::vector<std::byte> filling_;  ///< the writer's thread only
  bool any_ = false, finished_ = false, abandoned_ = false, closed_ = false;
  std::uint32_t result_ = 0;
  std::string error_;
  std::function<void(std::uint32_t, const std::string&)> done_;
  std::function<void()> wake_;  ///< called with `mutex_` held; must not call back
};

/// The caller's end of a queue.
class queued_writer final : public checkpoint_writer {
public:
  explicit queued_writer(std::shared_ptr<checkpoint_queue> queue) : queue_(std::move(queue)) {}
  ~queued_writer() override { queue_->abandon(); }
  void write(std::span<const std::byte> bytes) override { queue_->write(bytes); }
  bool failed() const override { return queue_->failed(); }
  void finish(std::function<void(std::uint32_t, const std::string&)> done) override { queue_->finish(std::move(done)); }

private:
  std::shared_ptr<checkpoint_queue> queue_;
};

}  // namespace cohort::persistence
