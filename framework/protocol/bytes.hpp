#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace cohort::protocol {

/// A little-endian number at `at`, which has room for it. One instruction where the machine counts so, too: these run for every
/// request of a session.
template <class T>
void store_little(std::byte* at, T value) {
  static_assert(std::is_unsigned_v<T>);
  if constexpr (std::endian::native == std::endian::little)
    std::memcpy(at, &value, sizeof value);
  else
    for (std::size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
}
template <class T>
T load_little(const std::byte* at) {
  static_assert(std::is_unsigned_v<T>);
  T value = 0;
  if constexpr (std::endian::native == std::endian::little)
    std::memcpy(&value, at, sizeof value);
  else
    for (std::size_t i = 0; i < sizeof(T); ++i) value = static_cast<T>(value | std::to_integer<T>(at[i]) << (8 * i));
  return value;
}

/// Writes little-endian numbers into room that the caller has measured; never past its end (an overrun is our bug and
/// is caught by `record_bytes` being compared with what was written).
class byte_writer {
public:
  explicit byte_writer(std::span<std::byte> out) : out_(out) {}

  template <class T>
  void put(T value) {
    store_little(out_.data() + at_, value);
    at_ += sizeof(T);
  }
  void put_bytes(std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(out_.data() + at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }
  std::size_t written() const { return at_; }

private:
  std::span<std::byte> out_;
  std::size_t at_ = 0;
};

/// Reads little-endian numbers from bytes that may be anything. Past the end it gives zeros and `failed`.
class byte_reader {
public:
  explicit byte_reader(std::span<const std::byte> in) : in_(in) {}

  template <class T>
  T get() {
    if (in_.size() < sizeof(T)) {
      fail();
      return 0;
    }
    const auto value = load_little<T>(in_.data());
    in_ = in_.subspan(sizeof(T));
    return value;
  }
  /// A count of items that take at least `item_bytes` each: fails when they cannot be there, so that a count from
  /// outside never sizes an allocation beyond the input's own size.
  std::size_t get_count(std::size_t item_bytes, std::size_t most) {
    const std::size_t count = get<std::uint32_t>();
    if (count > most || count > in_.size() / item_bytes) {
      fail();
      return 0;
    }
    return count;
  }
  /// A field of so many bytes; empty and `failed` if they are not there.
  std::span<const std::byte> get_bytes(std::size_t size) {
    if (size > in_.size()) fail();
    if (failed_) return {};
    const auto field = in_.first(size);
    in_ = in_.subspan(size);
    return field;
  }
  void fail() {
    failed_ = true;
    in_ = {};
  }
  bool failed() const { return failed_; }
  std::span<const std::byte> rest() const { return in_; }

private:
  std::span<const std::byte> in_;
  bool failed_ = false;
};

}  // namespace cohort::protocol
