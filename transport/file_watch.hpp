#pragma once

#include "transport/loop.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace cohort::transport {

/// What a file holds now, or why it cannot be read.
struct file_reading {
  std::string text;
  std::string error;  ///< empty: `text` is all of the file
  bool operator==(const file_reading&) const = default;
};

/// Reads a small file now and whenever it changes: written in place, replaced by a rename, its link pointed elsewhere,
/// removed and made again. Changes are seen by inotify on its folder; where that tells nothing (network file systems, a
/// folder that does not exist yet) by a look every `look_again`.
///
/// On a thread of its own: a disk that does not answer holds nobody up but whoever destroys the watch.
class file_watch {
public:
  struct options {
    std::size_t bytes_max = 1u << 20;               ///< a larger file is an error
    std::chrono::milliseconds settle{50};           ///< from a change to the reading: writers need a moment
    std::chrono::milliseconds look_again{5000};
  };
  /// `told` is called on the watch's thread, first with what is there, later only if it is not what was told last.
  file_watch(std::filesystem::path file, std::function<void(const file_reading&)> told, options how);
  file_watch(std::filesystem::path file, std::function<void(const file_reading&)> told);
  /// Afterwards nothing is told any more.
  ~file_watch();
  file_watch(const file_watch&) = delete;
  file_watch& operator=(const file_watch&) = delete;

private:
  class worker;
  std::unique_ptr<worker> worker_;
};

/// Reads all of a file that is not larger than `bytes_max`.
file_reading read_file(const std::filesystem::path& file, std::size_t bytes_max);

}  // namespace cohort::transport
