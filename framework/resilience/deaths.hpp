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

/// One end of the process, and what it was executing then. Or the note that such an input is put aside.
struct death {
  enum class kind : std::uint8_t {
    input = 1,      ///< of a resilient process on its node's storage
    request = 2,    ///< of a primary/backup group
    put_aside = 3,  ///< no end: the input of that identity lies among the dead letters, and is refused from here on
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

/// What is known of one input.
struct toll {
  unsigned lives = 0;  ///< of the whole process, that it ended
  bool put_aside = false;
  std::string how;     ///< of the newest one
};

/// Deaths under numbers of whoever keeps them on disk. Pure.
///
/// LW4  An end is counted once, however often it is told: by its word.
/// LW5  An input that is executed to its end is innocent from there on: its deaths are struck out.
class death_table {
public:
  /// False if it is known already: then the number is not taken.
  bool add(std::uint64_t number, death d);
  bool knows(const death& d) const;
  toll of(std::uint64_t identity) const;
  /// The numbers that are not needed any more: of an input; of what was found before `since`.
  std::vector<std::uint64_t> forget(std::uint64_t identity);
  std::vector<std::uint64_t> expire(wall_time since);
  void remove(std::uint64_t number);
  const std::map<std::uint64_t, death>& all() const { return all_; }

private:
  std::map<std::uint64_t, death> all_;
  std::unordered_multimap<std::uint64_t, std::uint64_t> by_identity_;
};

}  // namespace cohort::resilience
