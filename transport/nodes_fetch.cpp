// A process that is no member yet asks for the cluster's nodes, before there is an endpoint.
#include "transport/hello.hpp"
#include "transport/nodes.hpp"
#include "transport/resolver.hpp"
#include "transport/socket.hpp"

#include <poll.h>

#include <cerrno>
#include <cstring>

namespace cohort::transport {
namespace {

using clock = std::chrono::steady_clock;

/// One conversation, in bounded time.
class conversation {
public:
  conversation(unique_fd fd, clock::time_point end) : fd_(std::move(fd)), end_(end) {}

  bool connected() { return ready(POLLOUT) && connect_result(fd_.get()) == 0; }
  bool write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n > 0) bytes = bytes.subspan(static_cast<std::size_t>(n));
      else if (n == 0 || (errno != EINTR && (errno != EAGAIN || !ready(POLLOUT)))) return false;
    }
    return true;
  }
  bool read(std::span<std::byte> into) {
    while (!into.empty()) {
      const auto n = ::recv(fd_.get(), into.data(), into.size(), 0);
      if (n > 0) into = into.subspan(static_cast<std::size_t>(n));
      else if (n == 0 || (errno != EINTR && (errno != EAGAIN || !ready(POLLIN)))) return false;
    }
    return true;
  }

private:
  bool ready(short what) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - clock::now()).count();
    pollfd p{fd_.get(), what, 0};
    return left > 0 && ::poll(&p, 1, static_cast<int>(left)) > 0;
  }
  unique_fd fd_;
  const clock::time_point end_;
};

std::string ask(const endpoint_address& at, const std::string& name, clock::time_point end, cluster_nodes& out) {
  auto fd = connect_to(at);
  if (!fd) return std::strerror(errno);
  conversation c(std::move(fd), end);
  if (!c.connected()) return "nobody listens, or no answer in time";
  if (!c.write(encode_question(name).bytes)) return "it closed the connection";
  frame_header head;
  std::vector<std::uint64_t> block(frame_header_bytes / 8);
  if (!c.read(std::as_writable_bytes(std::span(block)))) return "it gave no answer: is it a node that keeps a table of nodes?";
  if (read_header(std::as_bytes(std::span(block)), hello_bytes_max, head) != header_status::ok || head.type != frame_type::nodes)
    return "its answer is no table of nodes";
  block.resize(head.length / 8);
  const auto bytes = std::as_writable_bytes(std::span(block));
  if (!c.read(bytes.subspan(frame_header_bytes))) return "its answer is cut off";
  if (!frame_intact(bytes)) return "its answer is damaged";
  std::string why;
  return decode_nodes(bytes, out, why) ? "" : why;
}

std::vector<endpoint_address> found_at(const place& where, const std::vector<address>& name_servers, clock::time_point end,
                                       std::string& why) {
  std::vector<endpoint_address> all;
  bool last = false;
  loop l;
  resolver names(l, name_servers);
  names.resolve(where, [&](resolved&& part) {
    all.insert(all.end(), part.found.begin(), part.found.end());
    if (!part.why.empty()) why += (why.empty() ? "" : "; ") + part.why;
    last = part.last;
  });
  while (!last && clock::now() < end) l.run_once(std::chrono::milliseconds(20));
  return all;
}

}  // namespace

std::string fetch_nodes(const place& where, const std::vector<address>& name_servers, const std::string& name,
                        std::chrono::milliseconds patience, cluster_nodes& out) {
  const auto end = clock::now() + patience;
  std::string why;
  for (const auto& at : found_at(where, name_servers, end, why)) {
    const auto wrong = ask(at, name, end, out);
    if (wrong.empty()) return {};
    why += (why.empty() ? "" : "; ") + to_string(at) + ": " + wrong;
  }
  return why.empty() ? to_string(where) + ": no address was found in time" : why;
}

}  // namespace cohort::transport
