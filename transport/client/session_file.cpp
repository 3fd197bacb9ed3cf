#include "transport/client/session_file.hpp"

#include "transport/checksum.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace cohort::client_detail {

namespace {
constexpr std::uint32_t format = 1;
constexpr std::size_t records_written_anew = 16'384;  ///< then acknowledged ones are dropped
enum class kind : std::uint16_t { head = 1, life, life_ended, life_over, given, acknowledged };
}  // namespace

/// As it lies in the file, in this machine's order of bytes.
struct session_file::record {
  kind what{};
  std::uint16_t more = 0;   ///< records of the same flush behind it
  std::uint32_t flush = 0;  ///< counted from 1 since the file was written anew
  std::uint64_t a = 0, b = 0, c = 0, d = 0;
  std::uint64_t check = 0;

  std::uint64_t sum() const { return transport::checksum(std::as_bytes(std::span(this, 1)).first(offsetof(record, check)), format); }
};

session_file::session_file(const std::string& path, const std::string& group)
    : path_(path), group_(transport::checksum(std::as_bytes(std::span(group)))) {
  static_assert(sizeof(record) == 48 && std::is_trivially_copyable_v<record>);
  for (;;) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) fail("opening it");
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      ::close(fd_);
      throw std::runtime_error("session file " + path + ": another client has it open, in this process or another one");
    }
    struct stat mine{}, there{};
    if (::fstat(fd_, &mine) == 0 && ::stat(path.c_str(), &there) == 0 && mine.st_ino == there.st_ino) break;
    ::close(fd_);  // the one who had it wrote it anew meanwhile
  }
  try {
    struct stat mine{};
    if (::fstat(fd_, &mine) != 0) fail("reading it");
    std::vector<record> all(static_cast<std::size_t>(mine.st_size) / sizeof(record));
    if (all.empty() && mine.st_size > 0) throw std::runtime_error(path + " is no session file");
    const auto bytes = std::as_writable_bytes(std::span(all));
    for (std::size_t at = 0; at < bytes.size();) {
      const auto got = ::pread(fd_, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
      if (got <= 0) fail("reading it");
      at += static_cast<std::size_t>(got);
    }
    if (!all.empty() && (all[0].what != kind::head || all[0].check != all[0].sum()))
      throw std::runtime_error(path + " is no session file, or is damaged");
    load(all);
    write_anew();
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

session_file::~session_file() { ::close(fd_); }

void session_file::fail(const char* what) {
  trouble_ = "session file " + path_ + ": " + what + " failed: " + std::strerror(errno);
  throw std::runtime_error(trouble_);
}

/// What the last flush did not complete is not there: nothing of it left. Anything else that is missing was there once.
void session_file::load(std::span<const record> all) {
  std::size_t good = 0;
  while (good < all.size() && all[good].check == all[good].sum()) take(all[good++]);
  const auto last_flush = good == 0 ? 0 : all[good - 1].flush + (all[good - 1].more > 0 ? 0 : 1);
  for (auto i = good; i < all.size(); ++i)
    if (all[i].check == all[i].sum() && all[i].flush != last_flush)
      throw std::runtime_error("session file " + path_ + " is damaged at byte " + std::to_string(good * sizeof(record)) +
                               ": which requests were sent is not known any more");
}

void session_file::take(const record& r) {
  switch (r.what) {
    case kind::head:
      if (r.a != format) throw std::runtime_error("session file " + path_ + " was written by another version");
      if (r.b != group_) throw std::runtime_error("session file " + path_ + " is of a client of another group");
      next_ = std::max(next_, r.c);
      break;
    case kind::life: before_.push_back({r.a, r.b, r.c, r.d}); break;
    case kind::life_ended:
      for (auto& l : before_) l.ended = l.ended || l.birth == r.a;
      break;
    case kind::life_over: std::erase_if(before_, [&](const life& l) { return l.high == r.a && l.low == r.b && l.birth == r.c; }); break;
    case kind::given:
      requests_[r.a] = {r.b, r.c};
      next_ = std::max(next_, r.a + 1);
      break;
    case kind::acknowledged: requests_.erase(r.a); break;
  }
}

std::optional<session_file::request> session_file::find(std::uint64_t number) const {
  const auto known = requests_.find(number);
  return known == requests_.end() ? std::nullopt : std::optional(known->second);
}

std::uint64_t session_file::lowest(std::uint64_t from) const {
  const auto known = requests_.lower_bound(from);
  return known == requests_.end() ? next_ : known->first;
}

std::uint64_t session_file::lowest_of(std::uint64_t birth) const {
  const auto known = std::ranges::find(requests_, birth, [](const auto& each) { return each.second.birth; });
  return known == requests_.end() ? 0 : known->first;
}

std::vector<std::uint64_t> session_file::unacknowledged() const {
  std::vector<std::uint64_t> all;
  for (const auto& [number, what] : requests_) all.push_back(number);
  return all;
}

void session_file::add(const record& r) { unwritten_.push_back(r); }

void session_file::opened(const life& mine) {
  mine_ = mine;
  add({kind::life, 0, 0, mine.high, mine.low, mine.birth, mine.first});
}

void session_file::closed(const life& former) {
  add({kind::life_over, 0, 0, former.high, former.low, former.birth});
  take(unwritten_.back());
}

void session_file::ended() {
  if (mine_) add({kind::life_ended, 0, 0, mine_->birth});
}

void session_file::given(std::uint64_t number, const request& what) {
  add({kind::given, 0, 0, number, what.digest, what.birth});
  take(unwritten_.back());
}

void session_file::acknowledged(std::uint64_t number) {
  if (!requests_.contains(number)) return;
  add({kind::acknowledged, 0, 0, number});
  take(unwritten_.back());
}

namespace {

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return true;
}

}  // namespace

void session_file::seal(std::span<record> all) {
  ++flushes_;
  auto more = all.size();
  for (auto& r : all) {
    r.more = static_cast<std::uint16_t>(std::min<std::size_t>(--more, UINT16_MAX));
    r.flush = flushes_;
    r.check = r.sum();
  }
}

void session_file::flush() {
  if (!trouble_.empty()) throw std::runtime_error(trouble_);
  if (unwritten_.empty()) return;
  if (records_ + unwritten_.size() > records_written_anew + 4 * requests_.size()) return write_anew();
  seal(unwritten_);
  if (!write_all(fd_, std::as_bytes(std::span(unwritten_)))) fail("writing it");
  if (::fdatasync(fd_) != 0) fail("flushing it");
  records_ += unwritten_.size();
  unwritten_.clear();
}

/// Without what is over, beside the old one, whose place it takes once it is whole.
void session_file::write_anew() {
  std::vector<record> all{{kind::head, 0, 0, format, group_, next_}};
  for (const auto& l : before_) {
    all.push_back({kind::life, 0, 0, l.high, l.low, l.birth, l.first});
    if (l.ended) all.push_back({kind::life_ended, 0, 0, l.birth});
  }
  if (mine_) all.push_back({kind::life, 0, 0, mine_->high, mine_->low, mine_->birth, mine_->first});
  for (const auto& [number, what] : requests_) all.push_back({kind::given, 0, 0, number, what.digest, what.birth});
  flushes_ = 0;
  seal(all);
  const auto beside = path_ + ".new";
  const int fd = ::open(beside.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) fail("writing it anew");
  const bool good = ::flock(fd, LOCK_EX | LOCK_NB) == 0 && write_all(fd, std::as_bytes(std::span(all))) && ::fsync(fd) == 0 &&
                    ::rename(beside.c_str(), path_.c_str()) == 0;
  if (!good) {
    const int why = errno;
    ::close(fd);
    errno = why;
    fail("writing it anew");
  }
  ::close(std::exchange(fd_, fd));
  auto folder = std::filesystem::path(path_).parent_path();
  const int in = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool kept = in >= 0 && ::fsync(in) == 0;
  if (in >= 0) ::close(in);
  if (!kept) fail("flushing its folder");
  records_ = all.size();
  unwritten_.clear();
}

}  // namespace cohort::client_detail
