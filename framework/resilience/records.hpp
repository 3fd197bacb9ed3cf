#pragma once

#include "framework/resilience/engine.hpp"

#include <cstring>

/// What lies in the store of a resilient process (docs/resilience.md).
namespace cohort::resilience {

inline constexpr std::string_view journal_log = "journal";
inline constexpr std::string_view life_key = "life";  ///< u64: the newest token
inline constexpr std::string_view head_prefix = "checkpoint/";
inline constexpr std::string_view piece_prefix = "piece/";
/// Records of inputs that were replayed have the newer format: a program that does not know them would take a sender's number back.
inline constexpr std::uint64_t record_format = 2, replayed_format = 3;
inline constexpr std::uint64_t checkpoint_format = process_state::passed_format, oldest_checkpoint_format = 2;

class string_sink final : public sink {
public:
  void write(std::span<const std::byte> what) override {
    bytes.append(reinterpret_cast<const char*>(what.data()), what.size());
  }
  std::string bytes;
};

class string_source final : public source {
public:
  explicit string_source(std::string_view from) : rest_(from) {}
  void read(std::span<std::byte> out) override {
    if (out.size() > rest_.size()) throw truncated_checkpoint("it ends too early");
    std::memcpy(out.data(), rest_.data(), out.size());
    rest_.remove_prefix(out.size());
  }
  std::uint64_t left() const override { return rest_.size(); }

private:
  std::string_view rest_;
};

/// Positions sort as their digits do.
inline std::string digits(std::uint64_t n) {
  std::string d = std::to_string(n);
  return std::string(20 - d.size(), '0') + d;
}
inline std::string head_key(std::uint64_t position) { return std::string(head_prefix) + digits(position); }
inline std::string piece_key(std::uint64_t position, std::uint64_t piece) {
  return std::string(piece_prefix) + digits(position) + '/' + digits(piece);
}
inline std::string encode_u64(std::uint64_t n) {
  string_sink out;
  out.write_u64(n);
  return out.bytes;
}
/// `base`  position of the checkpoint whose changes it holds; 0: it holds the whole state.
inline std::string encode_head(std::uint64_t pieces, std::uint64_t bytes, std::uint64_t base, wall_time taken) {
  return encode_u64(pieces) + encode_u64(bytes) + encode_u64(base) + encode_u64(static_cast<std::uint64_t>(taken.count()));
}

}  // namespace cohort::resilience
