#pragma once

#include "framework/simulation/disk.hpp"

#include <cohort/stream.hpp>

#include <utility>

namespace cohort::sim {

/// Cuts a checkpoint into chunks.
class chunk_sink final : public sink {
public:
  explicit chunk_sink(std::size_t chunk_bytes) : chunk_bytes_(chunk_bytes) {}
  void write(std::span<const std::byte> bytes) override {
    open_.insert(open_.end(), bytes.begin(), bytes.end());
    while (open_.size() >= chunk_bytes_) {
      chunks_.push_back(one_message(std::span(open_).first(chunk_bytes_)));
      open_.erase(open_.begin(), open_.begin() + static_cast<std::ptrdiff_t>(chunk_bytes_));
    }
  }
  std::vector<protocol::payload> take() {
    if (!open_.empty()) chunks_.push_back(one_message(open_));
    open_.clear();
    return std::exchange(chunks_, {});
  }

private:
  std::size_t chunk_bytes_;
  std::vector<std::byte> open_;
  std::vector<protocol::payload> chunks_;
};

/// Reads a checkpoint back from its chunks.
class chunk_source final : public source {
public:
  explicit chunk_source(const std::vector<protocol::payload>& chunks) {
    for (const auto& c : chunks) bytes_.insert(bytes_.end(), c.blob.begin(), c.blob.end());
  }
  void read(std::span<std::byte> out) override {
    if (out.size() > bytes_.size() - at_) throw truncated_checkpoint("the checkpoint ends too early");
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at_), out.size(), out.begin());
    at_ += out.size();
  }
  std::uint64_t left() const override { return bytes_.size() - at_; }

private:
  std::vector<std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace cohort::sim
