#pragma once

#include <cohort/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

/// Inputs that brought the whole operating system's process down, and how often.
namespace cohort::resilience {

/// One end of the process, and what it was executing then. Or a note that is no end.
struct death {
  enum class kind : std::uint8_t {
    input = 1,       ///< of a resilient process on its node's storage
    request = 2,     ///< of a primary/backup group
    put_aside = 3,   ///< no end: the input of that identity lies among the dead letters, and is refused from here on
    threw = 4,       ///< no end: the same, since it threw each time; `how` is what
    redo = 5,        ///< of a resilient process that redid the event at `position` of its journal
    checkpoint = 6,  ///< of one that read its checkpoint of that position
    tally = 7,       ///< no end: so many ends (`number`) were counted on this node
  };
  kind what{};
  std::array<std::uint64_t, 3> word{};  ///< under which it was found; no other end has the same
  wall_time time{0};                    ///< when it was found
  std::string process;                  ///< or group
  std::string from;                     ///< who sent the input; empty: without a name
  std::uint64_t number = 0;             ///< the sender's
  std::uint64_t position = 0;           ///< in the group's order
  std::uint64_t activation = 0;         ///< life of the process, or office of the group's primary
  std::uint64_t identity = 0;           ///< digest of process, sender, number and body
  std::uint64_t body_bytes = 0;
  std::string excerpt;                  ///< of the body, its beginning
  std::string how;                      ///< the process ended, as far as it is known: "by signal 6"
};

std::string encode(const death& d);
/// Nothing for what is no death.
std::optional<death> decode_death(std::string_view bytes);

/// What is known of one input, or one place of a journal.
struct toll {
  unsigned lives = 0;  ///< of the whole process, that it ended
  bool put_aside = false;
  bool threw = false;  ///< that is why it is put aside
  std::string how;     ///< of the newest one
};

/// A place of a journal, and what is known of it.
struct deadly_place {
  std::uint64_t position = 0;
  toll what;
};

/// Deaths under numbers of whoever keeps them on disk. Pure.
///
/// LW4  An end is counted once, however often it is told: by its word.
/// LW5  An input that is executed to its end is innocent from there on: its deaths are struck out. So are those of a journal which
///      is redone to its end.
class death_table {
public:
  /// False if it is known already: then the number is not taken.
  bool add(std::uint64_t number, death d);
  bool knows(const death& d) const;
  toll of(std::uint64_t identity) const;
  /// The place of this process's journal that ended most lives when it was redone; the first one of several.
  std::optional<deadly_place> worst_place(std::string_view process) const;
  /// The numbers that are not needed any more: of an input; of all places of a journal and its checkpoints; of what was found before
  /// `since`, tallies excepted.
  std::vector<std::uint64_t> forget(std::uint64_t identity);
  std::vector<std::uint64_t> forget_places(std::string_view process);
  std::vector<std::uint64_t> expire(wall_time since);
  void remove(std::uint64_t number);
  const std::map<std::uint64_t, death>& all() const { return all_; }

private:
  std::map<std::uint64_t, death> all_;
  std::unordered_multimap<std::uint64_t, std::uint64_t> by_identity_;
};

}  // namespace cohort::resilience
