#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace cohort::persistence {

struct letter_box_options {
  std::size_t letters_max = 1000;      ///< the oldest goes when another comes
  std::size_t bytes_max = 16u << 20;   ///< of all letters; one that is larger by itself is refused
};

/// Letters (opaque bytes under numbers that only grow) which are few, and survive: a file of checksummed records beside the
/// journal, each flushed before `put` and `drop` return. A torn record at the end is what a power cut left: it is cut off. A
/// bad one before the end is damage: it is skipped and counted. Any thread; calls wait for the disk.
class letter_box {
public:
  /// `file` empty: in memory only. Never throws; what the file could not give is told by `trouble`.
  explicit letter_box(std::filesystem::path file, letter_box_options options = {});
  ~letter_box();
  letter_box(const letter_box&) = delete;
  letter_box& operator=(const letter_box&) = delete;

  /// The letter's number, 0 if it was refused. Kept in memory also where the disk refuses it, which `trouble` tells.
  std::uint64_t put(std::span<const std::byte> letter);
  /// False if there is none of that number.
  bool drop(std::uint64_t number);
  /// Oldest first.
  std::map<std::uint64_t, std::vector<std::byte>> all() const;
  /// Letters that went to make room, since the start.
  std::uint64_t crowded_out() const;
  /// Empty, or the newest trouble with the file: what, where, what to do.
  std::string trouble() const;

  /// The letters of a file that a node may have open, without changing anything. `damage` counts bad records. Empty and
  /// `error` set if it cannot be read.
  static std::map<std::uint64_t, std::vector<std::byte>> read(const std::filesystem::path& file, std::size_t& damage,
                                                              std::string& error);

private:
  void open();
  bool append(std::uint8_t kind, std::uint64_t number, std::span<const std::byte> body);
  void rewrite();
  void fail(const std::string& what);

  const std::filesystem::path file_;
  const letter_box_options options_;
  mutable std::mutex mutex_;  // guards all below
  int fd_ = -1;
  std::map<std::uint64_t, std::vector<std::byte>> letters_;
  std::size_t bytes_ = 0;
  std::uint64_t file_bytes_ = 0;
  std::uint64_t next_ = 1;
  std::uint64_t crowded_out_ = 0;
  std::string trouble_;
};

}  // namespace cohort::persistence
