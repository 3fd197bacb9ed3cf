#include "persistence/letter_box.hpp"

#include "persistence/journal.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace cohort::persistence {
namespace {

// Record: magic u32, kind u8, 3 bytes 0, length u64, number u64, checksum u64 of all that and the body; then the body.
// In the machine's byte order, which x86-64 and all others we run on share.
constexpr std::uint32_t magic = 0x4c544f43;  // "COTL"
enum kind : std::uint8_t { letter = 1, dropped = 2 };
constexpr std::size_t head_bytes = 32;
constexpr std::size_t garbage_max = 1u << 20;

std::uint64_t checksum_of(std::span<const std::byte> head, std::span<const std::byte> body) {
  std::vector<std::byte> all(head.begin(), head.begin() + 24);
  all.insert(all.end(), body.begin(), body.end());
  return checksum(all, 0);
}

std::vector<std::byte> record(std::uint8_t kind, std::uint64_t number, std::span<const std::byte> body) {
  std::vector<std::byte> out(head_bytes + body.size());
  const std::uint64_t length = body.size();
  std::memcpy(out.data(), &magic, 4);
  std::memcpy(out.data() + 4, &kind, 1);
  std::memcpy(out.data() + 8, &length, 8);
  std::memcpy(out.data() + 16, &number, 8);
  const auto sum = checksum_of(std::span(out).first(head_bytes), body);
  std::memcpy(out.data() + 24, &sum, 8);
  if (!body.empty()) std::memcpy(out.data() + head_bytes, body.data(), body.size());
  return out;
}

struct contents {
  std::map<std::uint64_t, std::vector<std::byte>> letters;
  std::uint64_t newest = 0;
  std::size_t sound_bytes = 0;  ///< up to the end of the last sound record
  std::size_t damage = 0;
};

/// Goes from record to record; behind a bad one it looks for the next magic number.
contents parse(std::span<const std::byte> file) {
  contents found;
  std::size_t at = 0;
  bool in_damage = false;
  while (at + head_bytes <= file.size()) {
    const auto head = file.subspan(at, head_bytes);
    std::uint32_t mark = 0;
    std::uint8_t what = 0;
    std::uint64_t length = 0, number = 0, sum = 0;
    std::memcpy(&mark, head.data(), 4);
    std::memcpy(&what, head.data() + 4, 1);
    std::memcpy(&length, head.data() + 8, 8);
    std::memcpy(&number, head.data() + 16, 8);
    std::memcpy(&sum, head.data() + 24, 8);
    const bool fits = mark == magic && length <= file.size() - at - head_bytes;
    const auto body = fits ? file.subspan(at + head_bytes, length) : std::span<const std::byte>();
    if (!fits || checksum_of(head, body) != sum) {
      if (!in_damage) ++found.damage;
      in_damage = true;
      ++at;
      continue;
    }
    in_damage = false;
    found.newest = std::max(found.newest, number);
    if (what == letter)
      found.letters[number].assign(body.begin(), body.end());
    else
      found.letters.erase(number);
    at += head_bytes + length;
    found.sound_bytes = at;
  }
  if (in_damage) --found.damage;  // a torn end is no damage
  return found;
}

std::optional<std::vector<std::byte>> read_all(int fd) {
  std::vector<std::byte> bytes;
  std::byte part[65536];
  for (::lseek(fd, 0, SEEK_SET);;) {
    const auto n = ::read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) return bytes;
    bytes.insert(bytes.end(), part, part + n);
  }
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return true;
}

bool flush_folder(const std::filesystem::path& file) {
  const int folder = ::open(file.parent_path().empty() ? "." : file.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return false;
  const bool done = ::fsync(folder) == 0;
  ::close(folder);
  return done;
}

}  // namespace

letter_box::letter_box(std::filesystem::path file, letter_box_options options) : file_(std::move(file)), options_(options) {
  if (!file_.empty()) open();
}

letter_box::~letter_box() {
  if (fd_ >= 0) ::close(fd_);
}

void letter_box::open() {
  fd_ = ::open(file_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  if (fd_ < 0) return fail("cannot be opened");
  const auto bytes = read_all(fd_);
  if (!bytes) return fail("cannot be read");
  auto found = parse(*bytes);
  letters_ = std::move(found.letters);
  for (auto& [number, body] : letters_) bytes_ += body.size();
  next_ = found.newest + 1;
  file_bytes_ = found.sound_bytes;
  if (bytes->size() > found.sound_bytes && ::ftruncate(fd_, static_cast<off_t>(found.sound_bytes)) != 0)
    fail("has a torn end that cannot be cut off");
  if (found.damage > 0)
    trouble_ = file_.string() + " has " + std::to_string(found.damage) +
               " damaged places; the letters there are lost, all others are kept. Check the disk";
  flush_folder(file_);
}

std::uint64_t letter_box::put(std::span<const std::byte> body) {
  std::lock_guard guard(mutex_);
  if (body.size() > options_.bytes_max || options_.letters_max == 0) return 0;
  while (!letters_.empty() && (letters_.size() >= options_.letters_max || bytes_ + body.size() > options_.bytes_max)) {
    const auto oldest = letters_.begin();
    append(dropped, oldest->first, {});
    bytes_ -= oldest->second.size();
    letters_.erase(oldest);
    ++crowded_out_;
  }
  const auto number = next_++;
  letters_[number].assign(body.begin(), body.end());
  bytes_ += body.size();
  append(letter, number, body);
  rewrite();
  return number;
}

bool letter_box::drop(std::uint64_t number) {
  std::lock_guard guard(mutex_);
  const auto known = letters_.find(number);
  if (known == letters_.end()) return false;
  bytes_ -= known->second.size();
  letters_.erase(known);
  append(dropped, number, {});
  rewrite();
  return true;
}

std::map<std::uint64_t, std::vector<std::byte>> letter_box::all() const {
  std::lock_guard guard(mutex_);
  return letters_;
}

std::uint64_t letter_box::crowded_out() const {
  std::lock_guard guard(mutex_);
  return crowded_out_;
}

std::string letter_box::trouble() const {
  std::lock_guard guard(mutex_);
  return trouble_;
}

std::map<std::uint64_t, std::vector<std::byte>> letter_box::read(const std::filesystem::path& file, std::size_t& damage,
                                                                 std::string& error) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  const auto bytes = fd < 0 ? std::nullopt : read_all(fd);
  if (!bytes) error = file.string() + " cannot be read: " + std::strerror(errno);
  if (fd >= 0) ::close(fd);
  if (!bytes) return {};
  auto found = parse(*bytes);
  damage = found.damage;
  return std::move(found.letters);
}

bool letter_box::append(std::uint8_t kind, std::uint64_t number, std::span<const std::byte> body) {
  if (fd_ < 0) return file_.empty();
  const auto bytes = record(kind, number, body);
  if (!write_all(fd_, bytes) || ::fdatasync(fd_) != 0) {
    fail("cannot be written");
    // Half a record would hide those behind it from a reader that trusts the first one's length.
    (void)!::ftruncate(fd_, static_cast<off_t>(file_bytes_));
    return false;
  }
  file_bytes_ += bytes.size();
  return true;
}

/// Once most of the file is letters that are gone, it is written anew beside and put in its place.
void letter_box::rewrite() {
  if (fd_ < 0 || file_bytes_ < garbage_max + 2 * (bytes_ + letters_.size() * head_bytes)) return;
  auto fresh = file_;
  fresh += ".new";
  const int fd = ::open(fresh.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640);
  std::uint64_t written = 0;
  bool good = fd >= 0;
  // The newest number must not be given again, even if its letter is gone.
  auto put_down = [&](std::uint8_t kind, std::uint64_t number, std::span<const std::byte> body) {
    const auto bytes = record(kind, number, body);
    good = good && write_all(fd, bytes);
    written += bytes.size();
  };
  put_down(dropped, next_ - 1, {});
  for (auto& [number, body] : letters_) put_down(letter, number, body);
  good = good && ::fdatasync(fd) == 0 && ::rename(fresh.c_str(), file_.c_str()) == 0 && flush_folder(file_);
  if (!good) {
    fail("cannot be written anew");
    if (fd >= 0) ::close(fd);
    return;
  }
  ::close(fd_);
  fd_ = fd;
  file_bytes_ = written;
}

void letter_box::fail(const std::string& what) {
  trouble_ = file_.string() + " " + what + ": " + std::strerror(errno) +
             "; dead letters are kept in memory only. Free or repair the disk, then restart the node";
}

}  // namespace cohort::persistence
