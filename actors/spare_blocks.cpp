#include "actors/spare_blocks.hpp"

#include "actors/port_state.hpp"

#include <utility>

namespace cohort::detail {

spare_blocks::spare_blocks() = default;
spare_blocks::~spare_blocks() = default;

std::unique_ptr<submission_block> spare_blocks::take() {
  {
    std::lock_guard guard(mutex_);
    if (!blocks_.empty()) {
      auto block = std::move(blocks_.back());
      blocks_.pop_back();
      bytes_ -= block->blob.capacity();
      return block;
    }
  }
  return std::make_unique<submission_block>();
}

void spare_blocks::give(std::unique_ptr<submission_block> block) {
  block->clear();
  const auto bytes = block->blob.capacity();
  if (bytes > block_bytes_max) return;
  std::lock_guard guard(mutex_);
  if (blocks_.size() == count_max || bytes_ + bytes > bytes_max) return;
  bytes_ += bytes;
  blocks_.push_back(std::move(block));
}

}  // namespace cohort::detail
