#include "actors/bulk.hpp"

#include <algorithm>
#include <utility>

namespace cohort::detail {

bulk_worker::bulk_worker() : thread_([this] { run(); }) {}

bulk_worker::~bulk_worker() {
  {
    std::lock_guard guard(mutex_);
    stopping_ = true;
    tasks_.clear();
  }
  more_.notify_one();
  thread_.join();
}

void bulk_worker::post(std::function<void()> task) {
  {
    std::lock_guard guard(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  more_.notify_one();
}

void bulk_worker::run() {
  for (;;) {
    std::unique_lock guard(mutex_);
    more_.wait(guard, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    auto task = std::move(tasks_.front());
    tasks_.pop_front();
    guard.unlock();
    task();
  }
}

void checkpoint_pipe::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (filling_.capacity() == 0) filling_.reserve(piece_bytes);
    auto part = std::min(bytes.size(), piece_bytes - filling_.size());
    filling_.insert(filling_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(part));
    bytes = bytes.subspan(part);
    if (filling_.size() == piece_bytes) push();
  }
}

void checkpoint_pipe::push() {
  std::unique_lock guard(mutex_);
  changed_.wait(guard, [this] { return aborted_ || queued_ < memory_max; });
  if (!aborted_) {
    queued_ += filling_.size();
    pieces_.push_back(std::move(filling_));
  }
  filling_ = {};
  guard.unlock();
  changed_.notify_all();
}

void checkpoint_pipe::close() {
  if (!filling_.empty()) push();
  {
    std::lock_guard guard(mutex_);
    closed_ = true;
  }
  changed_.notify_all();
}

void checkpoint_pipe::abort() {
  {
    std::lock_guard guard(mutex_);
    aborted_ = true;
  }
  changed_.notify_all();
}

bool checkpoint_pipe::drain(sink& to) {
  for (;;) {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return aborted_ || closed_ || !pieces_.empty(); });
    if (aborted_) return false;
    if (pieces_.empty()) return true;
    auto next = std::move(pieces_.front());
    pieces_.pop_front();
    queued_ -= next.size();
    guard.unlock();
    changed_.notify_all();
    to.write(next);
  }
}

}  // namespace cohort::detail
