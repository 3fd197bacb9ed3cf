#pragma once

#include "framework/primary_backup/agreed_copy.hpp"

#include <filesystem>
#include <fstream>

namespace cohort::detail {

/// A cold backup's state on this node's disk: two files of records with checksums, written anew at each start and each
/// checkpoint. They save memory, not state (that is the journal's), so nothing is forced to the disk. Throws
/// `std::runtime_error` where a file cannot be written, or does not hold what was written.
class cold_file final : public primary_backup::cold_store {
public:
  /// Writes `base`.image and `base`.changes.
  explicit cold_file(const std::filesystem::path& base);

  void keep_image(const std::function<void(sink&)>& write) override;
  void append(std::span<const std::byte> change) override;
  void read(const std::function<void(source&)>& image, const std::function<void(std::span<const std::byte>)>& change) override;

private:
  std::filesystem::path image_, changes_;
  std::ofstream out_;  ///< `changes_`
  bool has_image_ = false;
};

}  // namespace cohort::detail
