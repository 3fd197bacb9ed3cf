// What the wire costs: encoding and decoding a batch, one link between two processes on loopback. Prints
// "name value unit" lines.
#include "transport/endpoint.hpp"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

using namespace cohort;
using namespace cohort::transport;
using namespace std::chrono_literals;
namespace protocol = cohort::protocol;

namespace {

constexpr member_id m0{0}, m1{1};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "link_bench: %s\n", what);
  std::exit(1);
}

protocol::payload make_payload(std::size_t count, std::size_t bytes) {
  struct memory {
    std::vector<std::uint32_t> sizes;
    std::vector<std::byte> blob;
  };
  auto m = std::make_shared<memory>();
  m->sizes.assign(count, static_cast<std::uint32_t>(bytes));
  m->blob.assign(count * bytes, std::byte{'x'});
  return {m, m->sizes, m->blob};
}

double seconds_of(const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); }

double cpu_seconds(int who) {
  rusage u{};
  ::getrusage(who, &u);
  return seconds_of(u.ru_utime) + seconds_of(u.ru_stime);
}

void codec(std::size_t count, std::size_t bytes) {
  encoder e(m0);
  const protocol::message b = protocol::batch{1, 0, 1, 0, make_payload(count, bytes)};
  const auto f = e.encode(1, b);
  std::vector<decoded> out;
  const auto best = [](auto&& call) {
    double least = 1e9;
    for (int round = 0; round < 7; ++round) {
      constexpr int times = 2000;
      const auto begun = loop::clock();
      for (int i = 0; i < times; ++i) call();
      least = std::min(least, static_cast<double>((loop::clock() - begun).count()) / times);
    }
    return least;
  };
  const auto name = std::to_string(count) + "x" + std::to_string(bytes);
  std::printf("encode_%s %.0f ns\n", name.c_str(), best([&] { require(static_cast<bool>(e.encode(1, b)), "encode"); }));
  std::printf("check_%s %.0f ns\n", name.c_str(), best([&] { require(frame_intact(f.bytes), "checksum"); }));
  std::printf("decode_%s %.0f ns\n", name.c_str(), best([&] {
                out.clear();
                require(decode(f.bytes, f.owner, {}, out) == decode_status::ok, "decode");
              }));
}

void codec_ack() {
  encoder e(m0);
  protocol::ack one;
  one.match = 5;
  one.have = {1, 2, 3};
  const protocol::message a = one;
  const auto begun = loop::clock();
  constexpr int times = 100'000;
  std::vector<decoded> out;
  for (int i = 0; i < times; ++i) {
    const auto f = e.encode(1, a);
    out.clear();
    require(frame_intact(f.bytes) && decode(f.bytes, f.owner, {}, out) == decode_status::ok, "ack");
  }
  std::printf("ack_encode_check_decode %.0f ns\n", static_cast<double>((loop::clock() - begun).count()) / times);
}

endpoint_config config_of(member_id self, std::uint16_t port0, std::uint16_t port1) {
  endpoint_config c;
  c.name = self == m0 ? "n1" : "n2";
  c.member = self;
  c.founders = {{m0, "n1", "a"}, {m1, "n2", "b"}};
  c.groups = {{1, "g", 1, 1, true}};
  c.listen = {"127.0.0.1", self == m0 ? port0 : port1};
  c.peers = {{self == m0 ? m1 : m0, {place(address{"127.0.0.1", self == m0 ? port1 : port0})}}};
  return c;
}

// Counts payload and acknowledges it cumulatively once per pass; answers read requests at once.
struct receiver : endpoint_handler {
  loop l;
  std::unique_ptr<endpoint> link;
  std::uint64_t have = 0, acked = 0;
  void on_message(std::uint32_t, protocol::voter_id, protocol::message&& what) override {
    const member_id to[] = {m0};
    if (const auto* b = std::get_if<protocol::batch>(&what)) have += b->what.blob.size();
    if (const auto* r = std::get_if<protocol::read_request>(&what))
      link->send(1, to, protocol::read_reply{r->id, false, 0});
  }
  void on_link_up(std::uint32_t, protocol::voter_id, bool) override {}
  void on_link_down(member_id, bool) override { l.stop(); }
  void on_event(const link_event&) override {}
  void run(std::uint16_t port0, std::uint16_t port1) {
    l.add_pass_hook(loop::order_drain, [&] {
      const member_id to[] = {m0};
      if (have == acked) return;
      protocol::ack a;
      a.match = acked = have;
      link->send(1, to, a);
    });
    link = std::make_unique<endpoint>(l, config_of(m1, port0, port1), *this);
    require(link->start().empty(), "cannot listen");
    l.run();
  }
};

struct sender : endpoint_handler {
  loop l;
  std::unique_ptr<endpoint> link;
  bool up = false;
  std::uint64_t sent = 0, acked = 0, stop_at = 0;
  std::uint64_t window = 0;
  protocol::batch next;
  std::size_t next_bytes = 0;
  std::vector<double> trips;
  instant asked{};

  void on_message(std::uint32_t, protocol::voter_id, protocol::message&& what) override {
    if (const auto* a = std::get_if<protocol::ack>(&what)) acked = std::max(acked, a->match);
    if (std::get_if<protocol::read_reply>(&what)) {
      trips.push_back(static_cast<double>((loop::clock() - asked).count()) / 1000);
      ask();
    }
  }
  void ask() {
    const member_id to[] = {m1};
    asked = loop::clock();
    link->send(1, to, protocol::read_request{1});
  }
  void on_link_up(std::uint32_t, protocol::voter_id, bool) override { up = true; }
  void on_link_down(member_id, bool) override {}
  void on_event(const link_event&) override {}

  void stream(std::size_t count, std::size_t bytes, std::chrono::milliseconds how_long) {
    next = protocol::batch{1, 0, 1, 0, make_payload(count, bytes)};
    next_bytes = count * bytes;
    window = std::max<std::uint64_t>(1u << 20, 4 * next_bytes);
    const auto from = acked;
    sent = acked;
    const auto begun = loop::clock();
    const auto cpu = cpu_seconds(RUSAGE_SELF);
    const member_id to[] = {m1};
    const auto before = link->stats();
    while (loop::clock() - begun < how_long) {
      while (sent - acked + next_bytes <= window) {
        ++next.seq;
        link->send(1, to, next);
        sent += next_bytes;
      }
      l.run_once(10ms);
    }
    const double seconds = std::chrono::duration<double>(loop::clock() - begun).count();
    const double got = static_cast<double>(acked - from);
    const double messages = got / static_cast<double>(bytes);
    const auto name = std::to_string(count) + "x" + std::to_string(bytes);
    std::printf("link_%s %.0f MB/s\n", name.c_str(), got / seconds / 1e6);
    std::printf("link_%s_messages %.3g 1/s\n", name.c_str(), messages / seconds);
    std::printf("link_%s_sender_cpu %.3f us/message\n", name.c_str(), 1e6 * (cpu_seconds(RUSAGE_SELF) - cpu) / messages);
    std::printf("link_%s_frames_per_write %.2f\n", name.c_str(),
                static_cast<double>(link->stats().frames_sent - before.frames_sent) /
                    static_cast<double>(std::max<std::uint64_t>(1, link->stats().writes - before.writes)));
    while (acked < sent) l.run_once(10ms);
  }

  void round_trips(std::chrono::milliseconds how_long) {
    trips.reserve(1'000'000);
    ask();
    const auto begun = loop::clock();
    while (loop::clock() - begun < how_long) l.run_once(10ms);
    std::sort(trips.begin(), trips.end());
    require(!trips.empty(), "no round trip");
    std::printf("round_trip_p50 %.1f us\nround_trip_p99 %.1f us\n", trips[trips.size() / 2],
                trips[trips.size() * 99 / 100]);
  }
};

}  // namespace

int main() {
  codec(1024, 64);
  codec(64, 1024);
  codec(1, 65536);
  codec(1, 64);
  codec_ack();

  const auto port0 = static_cast<std::uint16_t>(20000 + ::getpid() % 20000);
  const auto port1 = static_cast<std::uint16_t>(port0 + 1);
  std::fflush(stdout);
  const auto child = ::fork();
  if (child == 0) {
    receiver r;
    r.run(port0, port1);
    std::printf("receiver_cpu_total %.2f s\n", cpu_seconds(RUSAGE_SELF));
    return 0;
  }
  {
    sender s;
    s.link = std::make_unique<endpoint>(s.l, config_of(m0, port0, port1), s);
    require(s.link->start().empty(), "cannot listen");
    const auto begun = loop::clock();
    while (!s.up && loop::clock() - begun < 5s) s.l.run_once(10ms);
    require(s.up, "the two ends did not link");
    s.round_trips(1500ms);
    s.stream(1024, 64, 2000ms);
    s.stream(16, 64, 1500ms);
    s.stream(64, 1024, 2000ms);
    s.stream(4, 16384, 2000ms);
    s.stream(1, 65536, 2000ms);
    std::printf("sender_cpu_total %.2f s\n", cpu_seconds(RUSAGE_SELF));
    std::fflush(stdout);
  }
  ::waitpid(child, nullptr, 0);
  return 0;
}
