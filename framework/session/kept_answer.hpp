#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>

namespace cohort::session {

/// The bytes of an answer that is kept, short ones in place: a busy session has tens of thousands, each is touched three times, and
/// memory is what they wait for. Room for a longer one stays for the next.
class kept_answer {
public:
  static constexpr std::size_t in_place = 16;  ///< so many bytes can be read wherever `bytes` begin, however few there are

  kept_answer() = default;
  kept_answer(kept_answer&& other) noexcept { swap(other); }
  kept_answer& operator=(kept_answer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~kept_answer() {
    if (capacity_ > 0) delete[] there();
  }

  std::size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {capacity_ > 0 ? there() : here_, size_}; }

  void assign(std::span<const std::byte> bytes) {
    if (bytes.size() > room()) grow(bytes.size());
    size_ = static_cast<std::uint32_t>(bytes.size());
    if (capacity_ == 0 && bytes.size() >= 8) {  // two loads that may overlap, and no call for a copy of unknown length
      std::uint64_t front, back;
      std::memcpy(&front, bytes.data(), 8);
      std::memcpy(&back, bytes.data() + bytes.size() - 8, 8);
      std::memcpy(here_, &front, 8);
      std::memcpy(here_ + bytes.size() - 8, &back, 8);
    } else if (!bytes.empty()) {
      std::memcpy(capacity_ > 0 ? there() : here_, bytes.data(), bytes.size());
    }
  }
  void clear() {
    size_ = 0;
    if (capacity_ > kept_room_max) *this = kept_answer();
  }

private:
  static constexpr std::size_t kept_room_max = 1024;

  std::size_t room() const { return capacity_ > 0 ? capacity_ : in_place; }
  std::byte* there() const {
    std::byte* at;
    std::memcpy(&at, here_, sizeof at);
    return at;
  }
  void grow(std::size_t bytes) {
    if (bytes > UINT32_MAX) throw std::length_error("an answer of 4 GiB or more cannot be kept");
    auto* at = new std::byte[bytes];
    if (capacity_ > 0) delete[] there();
    std::memcpy(here_, &at, sizeof at);
    capacity_ = static_cast<std::uint32_t>(bytes);
  }
  void swap(kept_answer& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    std::swap(here_, other.here_);
  }

  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;  // 0: in place
  std::byte here_[in_place]{};  // or where it is
};

}  // namespace cohort::session
