#pragma once

#include "persistence/journal.hpp"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace cohort::detail {

/// One thread for work that waits for the disk, so that neither the protocol nor the application does.
class bulk_worker {
public:
  bulk_worker();
  /// Drops what has not begun, waits for what has.
  ~bulk_worker();
  void post(std::function<void()> task);

private:
  void run();

  std::mutex mutex_;
  std::condition_variable more_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

/// Takes a checkpoint from the application at the speed of memory while a bulk worker feeds the journal at that of the
/// disk. The application waits only if its state is larger than `memory_max`.
class checkpoint_pipe final : public sink {
public:
  static constexpr std::size_t memory_max = 256u << 20;

  void write(std::span<const std::byte> bytes) override;  ///< application's thread
  void close();                                           ///< the state is complete
  void abort();                                           ///< it never will be; or the disk takes no more: nobody waits

  /// Bulk thread: moves everything into `to` until `close` (true) or `abort` (false).
  bool drain(sink& to);

private:
  using piece = std::vector<std::byte>;
  static constexpr std::size_t piece_bytes = 1u << 20;
  void push();

  piece filling_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<piece> pieces_;
  std::size_t queued_ = 0;
  bool closed_ = false;
  bool aborted_ = false;
};

}  // namespace cohort::detail
