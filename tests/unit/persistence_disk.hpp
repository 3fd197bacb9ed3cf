#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

/// The system calls by which LMDB writes, as seen from this test program: it defines them itself, passes them on to the
/// kernel, notes them, and can make them fail. The journal under test is the one that ships.
namespace cohort::persistence::disk {

struct event {
  enum class kind : std::uint8_t {
    write,    ///< `bytes` at `offset`; in the page cache
    barrier,  ///< everything written before is on the disk
    note,     ///< something the test put in between: `offset` says what
  };
  kind what{};
  std::uint64_t offset = 0;
  std::string bytes;
};

/// Notes what happens to files named `journal.mdb` or `stable.mdb` from here on.
void record();
/// Adds a note in the place it happened.
void note(std::uint64_t value);
std::vector<event> stop();

/// Runs `action` once, inside the next flush of a journal: what it appends waits when the commit returns.
void during_next_flush(std::function<void()> action);

/// Directories whose entries were flushed since the last call.
std::vector<std::string> flushed_directories();

enum class fault : std::uint8_t { none, flush_fails, one_flush_fails, no_space, write_fails };
/// From the next call of that kind on, until `none`; `one_flush_fails` only that one.
void inject(fault f);

}  // namespace cohort::persistence::disk
