#include "transport/file_watch.hpp"

#include "transport/socket.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>

namespace cohort::transport {

namespace {

constexpr std::uint32_t changes = IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM |
                                  IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

// What tells one content of a path from another without reading it.
using stamp = std::tuple<dev_t, ino_t, off_t, time_t, long>;

std::optional<stamp> stamp_of(const std::filesystem::path& file) {
  struct stat s{};
  if (::stat(file.c_str(), &s) != 0) return std::nullopt;
  return stamp{s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec};
}

}  // namespace

file_reading read_file(const std::filesystem::path& file, std::size_t bytes_max) {
  const auto failure = [&] { return file_reading{{}, file.string() + " cannot be read: " + std::strerror(errno)}; };
  // A pipe or a device must not make the reader wait.
  unique_fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return failure();
  struct stat s{};
  if (::fstat(fd.get(), &s) != 0) return failure();
  if (!S_ISREG(s.st_mode)) return {{}, file.string() + " is no regular file"};
  std::string text;
  char some[16384];
  for (;;) {
    const auto count = ::read(fd.get(), some, sizeof some);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return failure();
    if (count == 0) return {std::move(text), {}};
    text.append(some, static_cast<std::size_t>(count));
    if (text.size() > bytes_max)
      return {{}, file.string() + " is larger than " + std::to_string(bytes_max) + " bytes"};
  }
}

class file_watch::worker final : fd_handler {
public:
  worker(std::filesystem::path file, std::function<void(const file_reading&)> told, options how)
      : file_(std::move(file)),
        name_(file_.filename()),
        told_(std::move(told)),
        how_(how),
        notify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)),
        settled_(loop_, [this] { look(true); }),
        again_(loop_, [this] { look(false); }) {
    if (notify_) loop_.add(notify_.get(), EPOLLIN, *this);
    thread_ = std::thread([this] {
      look(true);
      loop_.run();
    });
  }
  ~worker() {
    loop_.stop();
    thread_.join();
  }

private:
  void look(bool read) {
    // Watched before it is read, so that no change falls between the two.
    if (notify_ && watched_ < 0) {
      const auto folder = file_.parent_path().empty() ? std::filesystem::path(".") : file_.parent_path();
      watched_ = ::inotify_add_watch(notify_.get(), folder.c_str(), changes);
      read = read || watched_ >= 0;
    }
    again_.set_after(how_.look_again);
    const auto before = stamp_of(file_);
    if (!read && before == stamp_) return;
    stamp_ = before;
    auto now = read_file(file_, how_.bytes_max);
    if (last_ && *last_ == now) return;
    last_ = std::move(now);
    told_(*last_);
  }

  void on_ready(std::uint32_t) override {
    alignas(inotify_event) char room[4096];
    bool ours = false;
    for (;;) {
      const auto count = ::read(notify_.get(), room, sizeof room);
      if (count <= 0) break;
      for (ssize_t at = 0; at < count;) {
        const auto* e = reinterpret_cast<const inotify_event*>(room + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + e->len);
        const std::string_view name = e->len > 0 ? e->name : "";
        // Kubernetes points a link `..data` beside the file elsewhere; the file itself does not change then.
        ours = ours || name.empty() || name == name_ || name.starts_with("..");
        if (e->mask & (IN_IGNORED | IN_MOVE_SELF | IN_DELETE_SELF)) {  // the folder itself: found again by its name
          if (e->mask & IN_MOVE_SELF) ::inotify_rm_watch(notify_.get(), watched_);
          watched_ = -1;
        }
      }
    }
    if (ours && !settled_.armed()) settled_.set_after(how_.settle);
  }

  const std::filesystem::path file_;
  const std::string name_;
  const std::function<void(const file_reading&)> told_;
  const options how_;
  loop loop_;
  unique_fd notify_;
  int watched_ = -1;
  std::optional<stamp> stamp_;
  std::optional<file_reading> last_;
  timer settled_, again_;
  std::thread thread_;
};

file_watch::file_watch(std::filesystem::path file, std::function<void(const file_reading&)> told, options how)
    : worker_(std::make_unique<worker>(std::move(file), std::move(told), how)) {}
file_watch::file_watch(std::filesystem::path file, std::function<void(const file_reading&)> told)
    : file_watch(std::move(file), std::move(told), options()) {}
file_watch::~file_watch() = default;

}  // namespace cohort::transport
