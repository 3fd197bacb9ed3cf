#pragma once

#include "framework/resilience/deaths.hpp"
#include "framework/resilience/state.hpp"

#include "persistence/last_words.hpp"
#include "persistence/letter_box.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace cohort::detail {

class logger;

/// What brought this node's process down, input by input (docs/supervision.md): the slots in which it says what it executes, and
/// on disk how often an input was its last. Any thread; calls but `words` and `any` wait for the disk, and are made only where
/// there was such an end.
class death_book {
public:
  /// How long an end is remembered.
  static constexpr auto age_max = std::chrono::hours(24 * 30);

  explicit death_book(logger& log) : log_(log) {}

  /// Reads what the process before left in this directory, counts it, says it in the log, and keeps the own words there from
  /// here on. With `again` only if there is a file. Nothing the second time.
  void open(const std::filesystem::path& data, bool again);

  /// Where to say what is about to be executed; null: nowhere.
  persistence::last_words* words() const { return words_.load(std::memory_order_acquire); }
  /// Some input has ended a process.
  bool any() const { return any_.load(std::memory_order_relaxed); }

  /// By which an input is known again.
  static std::uint64_t identity_of(std::string_view process, const resilience::message& in);
  resilience::toll of(std::uint64_t identity) const;
  /// Why an input with this toll is refused.
  static std::string in_words(const resilience::toll& t);
  /// It was executed to its end.
  void survived(std::uint64_t identity);
  /// It lies among the dead letters: refused from here on, without another letter.
  void put_aside(std::string_view process, std::uint64_t identity);
  /// Somebody wants it to be executed once more, whatever it did. False if it did nothing.
  bool pardon(const resilience::message& in);

  /// What processes of this node died of while they executed requests of this group, and the group does not know yet.
  std::vector<resilience::death> untold(const std::string& group) const;
  void told(const std::string& group, std::uint64_t office, std::uint64_t position);

  /// What the process before was executing of this resilient process when it ended; empty: nothing. Told once.
  std::string obituary(const std::string& process);

private:
  void note(const persistence::last_words_found& found);
  void keep(resilience::death d);
  void drop(const std::vector<std::uint64_t>& letters);

  logger& log_;
  std::atomic<persistence::last_words*> words_{nullptr};
  std::atomic<bool> any_{false};
  std::unique_ptr<persistence::last_words> file_;  ///< `words_`
  mutable std::mutex mutex_;                       // guards all below
  std::unique_ptr<persistence::letter_box> box_;
  resilience::death_table table_;
  std::map<std::string, std::string> obituaries_;
};

}  // namespace cohort::detail
