#include "tests/unit/persistence_disk.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <utility>

namespace cohort::persistence::disk {
namespace {

std::mutex mutex;
std::vector<event> events;
std::map<int, std::uint64_t> positions;  // of descriptors, which LMDB sets before it writes several pages
std::function<void()> at_flush;
std::vector<std::string> directories;
std::atomic<bool> recording = false;
std::atomic<fault> injected = fault::none;

std::string name_of(int fd) {
  char path[4096];
  const auto n = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  return {path, n > 0 ? static_cast<std::size_t>(n) : 0};
}

bool is_journal(int fd) {
  const auto name = name_of(fd);
  return name.ends_with("/journal.mdb") || name.ends_with("/stable.mdb");
}

void add(event::kind what, std::uint64_t offset, std::string bytes) {
  const std::lock_guard lock(mutex);
  events.push_back({what, offset, std::move(bytes)});
}

/// False if the call has to fail, with errno set.
bool may_write(int fd) {
  const auto f = injected.load();
  if ((f != fault::no_space && f != fault::write_fails) || !is_journal(fd)) return true;
  errno = f == fault::no_space ? ENOSPC : EIO;
  return false;
}

void flush_begins() {
  std::function<void()> action;
  {
    const std::lock_guard lock(mutex);
    action.swap(at_flush);
  }
  if (action) action();
}

void wrote(int fd, std::uint64_t offset, std::string bytes) {
  add(event::kind::write, offset, std::move(bytes));
  if (::fcntl(fd, F_GETFL) & O_DSYNC) add(event::kind::barrier, 0, {});
}

}  // namespace

void record() {
  const std::lock_guard lock(mutex);
  events.clear();
  recording = true;
}

void note(std::uint64_t value) {
  if (recording) add(event::kind::note, value, {});
}

std::vector<event> stop() {
  const std::lock_guard lock(mutex);
  recording = false;
  return std::move(events);
}

void during_next_flush(std::function<void()> action) {
  const std::lock_guard lock(mutex);
  at_flush = std::move(action);
}

std::vector<std::string> flushed_directories() {
  const std::lock_guard lock(mutex);
  return std::exchange(directories, {});
}

void inject(fault f) { injected = f; }

}  // namespace cohort::persistence::disk

using namespace cohort::persistence::disk;

// Named by their labels: headers may redirect the plain names to others for files beyond 2 GiB.
extern "C" {
ssize_t seen_pwrite(int fd, const void* bytes, std::size_t size, off_t offset) __asm__("pwrite");
ssize_t seen_writev(int fd, const iovec* parts, int count) __asm__("writev");
off_t seen_lseek(int fd, off_t offset, int from) __asm__("lseek");
int seen_fdatasync(int fd) __asm__("fdatasync");
int seen_fsync(int fd) __asm__("fsync");

ssize_t seen_pwrite(int fd, const void* bytes, std::size_t size, off_t offset) {
  if (!may_write(fd)) return -1;
  const auto n = ::syscall(SYS_pwrite64, fd, bytes, size, offset);
  if (recording && n > 0 && is_journal(fd))
    wrote(fd, static_cast<std::uint64_t>(offset), {static_cast<const char*>(bytes), static_cast<std::size_t>(n)});
  return n;
}

ssize_t seen_writev(int fd, const iovec* parts, int count) {
  if (!may_write(fd)) return -1;
  const auto n = ::syscall(SYS_writev, fd, parts, count);
  if (recording && n > 0 && is_journal(fd)) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
    bytes.resize(static_cast<std::size_t>(n));
    std::uint64_t offset = 0;
    {
      const std::lock_guard lock(mutex);
      offset = positions[fd];
      positions[fd] += static_cast<std::uint64_t>(n);
    }
    wrote(fd, offset, std::move(bytes));
  }
  return n;
}

off_t seen_lseek(int fd, off_t offset, int from) {
  const auto at = ::syscall(SYS_lseek, fd, offset, from);
  if (recording && at >= 0 && is_journal(fd)) {
    const std::lock_guard lock(mutex);
    positions[fd] = static_cast<std::uint64_t>(at);
  }
  return at;
}

int seen_fdatasync(int fd) {
  if ((injected == fault::flush_fails || injected == fault::one_flush_fails) && is_journal(fd)) {
    if (injected == fault::one_flush_fails) injected = fault::none;
    errno = EIO;
    return -1;
  }
  if (recording && is_journal(fd)) flush_begins();
  const auto result = static_cast<int>(::syscall(SYS_fdatasync, fd));
  if (recording && result == 0 && is_journal(fd)) add(event::kind::barrier, 0, {});
  return result;
}

int seen_fsync(int fd) {
  const auto result = static_cast<int>(::syscall(SYS_fsync, fd));
  const std::lock_guard lock(mutex);
  if (result == 0) directories.push_back(name_of(fd));
  return result;
}
}
