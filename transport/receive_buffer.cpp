#include "transport/receive_buffer.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace cohort::transport {

std::span<std::byte> receive_buffer::room() {
  if (!block_) {
    size_ = std::exchange(first_bytes_, block_pool::block_bytes);
    block_ = pool_->take(size_);
    owner_ = block_;
    begin_ = end_ = 0;
    shared_ = false;
  } else if (begin_ == end_ && !shared_) {
    begin_ = end_ = 0;  // nothing in it is in use: the warm block again
  }
  std::size_t frame_bytes = 0;
  frame_header head;
  if (read_header({block_.get() + begin_, pending()}, frame_bytes_max_, head) == header_status::ok)
    frame_bytes = head.length;
  if (end_ == size_ || begin_ + frame_bytes > size_) move_to(std::max(frame_bytes, block_pool::block_bytes));
  return {block_.get() + end_, size_ - end_};
}

void receive_buffer::move_to(std::size_t bytes) {
  // A frame larger than a block gets one of exactly its size, whose end makes the next one start afresh.
  auto fresh = pool_->take(bytes);
  const auto part = pending();
  std::memcpy(fresh.get(), block_.get() + begin_, part);
  block_ = std::move(fresh);
  owner_ = block_;
  size_ = bytes;
  begin_ = 0;
  end_ = part;
  shared_ = false;
}

header_status receive_buffer::next(std::span<const std::byte>& out) {
  if (!block_) return header_status::incomplete;
  frame_header head;
  const std::span<const std::byte> rest{block_.get() + begin_, pending()};
  const auto status = read_header(rest, frame_bytes_max_, head);
  if (status != header_status::ok) return status;
  if (rest.size() < head.length) return header_status::incomplete;
  out = rest.first(head.length);
  begin_ += head.length;
  return header_status::ok;
}

}  // namespace cohort::transport
