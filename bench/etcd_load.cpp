// The same load on etcd as kv_load puts on cohort-kv: `Put` over gRPC, which is etcd's own and fastest way in, many streams on
// each of several connections. Speaks just enough HTTP/2 for that; written here so that etcd is not measured through its
// slower JSON gateway. A Put counts when its response message has arrived. Prints one JSON line.
//
//   etcd_load PORTS CONNECTIONS DEPTH BYTES SECONDS
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
#include <memory>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

enum frame_type : std::uint8_t { data_frame, headers_frame, priority_frame, reset_frame, settings_frame, push_frame, ping_frame,
  goaway_frame, window_frame };
constexpr std::uint8_t flag_end_stream = 1, flag_ack = 1, flag_end_headers = 4;

void put_u32(std::string& to, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(value >> shift & 0xff);
}

std::uint32_t get_u32(const char* at) {
  auto byte = [&](int i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(at[i])); };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

void put_frame(std::string& to, frame_type type, std::uint8_t flags, std::uint32_t stream, const std::string& body) {
  auto length = static_cast<std::uint32_t>(body.size());
  for (int shift = 16; shift >= 0; shift -= 8) to += static_cast<char>(length >> shift & 0xff);
  to += static_cast<char>(type);
  to += static_cast<char>(flags);
  put_u32(to, stream);
  to += body;
}

// HPACK: literals without indexing and without Huffman coding (RFC 7541, 6.2.2).
void put_header(std::string& to, const std::string& name, const std::string& value) {
  to += '\0';
  to += static_cast<char>(name.size());  // all of ours are shorter than 127
  to += name;
  to += static_cast<char>(value.size());
  to += value;
}

// Protocol buffers: field `number` of bytes.
void put_field(std::string& to, int number, const std::string& bytes) {
  to += static_cast<char>(number << 3 | 2);
  auto length = bytes.size();
  while (length >= 128) to += static_cast<char>(length | 128), length >>= 7;
  to += static_cast<char>(length);
  to += bytes;
}

struct call {
  clock_type::time_point asked;
  bool answered = false;
};

struct connection {
  int fd = -1;
  std::string out, in;
  std::size_t written = 0;
  std::uint32_t next_stream = 1;
  std::int64_t window = 65535;  // what the server allows us to send on the whole connection
  std::unordered_map<std::uint32_t, call> calls;
};

class load {
public:
  load(const std::vector<int>& ports, int connections, int depth, std::size_t bytes, double seconds)
      : depth_(static_cast<std::size_t>(depth)), value_(bytes, 'v'), seconds_(seconds) {
    for (std::size_t i = 0; i < value_.size(); ++i) value_[i] = static_cast<char>('!' + i * 37 % 90);
    put_header(headers_, ":method", "POST");
    put_header(headers_, ":scheme", "http");
    put_header(headers_, ":path", "/etcdserverpb.KV/Put");
    put_header(headers_, ":authority", "127.0.0.1");
    put_header(headers_, "content-type", "application/grpc");
    put_header(headers_, "te", "trailers");
    poll_ = ::epoll_create1(0);
    for (int i = 0; i < connections; ++i) open(ports[static_cast<std::size_t>(i) % ports.size()]);
  }

  int run() {
    start_ = clock_type::now();
    for (auto& c : connections_) ask(*c);
    while (waiting_ > 0) {
      epoll_event events[64];
      int n = ::epoll_wait(poll_, events, 64, 10000);
      if (n == 0) {
        std::fprintf(stderr, "etcd_load: no answer for 10 s\n");
        return 1;
      }
      for (int i = 0; i < n; ++i) {
        auto& c = *static_cast<connection*>(events[i].data.ptr);
        if (!take(c)) return 1;
        ask(c);
      }
    }
    std::sort(taken_.begin(), taken_.end());
    auto at = [&](double share) {
      return taken_.empty() ? 0.0 : static_cast<double>(taken_[static_cast<std::size_t>(share * static_cast<double>(taken_.size() - 1))]);
    };
    auto time = std::chrono::duration<double>(last_ - start_).count();
    std::printf("{\"writes\": %zu, \"wrong\": %zu, \"seconds\": %.3f, \"rate\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
      taken_.size(), wrong_, time, static_cast<double>(taken_.size()) / time, at(0.5), at(0.99));
    return 0;
  }

private:
  void open(int port) {
    auto c = std::make_unique<connection>();
    c->fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(c->fd, reinterpret_cast<sockaddr*>(&address), sizeof address)) fail("connect");
    int one = 1;
    ::setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    std::string settings;
    settings += '\0', settings += '\4';  // initial window per stream
    put_u32(settings, 0x7fffffff);
    put_frame(c->out, settings_frame, 0, 0, settings);
    std::string window;  // and of the connection: 2 GiB of answers are more than any run here brings
    put_u32(window, 0x7fffffff - 65535);
    put_frame(c->out, window_frame, 0, 0, window);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = c.get();
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, c->fd, &event);
    connections_.push_back(std::move(c));
  }

  bool more() const { return std::chrono::duration<double>(clock_type::now() - start_).count() < seconds_; }

  void ask(connection& c) {
    while (c.calls.size() < depth_ && more()) {
      char key[32];
      std::snprintf(key, sizeof key, "bench:%012llu", static_cast<unsigned long long>(serial_ % 100000));
      std::string put;
      put_field(put, 1, key);
      put_field(put, 2, value_);
      std::string body(1, '\0');
      put_u32(body, static_cast<std::uint32_t>(put.size()));
      body += put;
      if (c.window < static_cast<std::int64_t>(body.size())) break;
      c.window -= static_cast<std::int64_t>(body.size());
      ++serial_;
      put_frame(c.out, headers_frame, flag_end_headers, c.next_stream, headers_);
      put_frame(c.out, data_frame, flag_end_stream, c.next_stream, body);
      c.calls[c.next_stream] = {clock_type::now(), false};
      c.next_stream += 2;
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

  bool take(connection& c) {
    char data[65536];
    auto n = ::recv(c.fd, data, sizeof data, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) {
      std::fprintf(stderr, "etcd_load: etcd closed the connection\n");
      return false;
    }
    c.in.append(data, static_cast<std::size_t>(n));
    std::size_t at = 0;
    while (c.in.size() - at >= 9) {
      auto length = get_u32(c.in.data() + at) >> 8;
      if (c.in.size() - at < 9 + length) break;
      auto type = static_cast<frame_type>(c.in[at + 3]);
      auto flags = static_cast<std::uint8_t>(c.in[at + 4]);
      auto stream = get_u32(c.in.data() + at + 5) & 0x7fffffff;
      if (!handle(c, type, flags, stream, c.in.data() + at + 9, length)) return false;
      at += 9 + length;
    }
    c.in.erase(0, at);
    return true;
  }

  bool handle(connection& c, frame_type type, std::uint8_t flags, std::uint32_t stream, const char* body, std::uint32_t length) {
    if (type == settings_frame && !(flags & flag_ack)) {
      put_frame(c.out, settings_frame, flag_ack, 0, "");
    } else if (type == ping_frame && !(flags & flag_ack)) {
      put_frame(c.out, ping_frame, flag_ack, 0, std::string(body, length));
    } else if (type == window_frame && stream == 0 && length == 4) {
      c.window += get_u32(body) & 0x7fffffff;
    } else if (type == goaway_frame) {
      std::fprintf(stderr, "etcd_load: etcd sent GOAWAY %u\n", length >= 8 ? get_u32(body + 4) : 0);
      return false;
    } else if (auto i = c.calls.find(stream); i != c.calls.end()) {
      if (type == data_frame && length > 5) i->second.answered = true;  // an error has trailers only
      if (type == reset_frame || (flags & flag_end_stream && (type == headers_frame || type == data_frame))) {
        last_ = clock_type::now();
        taken_.push_back(std::chrono::duration<float, std::micro>(last_ - i->second.asked).count());
        wrong_ += !i->second.answered;
        c.calls.erase(i);
        --waiting_;
      }
    }
    return true;
  }

  std::size_t depth_;
  std::string value_, headers_;
  double seconds_;
  int poll_ = -1;
  std::vector<std::unique_ptr<connection>> connections_;
  std::uint64_t serial_ = 0;
  std::size_t waiting_ = 0, wrong_ = 0;
  clock_type::time_point start_, last_;
  std::vector<float> taken_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 6) {
    std::fprintf(stderr, "etcd_load PORTS CONNECTIONS DEPTH BYTES SECONDS\n");
    return 2;
  }
  std::vector<int> ports;
  std::istringstream list(argv[1]);
  for (std::string port; std::getline(list, port, ',');) ports.push_back(std::atoi(port.c_str()));
  load work(ports, std::atoi(argv[2]), std::atoi(argv[3]), static_cast<std::size_t>(std::atoll(argv[4])), std::atof(argv[5]));
  return work.run();
}
