#pragma once

#include <cohort/stream.hpp>

#include <cstring>
#include <vector>

namespace cohort::primary_backup {

/// A checkpoint in memory.
class memory_sink final : public sink {
public:
  void write(std::span<const std::byte> bytes) override { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::span<const std::byte> bytes() const { return bytes_; }

private:
  std::vector<std::byte> bytes_;
};

class memory_source final : public source {
public:
  explicit memory_source(std::span<const std::byte> bytes) : left_(bytes) {}
  void read(std::span<std::byte> out) override {
    if (out.size() > left_.size()) throw truncated_checkpoint("the checkpoint ends before what the service wants");
    if (!out.empty()) std::memcpy(out.data(), left_.data(), out.size());
    left_ = left_.subspan(out.size());
  }
  std::uint64_t left() const override { return left_.size(); }

private:
  std::span<const std::byte> left_;
};

}  // namespace cohort::primary_backup
