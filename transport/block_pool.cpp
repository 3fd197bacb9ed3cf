#include "transport/block_pool.hpp"

#include <new>
#include <utility>

namespace cohort::transport {

namespace {
constexpr std::align_val_t alignment{64};
}

block_pool::memory block_pool::allocate(std::size_t bytes) {
  return {static_cast<std::byte*>(::operator new(bytes, alignment)),
          [](std::byte* p) { ::operator delete(p, alignment); }};
}

std::shared_ptr<std::byte> block_pool::take(std::size_t bytes) {
  if (bytes < class_bytes(0) || bytes > block_bytes) return allocate(bytes);
  std::size_t c = 0;
  while (class_bytes(c) < bytes) ++c;
  memory m{nullptr, nullptr};
  {
    std::lock_guard guard(mutex_);
    if (!spare_[c].empty()) {
      m = std::move(spare_[c].back());
      spare_[c].pop_back();
    }
  }
  if (!m) m = allocate(class_bytes(c));
  const auto release = m.get_deleter();
  return {m.release(), [pool = shared_from_this(), release, c](std::byte* p) {
            memory back{p, release};
            std::lock_guard guard(pool->mutex_);
            if (pool->spare_[c].size() < spare_max) pool->spare_[c].push_back(std::move(back));
          }};
}

}  // namespace cohort::transport
