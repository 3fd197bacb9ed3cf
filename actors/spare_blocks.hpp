#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace cohort::detail {

struct submission_block;

/// Empty submission blocks for all ports of a node, the last given first: where a thousand groups take turns, a port's own would
/// have left the processor's caches long before its next turn. Any thread.
class spare_blocks {
public:
  spare_blocks();
  ~spare_blocks();
  std::unique_ptr<submission_block> take();
  void give(std::unique_ptr<submission_block> block);

private:
  static constexpr std::size_t block_bytes_max = 4u << 20, bytes_max = 64u << 20, count_max = 1024;

  std::mutex mutex_;
  std::vector<std::unique_ptr<submission_block>> blocks_;
  std::size_t bytes_ = 0;  // capacity of all
};

}  // namespace cohort::detail
