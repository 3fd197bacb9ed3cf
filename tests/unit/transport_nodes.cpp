#include "transport_nodes.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace transport_nodes {

bool run_until(loop& l, const std::function<bool()>& done, std::chrono::milliseconds limit) {
  const auto end = loop::clock() + limit;
  while (!done()) {
    if (loop::clock() >= end) return false;
    l.run_once(std::chrono::milliseconds(1));
  }
  return true;
}

void run_for(loop& l, std::chrono::milliseconds how_long) {
  (void)run_until(l, [] { return false; }, how_long);
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
  socklen_t length = sizeof a;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&a), &length) == 0);
  ::close(fd);
  return ntohs(a.sin_port);
}

std::string node::start() {
  link = std::make_unique<endpoint>(loop_, config, *this);
  return link->start();
}

std::string node::restart() {
  link.reset();
  return start();
}

void node::on_message(std::uint32_t group, protocol::voter_id from, protocol::message&& what) {
  got g{group, from, std::move(what)};
  if (on_got) on_got(g);
  if (keep) messages.push_back(std::move(g));
}

void node::on_link_up(std::uint32_t group, protocol::voter_id peer, bool blank) { ups.push_back({group, peer, blank}); }

void node::on_link_down(member_id peer, bool reset) { downs.push_back({peer, reset, loop::clock()}); }

std::size_t node::count(link_event_kind kind) const {
  return static_cast<std::size_t>(std::ranges::count(events, kind, &link_event::kind));
}

std::string node::text(link_event_kind kind) const {
  for (auto i = events.rbegin(); i != events.rend(); ++i)
    if (i->kind == kind) return i->text;
  return {};
}

std::vector<endpoint_config> cluster(std::size_t n) {
  std::vector<endpoint_config> all(n);
  std::vector<founder> founders;
  for (std::size_t i = 0; i < n; ++i) {
    const auto m = member_id{static_cast<std::uint16_t>(i)};
    all[i].name = "n" + std::to_string(i + 1);
    all[i].member = m;
    all[i].directory_id = 1000 + i;
    all[i].listen = {"127.0.0.1", free_port()};
    all[i].groups = {{1, "g", 77, 500 + i, true}};
    founders.push_back({m, all[i].name, to_string(all[i].listen)});
  }
  for (auto& c : all) {
    c.founders = founders;
    for (const auto& other : all)
      if (other.member != c.member) c.peers.push_back({other.member, {other.listen}});
  }
  return all;
}

raw_socket::raw_socket(std::uint16_t port) {
  fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
}

raw_socket::~raw_socket() { ::close(fd); }

bool raw_socket::send(std::span<const std::byte> bytes) {
  return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

bool raw_socket::closed() {
  char some[4096];
  for (;;) {
    const auto count = ::recv(fd, some, sizeof some, MSG_DONTWAIT);
    if (count > 0)
      received.append(some, static_cast<std::size_t>(count));
    else
      return count == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  }
}

}  // namespace transport_nodes
