#include "persistence/checkpoints.hpp"

#include <algorithm>
#include <utility>

namespace cohort::persistence {

std::vector<log_index> checkpoint_catalogue::add(std::uint32_t group, complete_checkpoint c) {
  const std::lock_guard lock(mutex_);
  auto& of_group = groups_[group];
  const auto index = c.info.at.index;
  of_group.insert_or_assign(index, std::move(c));
  std::vector<log_index> gone;
  while (of_group.size() > kept) {
    if (of_group.begin()->second.chunks.empty()) gone.push_back(of_group.begin()->first);
    of_group.erase(of_group.begin());
  }
  return gone;
}

std::vector<log_index> checkpoint_catalogue::release(std::uint32_t group, log_index index) {
  const std::lock_guard lock(mutex_);
  std::vector<log_index> gone;
  const auto it = groups_.find(group);
  if (it == groups_.end()) return gone;
  auto& of_group = it->second;
  const auto end = of_group.upper_bound(index);
  for (auto c = of_group.begin(); c != end; ++c)
    if (c->second.chunks.empty()) gone.push_back(c->first);
  of_group.erase(of_group.begin(), end);
  return gone;
}

void checkpoint_catalogue::forget(std::uint32_t group) {
  const std::lock_guard lock(mutex_);
  groups_.erase(group);
}

std::optional<checkpoint_info> checkpoint_catalogue::newest(std::uint32_t group) const {
  const std::lock_guard lock(mutex_);
  const auto it = groups_.find(group);
  if (it == groups_.end() || it->second.empty()) return {};
  return it->second.rbegin()->second.info;
}

std::optional<checkpoint_info> checkpoint_catalogue::find(std::uint32_t group, log_index index) const {
  const std::lock_guard lock(mutex_);
  const auto it = groups_.find(group);
  if (it == groups_.end()) return {};
  const auto c = it->second.find(index);
  return c == it->second.end() ? std::nullopt : std::optional(c->second.info);
}

bool checkpoint_catalogue::on_disk(std::uint32_t group, log_index index) const {
  const std::lock_guard lock(mutex_);
  const auto it = groups_.find(group);
  if (it == groups_.end()) return false;
  const auto c = it->second.find(index);
  return c != it->second.end() && c->second.chunks.empty();
}

protocol::payload checkpoint_catalogue::chunk(std::uint32_t group, log_index index, std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  const auto it = groups_.find(group);
  if (it == groups_.end()) return {};
  const auto c = it->second.find(index);
  if (c == it->second.end() || number == 0 || number > c->second.chunks.size()) return {};
  return c->second.chunks[number - 1];
}

protocol::payload one_message(std::vector<std::byte> bytes, std::size_t skip) {
  struct memory {
    std::vector<std::byte> bytes;
    std::uint32_t size = 0;
  };
  auto m = std::make_shared<memory>();
  m->bytes = std::move(bytes);
  m->size = static_cast<std::uint32_t>(m->bytes.size() - skip);
  const memory& r = *m;
  return {m, {&r.size, 1}, std::span(r.bytes).subspan(skip)};
}

void checkpoint_queue::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (filling_.capacity() < chunk_bytes) filling_.reserve(chunk_bytes);
    const std::size_t n = std::min(bytes.size(), chunk_bytes - filling_.size());
    filling_.insert(filling_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    bytes = bytes.subspan(n);
    if (filling_.size() < chunk_bytes) return;
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || chunks_.size() < waiting_max; });
    if (closed_) {
      filling_.clear();
      return;
    }
    chunks_.push_back(std::exchange(filling_, {}));
    any_ = true;
    if (wake_) wake_();
  }
}

bool checkpoint_queue::failed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void checkpoint_queue::finish(std::function<void(std::uint32_t, const std::string&)> done) {
  std::unique_lock lock(mutex_);
  if (finished_ || abandoned_) return;
  finished_ = true;
  if (!wake_) {  // the journal is gone, nobody else will tell
    lock.unlock();
    if (done) done(0, "the journal was closed");
    return;
  }
  done_ = std::move(done);
  // An empty state is one empty chunk: "no chunks" means failure everywhere.
  if (!closed_ && (!filling_.empty() || !any_)) chunks_.push_back(std::exchange(filling_, {}));
  wake_();
}

void checkpoint_queue::abandon() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  abandoned_ = true;
  if (wake_) wake_();
}

void checkpoint_queue::detach() {
  const std::lock_guard lock(mutex_);
  wake_ = nullptr;
}

checkpoint_queue::standing checkpoint_queue::look() const {
  const std::lock_guard lock(mutex_);
  if (abandoned_) return standing::abandoned;
  if (closed_) return finished_ ? standing::complete : standing::waiting;
  if (!chunks_.empty()) return standing::has_chunks;
  return finished_ ? standing::complete : standing::waiting;
}

const std::vector<std::byte>* checkpoint_queue::chunk(std::size_t ahead) const {
  const std::lock_guard lock(mutex_);
  // References into a deque survive what the writer appends meanwhile.
  return ahead < chunks_.size() ? &chunks_[ahead] : nullptr;
}

void checkpoint_queue::took(std::size_t chunks) {
  {
    const std::lock_guard lock(mutex_);
    chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(chunks));
  }
  taken += static_cast<std::uint32_t>(chunks);
  room_.notify_all();
}

void checkpoint_queue::keep(std::size_t chunks) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < chunks; ++i) memory.push_back(one_message(std::move(chunks_[i])));
}

bool checkpoint_queue::ends_after(std::size_t chunks) const {
  const std::lock_guard lock(mutex_);
  return finished_ && !abandoned_ && !closed_ && chunks_.size() == chunks;
}

void checkpoint_queue::close(std::uint32_t chunks, const std::string& error) {
  decltype(done_) done;
  {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      closed_ = true;
      result_ = chunks;
      error_ = error;
      chunks_.clear();
    }
    if (finished_) done = std::exchange(done_, nullptr);
  }
  room_.notify_all();
  if (done) done(result_, error_);
}

}  // namespace cohort::persistence
