#include "name_server.hpp"

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>

namespace transport_nodes {
namespace {

constexpr unsigned type_a = 1, type_srv = 33;

std::string u16(unsigned n) { return {static_cast<char>(n >> 8), static_cast<char>(n)}; }

std::string wire_name(const std::string& name) {
  std::string out;
  for (std::size_t at = 0; at < name.size();) {
    const auto dot = std::min(name.find('.', at), name.size());
    out += static_cast<char>(dot - at) + name.substr(at, dot - at);
    at = dot + 1;
  }
  return out + '\0';
}

}  // namespace

name_server::name_server() {
  fd_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) == 0);
  socklen_t length = sizeof a;
  REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &length) == 0);
  port_ = ntohs(a.sin_port);
  const timeval wait{0, 20'000};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  thread_ = std::thread([this] { serve(); });
}

name_server::~name_server() {
  ended_ = true;
  thread_.join();
  ::close(fd_);
}

void name_server::host(const std::string& name, std::vector<std::string> ipv4) {
  std::lock_guard guard(mutex_);
  hosts_[name] = std::move(ipv4);
}

void name_server::records(const std::string& name, std::vector<service> list) {
  std::lock_guard guard(mutex_);
  services_[name] = std::move(list);
}

void name_server::silent(const std::string& name) {
  std::lock_guard guard(mutex_);
  silent_.push_back(name);
}

void name_server::mangle(std::function<void(std::string&)> change) {
  std::lock_guard guard(mutex_);
  mangle_ = std::move(change);
}

void name_server::serve() {
  char room[2048];
  while (!ended_) {
    sockaddr_in from{};
    socklen_t length = sizeof from;
    const auto count = ::recvfrom(fd_, room, sizeof room, 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (count < 17) continue;
    ++asked_;
    const auto reply = answer(std::string(room, static_cast<std::size_t>(count)));
    if (!reply.empty()) ::sendto(fd_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
  }
}

std::string name_server::answer(const std::string& question) {
  std::string name;
  std::size_t at = 12;
  while (at < question.size() && question[at] != 0) {
    const auto size = static_cast<unsigned char>(question[at]);
    name += (name.empty() ? "" : ".") + question.substr(at + 1, size);
    at += 1u + size;
  }
  if (at + 5 > question.size()) return {};
  const unsigned type = static_cast<unsigned char>(question[at + 1]) << 8 | static_cast<unsigned char>(question[at + 2]);

  std::lock_guard guard(mutex_);
  if (std::ranges::find(silent_, name) != silent_.end()) return {};
  std::string records;
  unsigned count = 0;
  const auto add = [&](unsigned kind, const std::string& data) {
    records += u16(0xc00c) + u16(kind) + u16(1) + u16(0) + u16(1) + u16(static_cast<unsigned>(data.size())) + data;
    ++count;
  };
  const auto h = hosts_.find(name);
  const auto s = services_.find(name);
  if (h != hosts_.end() && type == type_a)
    for (const auto& ip : h->second) {
      in_addr a{};
      REQUIRE(::inet_pton(AF_INET, ip.c_str(), &a) == 1);
      add(type_a, std::string(reinterpret_cast<const char*>(&a), 4));
    }
  if (s != services_.end() && type == type_srv)
    for (const auto& r : s->second) add(type_srv, u16(r.priority) + u16(r.weight) + u16(r.port) + wire_name(r.target));
  const bool known = (h != hosts_.end() && !h->second.empty()) || (s != services_.end() && !s->second.empty());
  auto reply = question.substr(0, 2) + u16(known ? 0x8180 : 0x8183) + u16(1) + u16(count) + u16(0) + u16(0) +
               question.substr(12, at + 5 - 12) + records;
  if (mangle_) mangle_(reply);
  return reply;
}

}  // namespace transport_nodes
