#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace cohort {

/// Where a checkpoint's bytes go. Written front to back, in pieces of any size; the framework cuts chunks.
class sink {
public:
  virtual ~sink() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;

  void write_u64(std::uint64_t value);           ///< 8 bytes, little endian
  void write_bytes(std::string_view bytes);      ///< length as u64, then the bytes
};

/// Thrown by `source` when a checkpoint ends too early or holds an impossible length; the restore fails and says so.
struct truncated_checkpoint : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Where a checkpoint is read from, front to back.
class source {
public:
  virtual ~source() = default;
  /// Fills `out` completely or throws `truncated_checkpoint`.
  virtual void read(std::span<std::byte> out) = 0;
  /// Bytes left.
  virtual std::uint64_t left() const = 0;

  std::uint64_t read_u64();
  std::string read_bytes();                      ///< as written by `write_bytes`
};

}  // namespace cohort
