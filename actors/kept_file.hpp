#pragma once

#include "persistence/letter_box.hpp"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace cohort::detail {

/// The newest state of something small, on disk. One thread at a time; calls wait for the disk.
class kept_file {
public:
  explicit kept_file(const std::filesystem::path& file) : box_(file, {.bytes_max = bytes_max}) {}

  /// On disk when it returns, before the former one goes; nothing is written if it is the same.
  void keep(std::span<const std::byte> state);
  /// Empty, or why the disk did not take the last one.
  std::string trouble() const { return box_.trouble(); }

  /// What was kept there last. Nothing if there is no such file, or nothing sound in it, which `trouble` tells.
  static std::optional<std::vector<std::byte>> read(const std::filesystem::path& file, std::string& trouble);

private:
  static constexpr std::size_t bytes_max = 64u << 20;
  persistence::letter_box box_;
};

}  // namespace cohort::detail
