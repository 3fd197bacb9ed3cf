#pragma once

#include "framework/catalogue/group_table.hpp"

#include <functional>
#include <mutex>

namespace cohort::detail {

/// The table of created groups as this node knows it. Any thread.
class group_board {
public:
  catalogue::group_table now() const {
    std::lock_guard guard(mutex_);
    return table_;
  }
  /// Takes the table if it is newer, and tells: a replica of the catalogue that begins again goes through states that are over.
  void update(const catalogue::group_table& newer) {
    {
      std::lock_guard guard(mutex_);
      if (newer.version <= table_.version) return;
      table_ = newer;
    }
    std::lock_guard guard(telling_);
    if (tell_) tell_();
  }
  /// Called behind a change, by whoever made it; empty: nobody is told. Calls under way have ended when it returns.
  void on_change(std::function<void()> tell) {
    std::lock_guard guard(telling_);
    tell_ = std::move(tell);
  }

private:
  mutable std::mutex mutex_;  // guards what follows
  catalogue::group_table table_;
  std::mutex telling_;        // guards what follows
  std::function<void()> tell_;
};

}  // namespace cohort::detail
