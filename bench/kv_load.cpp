// Load on Redis servers: `SET` of values of a given size, a given number in flight over some connections, each connection at
// one server. One thread, epoll. Prints one JSON line: writes per second, latency percentiles, answers other than OK.
//
//   kv_load PORTS CONNECTIONS DEPTH BYTES SECONDS [FIRST_KEY KEYS]
//
// PORTS is a list with commas. With KEYS given, the keys FIRST_KEY..FIRST_KEY+KEYS-1 are written once each and SECONDS is the limit.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

struct client {
  int fd = -1;
  std::string out;
  std::size_t written = 0;
  std::string in;
  std::deque<clock_type::time_point> asked;
};

int connect_to(int port) {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address)) fail("connect");
  int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return fd;
}

class load {
public:
  load(std::vector<int> ports, int connections, int depth, std::size_t bytes, double seconds, std::uint64_t first_key,
    std::uint64_t keys)
      : depth_(depth), value_(bytes, 'v'), next_(first_key), end_(keys ? first_key + keys : 0), seconds_(seconds) {
    std::mt19937_64 chance(7);  // incompressible enough that nobody profits
    for (auto& c : value_) c = static_cast<char>('!' + chance() % 90);
    poll_ = ::epoll_create1(0);
    for (int i = 0; i < connections; ++i) {
      auto c = std::make_unique<client>();
      c->fd = connect_to(ports[static_cast<std::size_t>(i) % ports.size()]);
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.ptr = c.get();
      if (::epoll_ctl(poll_, EPOLL_CTL_ADD, c->fd, &event)) fail("epoll_ctl");
      clients_.push_back(std::move(c));
    }
  }

  int run() {
    start_ = clock_type::now();
    for (auto& c : clients_) ask(*c);
    while (waiting_ > 0) {
      epoll_event events[256];
      int n = ::epoll_wait(poll_, events, 256, 10000);
      if (n < 0 && errno != EINTR) fail("epoll_wait");
      if (n == 0) {
        std::fprintf(stderr, "kv_load: no answer for 10 s\n");
        return 1;
      }
      for (int i = 0; i < n; ++i) {
        auto& c = *static_cast<client*>(events[i].data.ptr);
        if (!take(c)) return 1;
        ask(c);
      }
    }
    report();
    return 0;
  }

private:
  double elapsed() const { return std::chrono::duration<double>(clock_type::now() - start_).count(); }
  bool more() const { return end_ ? next_ < end_ && elapsed() < seconds_ : elapsed() < seconds_; }

  void ask(client& c) {
    while (c.asked.size() < static_cast<std::size_t>(depth_) && more()) {
      char key[32];
      auto number = end_ ? next_++ : next_++ % 100000;
      int length = std::snprintf(key, sizeof key, "bench:%012llu", static_cast<unsigned long long>(number));
      c.out += "*3\r\n$3\r\nSET\r\n$" + std::to_string(length) + "\r\n" + key + "\r\n$" + std::to_string(value_.size()) + "\r\n";
      c.out += value_;
      c.out += "\r\n";
      c.asked.push_back(clock_type::now());
      ++waiting_;
    }
    while (c.written < c.out.size()) {
      auto n = ::send(c.fd, c.out.data() + c.written, c.out.size() - c.written, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EAGAIN) break;
      if (n < 0) fail("send");
      c.written += static_cast<std::size_t>(n);
    }
    bool all = c.written == c.out.size();
    if (all) c.out.clear(), c.written = 0;
    epoll_event event{};
    event.events = EPOLLIN | (all ? 0u : static_cast<unsigned>(EPOLLOUT));
    event.data.ptr = &c;
    ::epoll_ctl(poll_, EPOLL_CTL_MOD, c.fd, &event);
  }

  bool take(client& c) {
    char data[65536];
    auto n = ::recv(c.fd, data, sizeof data, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) {
      std::fprintf(stderr, "kv_load: the server closed the connection\n");
      return false;
    }
    c.in.append(data, static_cast<std::size_t>(n));
    std::size_t at = 0;
    auto now = clock_type::now();
    for (std::size_t end; (end = c.in.find("\r\n", at)) != std::string::npos; at = end + 2) {
      taken_.push_back(std::chrono::duration<float, std::micro>(now - c.asked.front()).count());
      c.asked.pop_front();
      --waiting_;
      if (c.in.compare(at, 3, "+OK")) {
        if (++wrong_ == 1) std::fprintf(stderr, "kv_load: %s\n", c.in.substr(at, end - at).c_str());
      }
      last_ = now;
    }
    c.in.erase(0, at);
    return true;
  }

  void report() {
    std::sort(taken_.begin(), taken_.end());
    auto at = [&](double share) {
      return taken_.empty() ? 0.0 : static_cast<double>(taken_[static_cast<std::size_t>(share * static_cast<double>(taken_.size() - 1))]);
    };
    auto time = std::chrono::duration<double>(last_ - start_).count();
    std::printf("{\"writes\": %zu, \"wrong\": %zu, \"seconds\": %.3f, \"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
                "\"max_us\": %.1f}\n",
      taken_.size(), wrong_, time, static_cast<double>(taken_.size()) / time, at(0.5), at(0.99), at(1.0));
  }

  int poll_ = -1;
  int depth_;
  std::string value_;
  std::uint64_t next_, end_;
  double seconds_;
  clock_type::time_point start_, last_;
  std::vector<std::unique_ptr<client>> clients_;
  std::size_t waiting_ = 0, wrong_ = 0;
  std::vector<float> taken_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "kv_load PORTS CONNECTIONS DEPTH BYTES SECONDS [FIRST_KEY KEYS]\n");
    return 2;
  }
  std::vector<int> ports;
  std::istringstream list(argv[1]);
  for (std::string port; std::getline(list, port, ',');) ports.push_back(std::atoi(port.c_str()));
  load work(ports, std::atoi(argv[2]), std::atoi(argv[3]), static_cast<std::size_t>(std::atoll(argv[4])), std::atof(argv[5]),
    argc > 7 ? static_cast<std::uint64_t>(std::atoll(argv[6])) : 0, argc > 7 ? static_cast<std::uint64_t>(std::atoll(argv[7])) : 0);
  return work.run();
}
