#include "transport/send_queue.hpp"

#include <algorithm>

namespace cohort::transport {

void frame_fifo::pop() {
  frames_[head_++] = {};
  if (head_ == frames_.size()) {
    frames_.clear();
    head_ = 0;
  } else if (head_ >= 64 && 2 * head_ >= frames_.size()) {
    frames_.erase(frames_.begin(), frames_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
}

void send_queue::push(const frame& f) {
  auto& bytes = is_payload(f.type) ? payload_bytes_ : control_bytes_;
  bytes += f.bytes.size();
  (is_payload(f.type) ? payload_ : control_).push(f);
  if (f.name != 0) names_.insert(f.name);
}

std::size_t send_queue::gather(std::span<iovec> parts, std::size_t bytes_max) const {
  std::size_t count = 0, total = 0;
  const auto add = [&](const frame& f, std::size_t from) {
    if (count == parts.size() || (count > 0 && total >= bytes_max)) return false;
    const auto rest = f.bytes.subspan(from);
    parts[count++] = {const_cast<std::byte*>(rest.data()), rest.size()};
    total += rest.size();
    return true;
  };
  const bool payload_first = payload_begun();
  if (payload_first && !add(payload_.at(0), begun_)) return count;
  for (std::size_t i = 0; i < control_.size(); ++i)
    if (!add(control_.at(i), i == 0 && !payload_first ? begun_ : 0)) return count;
  for (std::size_t i = payload_first ? 1 : 0; i < payload_.size(); ++i)
    if (!add(payload_.at(i), 0)) return count;
  return count;
}

std::size_t send_queue::written(std::size_t bytes) {
  std::size_t finished = 0;
  while (bytes > 0) {
    const bool payload = payload_begun() || control_.empty();
    auto& fifo = payload ? payload_ : control_;
    const auto length = fifo.at(0).bytes.size();
    const auto part = std::min(bytes, length - begun_);
    bytes -= part;
    begun_ += part;
    begun_payload_ = payload;
    if (begun_ < length) break;
    begun_ = 0;
    (payload ? payload_bytes_ : control_bytes_) -= length;
    names_.erase(fifo.at(0).name);
    fifo.pop();
    ++finished;
  }
  return finished;
}

}  // namespace cohort::transport
