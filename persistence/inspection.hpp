#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace cohort::persistence {

/// Checks the structure of an LMDB data file (format 1, 64 bit) without mapping it and without LMDB, which believes what
/// it reads: a zeroed page makes it abort, a short file ends in SIGBUS, a rotten free list silently overwrites data.
/// Every access here is bounds-checked, so any file may be given.
///
/// Checked: both meta pages; file length; for every page of every tree its number, kind, node layout, key order, the
/// bounds its parent gives it, and the tree's own counters; that no page is used twice or both used and free; and that
/// the `commit` record found below each meta page names that meta page's transaction. The last is what notices a
/// rotten transaction number, which would make LMDB go back to an older state as if nothing had happened.
/// Not checked: the values, whose checksums are their readers' business.
struct inspection {
  std::string damage;              ///< empty = sound
  std::size_t page_bytes = 0;
  std::uint64_t transaction = 0;   ///< the newest one
  std::uint64_t file_bytes = 0;
  std::uint64_t last_page = 0;
  std::uint64_t free_pages = 0;
};

/// Takes the value of the `commit` record and returns its transaction number, or nothing if the value is not sound.
/// `judge_older` tells whether the older meta page must be in order, too; under `one_flush` a power cut may leave it
/// pointing into overwritten pages.
struct commit_facts {
  bool sound = false;
  std::uint64_t transaction = 0;
  bool judge_older = true;
};
using commit_parser = std::function<commit_facts(std::span<const std::byte>)>;

/// `fd` is open for reading. `commit_key` is the key of the commit record in the unnamed database.
inspection inspect(int fd, std::string_view commit_key, const commit_parser& parse);

}  // namespace cohort::persistence
