#pragma once

// Inside transport/ only: what waits to be written to one link.

#include "transport/codec.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <unordered_set>
#include <vector>

namespace cohort::transport {

/// Frames in order, taken from the front without moving the rest each time.
class frame_fifo {
public:
  bool empty() const { return head_ == frames_.size(); }
  std::size_t size() const { return frames_.size() - head_; }
  const frame& at(std::size_t i) const { return frames_[head_ + i]; }
  void push(const frame& f) { frames_.push_back(f); }
  void pop();

private:
  std::vector<frame> frames_;
  std::size_t head_ = 0;
};

/// Two queues for one link. Control goes before payload at every frame boundary: a frame whose first bytes are written
/// is finished first, then all control, then payload.
class send_queue {
public:
  void push(const frame& f);
  bool empty() const { return control_.empty() && payload_.empty(); }
  std::size_t control_bytes() const { return control_bytes_; }
  std::size_t payload_bytes() const { return payload_bytes_; }
  /// A frame of that name has not been written to its end yet.
  bool waits(std::uint64_t name) const { return names_.contains(name); }

  /// Fills `parts` with what to write next, at most `bytes_max` (but at least one frame). Returns how many it filled.
  std::size_t gather(std::span<iovec> parts, std::size_t bytes_max) const;
  /// `bytes` of what was gathered are written. Returns the frames finished by it.
  std::size_t written(std::size_t bytes);

private:
  bool payload_begun() const { return begun_ > 0 && begun_payload_; }

  frame_fifo control_, payload_;
  std::unordered_set<std::uint64_t> names_;  // of `payload_`: asked for every batch, and a slow link's queue is long
  std::size_t control_bytes_ = 0, payload_bytes_ = 0;
  std::size_t begun_ = 0;       // bytes already written of the frame in front
  bool begun_payload_ = false;  // ... of the payload queue
};

}  // namespace cohort::transport
