#include "kv_support.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace kv_test {

using namespace std::chrono_literals;

// ---- replica --------------------------------------------------------------------------------------------------------

kv::bytes message_of(const words& argv) {
  const std::vector<std::string_view> views(argv.begin(), argv.end());
  auto message = kv::encode_command(views);
  INFO("not a command of the store: " << argv.front());
  REQUIRE(!message.empty());
  return message;
}

std::string replica::apply_message(const kv::bytes& message, int protocol) {
  cohort::delivery d;
  d.payload = message;
  d.position = ++position;
  d.time = cohort::wall_time(now_us);
  d.sender_incarnation = 7;
  cohort::reply answer;
  machine.apply(d, answer);
  std::string out;
  kv::render({reinterpret_cast<const char*>(answer.bytes().data()), answer.bytes().size()}, protocol, out);
  return out;
}

std::string replica::apply(const words& argv, int protocol) { return apply_message(message_of(argv), protocol); }

std::string replica::ask(const words& argv, int protocol, bool* needs_time) {
  const auto message = message_of(argv);
  cohort::reply answer;
  machine.query(std::span(message).subspan(1), answer);
  kv::answers all;
  REQUIRE(kv::decode_answers(answer.bytes(), all));
  REQUIRE(all.replies.size() == 1);
  if (needs_time != nullptr) *needs_time = all.replies[0].needs_time;
  std::string out;
  kv::render(all.replies[0].reply, protocol, out);
  return out;
}

std::uint64_t replica::token(const std::string& key) { return machine.keys().watch_token(key); }

namespace {

struct memory_sink : cohort::sink {
  std::vector<std::byte> bytes;
  void write(std::span<const std::byte> part) override { bytes.insert(bytes.end(), part.begin(), part.end()); }
};

struct memory_source : cohort::source {
  explicit memory_source(std::span<const std::byte> all) : rest(all) {}
  std::span<const std::byte> rest;
  void read(std::span<std::byte> out) override {
    if (out.size() > rest.size()) throw cohort::truncated_checkpoint("too short");
    std::copy_n(rest.begin(), out.size(), out.begin());
    rest = rest.subspan(out.size());
  }
  std::uint64_t left() const override { return rest.size(); }
};

}  // namespace

std::vector<std::byte> checkpoint_of(const kv::store& machine) {
  memory_sink out;
  machine.checkpoint(out);
  return std::move(out.bytes);
}

void restore_from(const std::vector<std::byte>& checkpoint, kv::store& machine) {
  memory_source in(checkpoint);
  machine.restore(in);
  CHECK(in.left() == 0);
}

// ---- directories and sockets ----------------------------------------------------------------------------------------

temporary_directory::temporary_directory() {
  auto pattern = (std::filesystem::temp_directory_path() / "cohort-kv-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

temporary_directory::~temporary_directory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

client::client(const std::string& unix_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  REQUIRE(unix_path.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, unix_path.c_str(), unix_path.size() + 1);
  fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd_);
    fd_ = -1;
  }
}

client::client(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

client::~client() {
  if (fd_ >= 0) close(fd_);
}

void client::send(std::string_view raw) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!raw.empty()) {
    const auto sent = ::send(fd_, raw.data(), raw.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      raw.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      pollfd p{fd_, POLLOUT, 0};
      poll(&p, 1, 100);
    } else {
      return;  // closed by the other side: `receive` will tell
    }
  }
}

bool client::more(std::chrono::steady_clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd p{fd_, POLLIN, 0};
  const int ready = left.count() > 0 ? poll(&p, 1, static_cast<int>(left.count())) : 0;
  INFO("no answer in time; so far: " << buffer_.substr(0, 200));
  REQUIRE(ready == 1);
  char piece[65536];
  const auto size = recv(fd_, piece, sizeof piece, 0);
  if (size > 0) buffer_.append(piece, static_cast<std::size_t>(size));
  return size > 0;
}

std::string client::receive(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::size_t size = 0;
  while ((size = kv::element_size(buffer_)) == 0)
    if (!more(deadline)) return {};
  auto reply = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return reply;
}

bool client::closed(std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (std::chrono::steady_clock::now() < deadline) {
    pollfd p{fd_, POLLIN, 0};
    if (poll(&p, 1, 100) != 1) continue;
    char piece[65536];
    if (recv(fd_, piece, sizeof piece, 0) <= 0) return true;
  }
  return false;
}

std::string encode(const words& argv) {
  auto raw = "*" + std::to_string(argv.size()) + "\r\n";
  for (const auto& word : argv) raw += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return raw;
}

std::string client::call(const words& argv) {
  send(encode(argv));
  return receive();
}

// ---- redis-server ---------------------------------------------------------------------------------------------------

std::unique_ptr<redis_process> redis_process::start() {
  std::unique_ptr<redis_process> result(new redis_process);
  const auto socket = result->directory_.path() + "/redis.sock";
  result->pid_ = fork();
  REQUIRE(result->pid_ >= 0);
  if (result->pid_ == 0) {
    if (const int null = open("/dev/null", O_RDWR); null >= 0) dup2(null, 1), dup2(null, 2);
    execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket.c_str(), "--save", "", "--appendonly",
           "no", "--dir", result->directory_.path().c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  for (const auto deadline = std::chrono::steady_clock::now() + 10s; std::chrono::steady_clock::now() < deadline;) {
    int status = 0;
    if (waitpid(result->pid_, &status, WNOHANG) == result->pid_) {
      result->pid_ = -1;
      return nullptr;
    }
    if (client probe(socket); probe.fd() >= 0 && probe.call({"PING"}) == "+PONG\r\n") return result;
    std::this_thread::sleep_for(10ms);
  }
  FAIL("redis-server does not answer");
  return nullptr;
}

redis_process::~redis_process() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace kv_test
