// What the machine itself can do, measured beside everything else: a plain TCP stream from one sender to two receivers on
// loopback, and the round trip of one small message between two processes. Prints one JSON line.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

double seconds_since(clock_type::time_point start) {
  return std::chrono::duration<double>(clock_type::now() - start).count();
}

struct connection {
  int here = -1;
  int there = -1;
};

connection connect_pair() {
  int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) || ::listen(listener, 1) ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length))
    fail("listen");
  connection made;
  made.here = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(made.here, reinterpret_cast<sockaddr*>(&address), sizeof address)) fail("connect");
  made.there = ::accept(listener, nullptr, nullptr);
  ::close(listener);
  int one = 1;
  for (int end : {made.here, made.there}) ::setsockopt(end, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return made;
}

// Bytes per second that each of two receivers gets, `block` bytes a write.
double stream(std::size_t block, double seconds) {
  std::array<connection, 2> ways{connect_pair(), connect_pair()};
  std::array<pid_t, 2> children{};
  for (std::size_t i = 0; i < ways.size(); ++i) {
    children[i] = ::fork();
    if (children[i] < 0) fail("fork");
    if (children[i] == 0) {
      for (auto& way : ways) ::close(way.here);
      std::vector<char> into(256 << 10);
      while (::read(ways[i].there, into.data(), into.size()) > 0) {}
      ::_exit(0);
    }
  }
  for (auto& way : ways) ::close(way.there);
  std::vector<char> data(block, 'x');
  std::array<std::size_t, 2> sent{};
  auto start = clock_type::now();
  std::array<pollfd, 2> ready{pollfd{ways[0].here, POLLOUT, 0}, pollfd{ways[1].here, POLLOUT, 0}};
  while (seconds_since(start) < seconds) {
    if (::poll(ready.data(), ready.size(), 1000) < 0) fail("poll");
    for (std::size_t i = 0; i < ready.size(); ++i) {
      for (int burst = 0; burst < 16 && (ready[i].revents & POLLOUT); ++burst) {
        auto n = ::send(ways[i].here, data.data(), data.size(), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) fail("send");
        sent[i] += static_cast<std::size_t>(n);
      }
    }
  }
  for (auto& way : ways) ::close(way.here);
  for (auto child : children) ::waitpid(child, nullptr, 0);
  return static_cast<double>(std::min(sent[0], sent[1])) / seconds_since(start);
}

// Median round trip of 64 bytes, in microseconds.
double round_trip(int count) {
  auto way = connect_pair();
  auto child = ::fork();
  if (child < 0) fail("fork");
  char data[64] = {};
  if (child == 0) {
    ::close(way.here);
    while (::read(way.there, data, sizeof data) == sizeof data)
      if (::write(way.there, data, sizeof data) < 0) break;
    ::_exit(0);
  }
  ::close(way.there);
  std::vector<double> taken;
  for (int i = 0; i < count; ++i) {
    auto start = clock_type::now();
    if (::write(way.here, data, sizeof data) < 0 || ::read(way.here, data, sizeof data) <= 0) fail("round trip");
    taken.push_back(seconds_since(start) * 1e6);
  }
  ::close(way.here);
  ::waitpid(child, nullptr, 0);
  std::nth_element(taken.begin(), taken.begin() + count / 2, taken.end());
  return taken[static_cast<std::size_t>(count) / 2];
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = argc > 1 ? std::atof(argv[1]) : 2.0;
  auto rate = stream(64 << 10, seconds);
  std::printf("{\"stream_bytes\": %.0f, \"round_trip_us\": %.2f}\n", rate, round_trip(20000));
}
