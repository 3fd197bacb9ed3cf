#pragma once

#include "actors/kept_file.hpp"
#include "framework/catalogue/group_table.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace cohort::detail {

/// The table of created groups as this node knows it. Any thread.
class group_board {
public:
  catalogue::group_table now() const;
  /// Takes the table if it is newer, and tells: a replica of the catalogue that begins again goes through states that are over.
  void update(const catalogue::group_table& newer);
  /// Called behind a change, by whoever made it; empty: nobody is told. Calls under way have ended when it returns.
  void on_change(std::function<void()> tell);

  /// Takes what was written down there, if it is newer, and writes down what changes from now on: a node that starts has its groups
  /// run again although the catalogue has no quorum. Empty, or why what was there is of no use.
  std::string keep_in(const std::filesystem::path& file);
  /// Writes down what changed. Waits for the disk. Empty, or why it could not.
  std::string write_down();

private:
  mutable std::mutex mutex_;  // guards what follows
  catalogue::group_table table_;
  std::mutex telling_;        // guards what follows
  std::function<void()> tell_;
  std::mutex writing_;        // guards what follows
  std::unique_ptr<kept_file> file_;
  std::uint64_t written_ = 0;  ///< version
};

}  // namespace cohort::detail
