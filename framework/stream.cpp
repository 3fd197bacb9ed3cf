#include "framework/protocol/bytes.hpp"

#include <cohort/stream.hpp>

#include <array>

namespace cohort {

void sink::write_u64(std::uint64_t value) {
  std::array<std::byte, 8> bytes;
  protocol::store_little(bytes.data(), value);
  write(bytes);
}

void sink::write_bytes(std::string_view bytes) {
  write_u64(bytes.size());
  write(std::as_bytes(std::span(bytes)));
}

std::uint64_t source::read_u64() {
  std::array<std::byte, 8> bytes;
  read(bytes);
  return protocol::load_little<std::uint64_t>(bytes.data());
}

std::string source::read_bytes() {
  const auto size = read_u64();
  // Checked before the allocation: a damaged length must not ask for terabytes.
  if (size > left()) throw truncated_checkpoint("checkpoint ends inside a field of " + std::to_string(size) + " bytes");
  std::string bytes(size, '\0');
  read(std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace cohort
