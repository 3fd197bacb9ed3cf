#pragma once

// Inside transport/ only: memory for frames and for what is received.

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace cohort::transport {

/// Blocks of memory that come back when the last reference is dropped, on whatever thread that happens. The general
/// allocator returns blocks of these sizes to the kernel and gets them back page by page, which costs more than filling
/// them. Sizes from 32 to 256 KiB are kept, in four classes; others come from the allocator.
class block_pool : public std::enable_shared_from_this<block_pool> {
public:
  static constexpr std::size_t block_bytes = 256 * 1024;  ///< largest kept; a ring of them stays in the second-level cache
  static constexpr std::size_t spare_max = 16;            ///< per class

  /// At least `bytes`, aligned to 64, contents undefined.
  std::shared_ptr<std::byte> take(std::size_t bytes);

private:
  using memory = std::unique_ptr<std::byte, void (*)(std::byte*)>;
  static constexpr std::size_t classes = 4;
  static constexpr std::size_t class_bytes(std::size_t c) { return block_bytes >> (classes - 1 - c); }
  static memory allocate(std::size_t bytes);
  std::mutex mutex_;
  std::array<std::vector<memory>, classes> spare_;
};

}  // namespace cohort::transport
