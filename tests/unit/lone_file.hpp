#pragma once

#include "tests/unit/persistence_harness.hpp"

#include <fstream>
#include <iterator>
#include <string>

namespace cohort::persistence::samples {

/// A file alone in a directory of its own: written by what is tested, damaged and read by the test.
class lone_file {
public:
  explicit lone_file(const std::string& name) : file_(directory_.path() / name) {}
  const std::filesystem::path& directory() const { return directory_.path(); }
  const std::filesystem::path& file() const { return file_; }
  std::string content() const {
    std::ifstream in(file_, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& what) const { std::ofstream(file_, std::ios::binary | std::ios::trunc) << what; }

private:
  temporary_directory directory_;
  std::filesystem::path file_;
};

}  // namespace cohort::persistence::samples
