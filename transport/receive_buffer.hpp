#pragma once

// Inside transport/ only: where received bytes live.

#include "transport/block_pool.hpp"
#include "transport/codec.hpp"

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

namespace cohort::transport {

/// Cuts a stream of bytes into frames without copying them, except a frame that lies across the end of a block: its
/// first part moves to the start of the next one. Every frame begins at a multiple of 8.
class receive_buffer {
public:
  explicit receive_buffer(std::shared_ptr<block_pool> pool) : pool_(std::move(pool)) {}

  /// Frames up to this size are taken from now on; memory for a larger one is never reserved.
  void limit(std::size_t frame_bytes_max) { frame_bytes_max_ = frame_bytes_max; }
  /// First block only so large, until `limit` allows more: strangers get little.
  void start_small(std::size_t bytes) { first_bytes_ = bytes; }

  /// Room to receive into; never empty. Precondition: `next` has returned `incomplete` since the last `filled`.
  std::span<std::byte> room();
  void filled(std::size_t bytes) { end_ += bytes; }

  /// Takes the next whole frame. `ok`: `out` is valid until the next call of `room`, longer with a copy of `owner()`.
  header_status next(std::span<const std::byte>& out);
  /// Keeps the block of the frame last taken. Tells the buffer that the block's bytes are in use beyond `room`.
  const std::shared_ptr<const void>& owner() {
    shared_ = true;
    return owner_;
  }
  /// Bytes of a frame not complete yet.
  std::size_t pending() const { return end_ - begin_; }

private:
  void move_to(std::size_t bytes);

  std::shared_ptr<block_pool> pool_;
  std::shared_ptr<std::byte> block_;
  std::shared_ptr<const void> owner_;
  std::size_t frame_bytes_max_ = 0;
  std::size_t first_bytes_ = block_pool::block_bytes;
  std::size_t size_ = 0, begin_ = 0, end_ = 0;
  bool shared_ = false;  // somebody may hold on to the block's bytes
};

}  // namespace cohort::transport
