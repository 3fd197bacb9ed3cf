#pragma once

#include "framework/resilience/deaths.hpp"
#include "framework/resilience/state.hpp"

#include "persistence/last_words.hpp"
#include "persistence/letter_box.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace cohort::detail {

class logger;
enum class log_level;

/// What became of inputs that killed, for whoever counts.
struct poison_figures {
  std::uint64_t threw = 0;    ///< put aside since they threw, since the start
  std::uint64_t ended = 0;    ///< put aside since they ended the whole process, since the start
  std::uint64_t refused = 0;  ///< came again after that, since the start
  std::uint64_t ends = 0;     ///< of the process by what it executed, over all its starts on this data directory
};

/// What is known of an input.
struct input_record : resilience::toll {
  bool condemned = false;  ///< refused, but its dead letter is not kept yet: who sent it must not forget it
};

/// What brought this node's process down, input by input (docs/supervision.md): the slots in which it says what it executes, and
/// on disk how often an input was its last, and which ones are refused. Any thread; calls but `words` and `any` wait for the disk,
/// and are made only where there was such an end.
class death_book {
public:
  /// How long an end is remembered.
  static constexpr auto age_max = std::chrono::hours(24 * 30);
  /// Inputs that are refused since they threw; of more, the oldest are given another chance.
  static constexpr std::size_t threw_max = 256;

  explicit death_book(logger& log) : log_(log) {}

  /// Reads what the process before left in this directory, counts it, says it in the log, and keeps the own words there from
  /// here on. With `again` only if there is a file. Nothing the second time.
  void open(const std::filesystem::path& data, bool again);

  /// Where to say what is about to be executed; null: nowhere.
  persistence::last_words* words() const { return words_.load(std::memory_order_acquire); }
  /// Something is known of some input.
  bool any() const { return any_.load(std::memory_order_relaxed); }

  /// By which an input is known again.
  static std::uint64_t identity_of(std::string_view process, const resilience::message& in);
  input_record of(std::uint64_t identity) const;
  /// Why an input with this toll is refused.
  static std::string in_words(const resilience::toll& t);
  /// It was executed to its end.
  void survived(std::uint64_t identity);
  /// It is put aside: refused from here on in this process.
  void condemn(std::uint64_t identity);
  /// It lies among the dead letters: refused from here on, without another letter. `threw`: what; empty: it ended processes.
  void put_aside(std::string_view process, std::uint64_t identity, const std::string& threw);
  /// Somebody wants it to be executed once more, whatever it did. True if it ended the whole process.
  bool pardon(std::uint64_t identity);

  // Journals that are redone.
  static std::uint64_t identity_of_place(std::string_view process, resilience::death::kind what, std::uint64_t position);
  /// The event of this process's journal that ended most lives when it was redone.
  std::optional<resilience::deadly_place> worst_place(std::string_view process) const;
  /// What reading this checkpoint of it has done.
  resilience::toll of_checkpoint(std::string_view process, std::uint64_t position) const;
  /// It was redone to its end, or somebody wants it to be tried again.
  void forget_places(std::string_view process);

  poison_figures figures() const;
  /// Counts, of a replicated process.
  void count_put_aside(bool ended) { ++(ended ? ended_ : threw_); }
  void count_refused() { ++refused_; }

  /// What processes of this node died of while they executed requests of this group, and the group does not know yet.
  std::vector<resilience::death> untold(const std::string& group) const;
  void told(const std::string& group, std::uint64_t office, std::uint64_t position);

  /// What the process before was executing of this resilient process when it ended; empty: nothing. Told once.
  std::string obituary(const std::string& process);

private:
  void note(const persistence::last_words_found& found);
  void note_place(const persistence::last_word& w, const std::string& ended, log_level level);
  void keep(resilience::death d);
  void drop(const std::vector<std::uint64_t>& letters);
  void count_end();
  void look_again();

  logger& log_;
  std::atomic<persistence::last_words*> words_{nullptr};
  std::atomic<bool> any_{false}, any_place_{false};
  std::atomic<std::uint64_t> threw_{0}, ended_{0}, refused_{0}, ends_{0};
  std::unique_ptr<persistence::last_words> file_;  ///< `words_`
  mutable std::mutex mutex_;                       // guards all below
  std::unique_ptr<persistence::letter_box> box_;
  resilience::death_table table_;
  std::set<std::uint64_t> condemned_;
  std::map<std::string, std::string> obituaries_;
};

}  // namespace cohort::detail
