#pragma once

#include "persistence/directory.hpp"
#include "persistence/stable.hpp"
#include "persistence/stable_copy.hpp"

#include <array>
#include <memory>
#include <string>
#include <vector>

namespace cohort::persistence {

/// The one or two copies of the stable storage, and what keeps them equal. Opening and mending belong to one thread at
/// a time, the writer's once it runs; `copy` is read by all, under `stable_storage`'s lock.
class stable_pair {
public:
  explicit stable_pair(const stable_options& wanted) : options_(wanted) {}

  /// Empty, or why it cannot be used.
  std::string open();
  /// Checks all copies and mends them from each other. Outside of transactions. Throws `store_failure`.
  stable_scrub scrub();

  /// In use, the first always.
  std::size_t count() const { return copies_[1] ? 2 : 1; }
  stable_copy& copy(std::size_t i) { return *copies_[i]; }
  /// Stops to use a copy that cannot be written: what is on it falls behind, which its serial tells the next start.
  /// False if it is the only one.
  bool drop(std::size_t i);
  /// What the newest commit record says.
  const stable_layout::commit_record& newest() const { return newest_; }
  void committed(const stable_layout::commit_record& r) { newest_ = r; }
  std::string trouble;

private:
  struct state_of_copy {
    stable_layout::commit_record commit;
    std::uint64_t records = 0, sum = 0;
    std::vector<std::string> broken;  ///< keys of records that are not sound
    bool whole() const { return broken.empty() && records == commit.records && sum == commit.sum; }
    /// Nothing is missing or stale but the broken records, which are known by name.
    bool complete() const { return records == commit.records && sum == commit.sum; }
  };
  std::string open_directory(const std::filesystem::path& directory, std::size_t i, bool& exists);
  std::string inspect_copy(const std::filesystem::path& file, bool& usable);
  state_of_copy examine(stable_copy& c);
  /// Makes `to` what `from` is. The number of records that were not.
  std::uint64_t equalise(stable_copy& from, stable_copy& to);
  /// Of each record the newest sound one, if that makes a whole. The number of records mended.
  std::uint64_t unite(const stable_layout::commit_record& goal, bool& whole);

  const stable_options options_;
  std::array<directory_lock, 2> locks_;
  std::array<std::unique_ptr<stable_copy>, 2> copies_;
  std::unique_ptr<stable_copy> retired_;  ///< not used any more; readers may be in it still
  stable_layout::commit_record newest_;
};

}  // namespace cohort::persistence
