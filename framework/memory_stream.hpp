#pragma once

#include <cohort/stream.hpp>

#include <cstring>
#include <utility>
#include <vector>

namespace cohort {

/// A checkpoint in memory.
class memory_sink final : public sink {
public:
  void write(std::span<const std::byte> bytes) override { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::span<const std::byte> bytes() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

private:
  std::vector<std::byte> bytes_;
};

class memory_source final : public source {
public:
  explicit memory_source(std::span<const std::byte> bytes) : left_(bytes) {}
  void read(std::span<std::byte> out) override {
    if (out.size() > left_.size()) throw truncated_checkpoint("the state ends before what its reader wants");
    if (!out.empty()) std::memcpy(out.data(), left_.data(), out.size());
    left_ = left_.subspan(out.size());
  }
  std::uint64_t left() const override { return left_.size(); }

private:
  std::span<const std::byte> left_;
};

}  // namespace cohort
