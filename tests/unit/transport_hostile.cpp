// What strangers and linked peers may send, or not read, and what it costs us.

#include "transport/checksum.hpp"
#include "transport/hello.hpp"
#include "transport/socket.hpp"
#include "transport_nodes.hpp"
#include "transport_samples.hpp"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>

using namespace transport_nodes;
using namespace std::chrono_literals;
using transport_samples::make_payload;

namespace {

constexpr member_id m1{1};
const std::vector<member_id> to_m1{m1};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::size_t resident_bytes() {
  std::ifstream f("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  f >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t memory_since(std::size_t before) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  (void)before;
  return 0;  // the sanitizer keeps freed memory
#else
  return resident_bytes() - std::min(before, resident_bytes());
#endif
}

// n1 is real, n2 is a raw socket that can say what it likes.
struct scene {
  loop l;
  std::vector<endpoint_config> configs = cluster(2);
  node a{l, configs[0]};

  void start() { REQUIRE(a.start() == ""); }

  hello greeting(std::uint64_t attempt = 1000) const {
    hello h;
    h.name = "n2";
    h.member = m1;
    h.directory_id = 1001;
    h.boot_id = 99;
    h.cluster = cluster_digest(configs[1].founders);
    h.founders = configs[1].founders;
    h.groups = configs[1].groups;
    h.attempt = attempt;
    h.target = member_id{0};
    h.dialled = true;
    return h;
  }
  void link(raw_socket& s, std::uint64_t attempt = 1000) {
    REQUIRE(s.send(encode_hello(greeting(attempt)).bytes));
    REQUIRE(run_until(l, [&] { return a.linked(1); }));
  }
  bool drained(raw_socket& s, std::chrono::milliseconds limit = 5s) {
    return run_until(l, [&] { return s.closed(); }, limit);
  }
};

}  // namespace

TEST_SUITE("hostile") {
  TEST_CASE("garbage, other protocols, wrong checksums and oversized frames close the connection with one event") {
    encoder e(m1);
    std::vector<std::string> inputs = {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", std::string(1000, '\0'),
                                       std::string(1000, '\xff'), "*1\r\n$4\r\nPING\r\n    "};
    std::string huge(16, '\0');
    const std::uint32_t length = 0xfffffff8;
    std::memcpy(huge.data(), &length, 4);
    inputs.push_back(huge);
    const std::uint32_t above_hello = hello_bytes_max + 8;  // no stranger may have that much kept for it
    std::memcpy(huge.data(), &above_hello, 4);
    inputs.push_back(huge);
    const auto ping = e.encode(frame_type::ping);
    inputs.emplace_back(reinterpret_cast<const char*>(ping.bytes.data()), ping.bytes.size());
    scene s;
    const auto h = encode_hello(s.greeting());
    std::string flipped(reinterpret_cast<const char*>(h.bytes.data()), h.bytes.size());
    flipped[flipped.size() / 2] ^= 1;
    inputs.push_back(flipped);
    s.start();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      CAPTURE(i);
      const auto before = s.a.count(link_event_kind::stranger);
      raw_socket r(s.configs[0].listen.port);
      REQUIRE(r.send(inputs[i]));
      REQUIRE(s.drained(r));
      CHECK(s.a.count(link_event_kind::stranger) == before + 1);
      CHECK_FALSE(contains(s.a.text(link_event_kind::stranger), "in time"));  // refused at once, not when it took too long
      CHECK(contains(s.a.text(link_event_kind::stranger), "a connection from 127.0.0.1:"));
      CHECK(r.received.empty());
    }
    CHECK(s.a.link->stats().strangers_closed == inputs.size());
  }

  TEST_CASE("random bytes behind a correct header never get further than the decoder") {
    scene s;
    s.start();
    transport_samples::generator r(7);
    for (int i = 0; i < 300; ++i) {
      auto h = encode_hello(s.greeting());
      std::vector<std::byte> bytes(h.bytes.begin(), h.bytes.end());
      for (auto n = 1 + r() % 20; n > 0; --n) bytes[16 + r() % (bytes.size() - 16)] = static_cast<std::byte>(r());
      std::uint32_t length = 0;
      std::memcpy(&length, bytes.data(), 4);
      const auto check = static_cast<std::uint32_t>(checksum(std::span(bytes).subspan(8), length));
      std::memcpy(bytes.data() + 4, &check, 4);
      raw_socket raw(s.configs[0].listen.port);
      REQUIRE(raw.send(bytes));
      for (int k = 0; k < 3; ++k) s.l.run_once(1ms);
    }
    raw_socket good(s.configs[0].listen.port);
    good.send(encode_hello(s.greeting(1'000'000)).bytes);
    CHECK(run_until(s.l, [&] { return s.a.linked(1); }));
  }

  TEST_CASE("a HELLO that is cut off, or dribbles in, is not awaited for ever") {
    scene s;
    s.a.config.hello_timeout = 150ms;
    s.start();
    const auto h = encode_hello(s.greeting());
    {
      raw_socket cut(s.configs[0].listen.port);
      cut.send(h.bytes.first(h.bytes.size() / 2));
      run_for(s.l, 20ms);
    }
    REQUIRE(run_until(s.l, [&] { return s.a.count(link_event_kind::stranger) == 1; }));
    CHECK(contains(s.a.text(link_event_kind::stranger), "within a frame"));

    raw_socket slow(s.configs[0].listen.port);
    const auto begun = loop::clock();
    std::size_t sent = 0;
    REQUIRE(run_until(s.l, [&] {
      if (sent < h.bytes.size() - 1) slow.send(h.bytes.subspan(sent++, 1));
      return slow.closed();
    }, 2s));
    CHECK(loop::clock() - begun < 1500ms);
    CHECK(contains(s.a.text(link_event_kind::stranger), "did not introduce itself in time"));
    CHECK(s.a.count(link_event_kind::stranger) == 2);
  }

  TEST_CASE("connections without a word are bounded, cost little, and do not lock out a node") {
    scene s;
    s.a.config.strangers_max = 8;
    s.start();
    const auto before = resident_bytes();
    std::vector<std::unique_ptr<raw_socket>> crowd;
    for (int i = 0; i < 300; ++i) {
      crowd.push_back(std::make_unique<raw_socket>(s.configs[0].listen.port));
      crowd.back()->send(std::string("\x18\0\0", 3));
      s.l.run_once();
    }
    raw_socket n2(s.configs[0].listen.port);
    s.link(n2);
    std::size_t closed = 0;
    run_for(s.l, 20ms);
    for (auto& c : crowd) closed += c->closed();
    CHECK(closed >= 300 - 8);
    CHECK(s.a.count(link_event_kind::stranger) <= 20);  // at most ten a second are told, the rest is counted
    CHECK(s.a.link->stats().events_suppressed > 200);
    CHECK(memory_since(before) < (8u << 20));
  }

  TEST_CASE("a port scan is not worth an event") {
    scene s;
    s.start();
    for (int i = 0; i < 5; ++i) {
      { raw_socket r(s.configs[0].listen.port); }
      run_for(s.l, 5ms);
    }
    CHECK(s.a.events.empty());
    CHECK(s.a.link->stats().strangers_closed == 5);
  }

  TEST_CASE("a HELLO with names that are none, or too many lines, is refused") {
    scene s;
    s.start();
    std::size_t told = 0;
    const auto refused = [&](const hello& h, const std::string& why) {
      raw_socket r(s.configs[0].listen.port);
      r.send(encode_hello(h).bytes);
      REQUIRE(s.drained(r));
      CHECK(s.a.count(link_event_kind::stranger) == ++told);
      CHECK(contains(s.a.text(link_event_kind::stranger), why));
    };
    auto h = s.greeting();
    h.name = "n2\nn3 is down";
    refused(h, "node name is none");
    h = s.greeting();
    h.name = std::string(129, 'n');
    refused(h, "node name is none");
    h = s.greeting();
    h.founders.assign(1025, {m1, "n", "w"});
    refused(h, "too long");
    h = s.greeting();
    h.founders[0].where = "\x1b[2J";
    refused(h, "damaged");
    h = s.greeting();
    h.dialled = false;
    refused(h, "contradicts itself");
  }

  TEST_CASE("another version of the wire format is refused with both ranges") {
    scene s;
    s.start();
    auto h = s.greeting();
    h.version = 9;
    h.oldest = 8;
    raw_socket r(s.configs[0].listen.port);
    r.send(encode_hello(h).bytes);
    REQUIRE(s.drained(r));
    CHECK(contains(s.a.text(link_event_kind::refused), "node n2 speaks versions 8 to 9 of the wire format, this node 3 to 3"));
    CHECK(contains(r.received, "node n1 speaks versions 3 to 3 of the wire format, this node 8 to 9"));
    // A newer node that still speaks our version is welcome.
    h.oldest = 1;
    raw_socket newer(s.configs[0].listen.port);
    newer.send(encode_hello(h).bytes);
    CHECK(run_until(s.l, [&] { return s.a.linked(1); }));
  }

  TEST_CASE("a linked peer that breaks the rules is closed with one event, and may come back") {
    transport_samples::generator random(3);
    encoder as_n2(m1), as_n3(member_id{2});
    struct offence {
      std::string why;
      std::vector<std::byte> bytes;
    };
    const auto bytes_of = [](const frame& f) { return std::vector<std::byte>(f.bytes.begin(), f.bytes.end()); };
    scene s;
    std::vector<offence> offences;
    offences.push_back({"names member 2 as its sender", bytes_of(as_n3.encode(1, protocol::join{}))});
    offences.push_back({"a second HELLO", bytes_of(encode_hello(s.greeting()))});
    offences.push_back({"checksum", bytes_of(as_n2.encode(1, protocol::join{1, 2, true}))});
    offences.back().bytes.back() ^= std::byte{1};
    protocol::vote odd;
    odd.phase = static_cast<protocol::vote_phase>(7);
    offences.push_back({"vote of unknown phase", bytes_of(as_n2.encode(1, odd))});
    offences.push_back({"length is out of bounds", std::vector<std::byte>(16, std::byte{0x7f})});

    s.start();
    std::size_t n = 0;
    for (const auto& o : offences) {
      CAPTURE(o.why);
      raw_socket r(s.configs[0].listen.port);
      s.link(r, 10'000 + 100 * n);
      REQUIRE(r.send(as_n2.encode(1, protocol::join{}).bytes));
      REQUIRE(r.send(o.bytes));
      REQUIRE(s.drained(r));
      ++n;
      CHECK(s.a.messages.size() == n);  // what was right before it was delivered
      CHECK(s.a.count(link_event_kind::malformed) == n);
      CHECK(contains(s.a.text(link_event_kind::malformed), o.why));
      CHECK(s.a.downs.size() == n);
      CHECK_FALSE(s.a.downs.back().reset);  // our doing is no evidence of its death
    }
    CHECK(s.a.link->stats().malformed == offences.size());
  }

  TEST_CASE("frames of kinds we do not know yet are dropped and counted, the link stays") {
    encoder as_n2(m1);
    scene s;
    s.start();
    raw_socket r(s.configs[0].listen.port);
    s.link(r);
    const auto f = as_n2.encode(1, protocol::join{1, 2, true});
    std::vector<std::byte> newer(f.bytes.begin(), f.bytes.end());
    newer[8] = std::byte{99};
    const auto check = static_cast<std::uint32_t>(checksum(std::span(newer).subspan(8), newer.size()));
    std::memcpy(newer.data() + 4, &check, 4);
    r.send(newer);
    r.send(f.bytes);
    REQUIRE(run_until(s.l, [&] { return s.a.messages.size() == 1; }));
    CHECK(s.a.link->stats().unknown_frames == 1);
    CHECK(s.a.linked(1));
  }

  TEST_CASE("a frame that comes byte by byte is taken whole, one of 16 MiB as well") {
    encoder as_n2(m1);
    scene s;
    s.start();
    raw_socket r(s.configs[0].listen.port);
    s.link(r);
    const auto f = as_n2.encode(1, protocol::batch{1, 2, 3, 4, make_payload({"dribble"})});
    for (std::size_t i = 0; i < f.bytes.size(); ++i) {
      r.send(f.bytes.subspan(i, 1));
      s.l.run_once();
    }
    REQUIRE(run_until(s.l, [&] { return s.a.messages.size() == 1; }));
    CHECK(transport_samples::text_of(std::get<protocol::batch>(s.a.messages[0].what).what, 0) == "dribble");

    const auto big = as_n2.encode(1, protocol::batch{1, 2, 3, 4, make_payload({std::string(16u << 20, 'b')})});
    std::size_t sent = 0;
    REQUIRE(run_until(s.l, [&] {
      const auto count = ::send(r.fd, big.bytes.data() + sent, big.bytes.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (count > 0) sent += static_cast<std::size_t>(count);
      return s.a.messages.size() == 2;
    }, 20s));
    CHECK(std::get<protocol::batch>(s.a.messages[1].what).what.blob.size() == 16u << 20);
  }

  TEST_CASE("a peer that never reads: memory stays bounded, its end is noticed, others are not held up") {
    scene s;
    s.a.config.payload_queue_bytes = 4u << 20;
    s.a.config.control_queue_bytes = 1u << 20;
    s.start();
    raw_socket r(s.configs[0].listen.port);
    s.link(r);
    const auto before = resident_bytes();
    protocol::batch b{1, 0, 1, 0, make_payload({std::string(60'000, 'x')})};
    for (int i = 0; i < 5000; ++i) {  // 300 MB
      ++b.seq;
      s.a.link->send(1, to_m1, b);
      if (i % 10 == 0) s.l.run_once();
    }
    CHECK(s.a.linked(1));
    CHECK(s.a.link->links()[0].payload_queued <= 4u << 20);
    CHECK(s.a.link->stats().payload_dropped > 4000);
    CHECK(s.a.count(link_event_kind::dropped) == 1);
    CHECK(memory_since(before) < (24u << 20));
    protocol::report wide;
    wide.front.assign(1000, 1);
    REQUIRE(run_until(s.l, [&] {
      s.a.link->send(1, to_m1, wide);
      return !s.a.downs.empty();
    }));
    CHECK(contains(s.a.text(link_event_kind::down), "does not read"));
    CHECK_FALSE(s.a.linked(1));
  }

  TEST_CASE("a peer that says nothing any more is closed after the bound on silence") {
    scene s;
    s.a.config.ping_after = 50ms;
    s.a.config.silence_max = 150ms;
    s.start();
    raw_socket r(s.configs[0].listen.port);
    s.link(r);
    const auto begun = loop::clock();
    REQUIRE(run_until(s.l, [&] { return !s.a.downs.empty(); }));
    CHECK(loop::clock() - begun >= 140ms);
    CHECK(loop::clock() - begun < 1500ms);
    CHECK_FALSE(s.a.downs[0].reset);
    CHECK(contains(s.a.text(link_event_kind::down), "nothing was heard"));
    CHECK(s.drained(r));
    CHECK(r.received.size() > 2 * frame_header_bytes);  // HELLO and pings
  }

  TEST_CASE("the newest connection of the same process wins, an older one that comes late does not") {
    scene s;
    s.start();
    raw_socket first(s.configs[0].listen.port);
    s.link(first, 1000);
    raw_socket second(s.configs[0].listen.port);
    second.send(encode_hello(s.greeting(1001)).bytes);
    REQUIRE(s.drained(first));
    CHECK(s.a.linked(1));
    REQUIRE(s.a.downs.size() == 1);
    CHECK_FALSE(s.a.downs[0].reset);  // the process lives
    raw_socket late(s.configs[0].listen.port);
    late.send(encode_hello(s.greeting(1000)).bytes);
    REQUIRE(s.drained(late));
    CHECK(contains(late.received, "another connection between the two nodes is in use"));
    CHECK_FALSE(second.closed());
    CHECK(s.a.linked(1));
    CHECK(s.a.count(link_event_kind::refused) == 0);
  }

  TEST_CASE("both dial at once: with equal numbers the lower member's connection stays, otherwise the newer one") {
    scene s;
    std::string why;
    auto listener = listen_on(s.configs[1].listen, why);
    REQUIRE(why == "");
    s.a.config.retry_first = 2s;  // one dial is enough
    s.start();
    int accepted = -1;
    REQUIRE(run_until(s.l, [&] { return (accepted = ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK)) >= 0; }));
    unique_fd dialled(accepted);
    alignas(8) std::byte bytes[8192];
    ssize_t have = 0;
    REQUIRE(run_until(s.l, [&] { return (have = ::recv(dialled.get(), bytes, sizeof bytes, 0)) > 0; }));
    hello theirs;
    REQUIRE(decode_hello({bytes, static_cast<std::size_t>(have)}, theirs, why));
    CHECK(theirs.name == "n1");
    CHECK(theirs.dialled);

    raw_socket same(s.configs[0].listen.port);  // n2's own dial, with the same number: n1's stays
    same.send(encode_hello(s.greeting(theirs.attempt)).bytes);
    REQUIRE(s.drained(same));
    CHECK(contains(same.received, "another connection between the two nodes is in use"));
    CHECK_FALSE(s.a.linked(1));

    raw_socket newer(s.configs[0].listen.port);
    s.link(newer, theirs.attempt + 1);
    CHECK(run_until(s.l, [&] { return ::recv(dialled.get(), bytes, sizeof bytes, 0) == 0; }));
    CHECK(s.a.ups.size() == 1);
    CHECK(s.a.downs.empty());
  }

  TEST_CASE("another node that answers at a member's address is not taken for it") {
    loop l;
    auto configs = cluster(3);
    node a(l, configs[0]);
    std::string why;
    auto listener = listen_on(configs[1].listen, why);
    REQUIRE(why == "");
    REQUIRE(a.start() == "");
    int accepted = -1;
    REQUIRE(run_until(l, [&] { return (accepted = ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK)) >= 0; }));
    unique_fd dialled(accepted);
    alignas(8) std::byte bytes[8192];
    ssize_t have = 0;
    REQUIRE(run_until(l, [&] { return (have = ::recv(dialled.get(), bytes, sizeof bytes, 0)) > 0; }));
    hello theirs;
    REQUIRE(decode_hello({bytes, static_cast<std::size_t>(have)}, theirs, why));
    hello h = theirs;  // all right but for who it is
    h.name = "n3";
    h.member = member_id{2};
    h.directory_id = 1002;
    h.boot_id = 99;
    h.target = member_id{0};
    h.dialled = false;
    const auto answer = encode_hello(h);
    REQUIRE(::send(dialled.get(), answer.bytes.data(), answer.bytes.size(), 0) == static_cast<ssize_t>(answer.bytes.size()));
    CHECK(run_until(l, [&] { return a.count(link_event_kind::refused) > 0; }));
    CHECK(contains(a.text(link_event_kind::refused), "answers node n3, expected n2"));
    CHECK_FALSE(a.linked(1));
    CHECK_FALSE(a.linked(2));
  }

  TEST_CASE("control overtakes queued payload, also what the kernel would hold") {
    scene s;
    s.start();
    raw_socket r(s.configs[0].listen.port);
    const int small = 64 * 1024;
    REQUIRE(::setsockopt(r.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small) == 0);
    s.link(r);
    for (std::uint64_t i = 0; i < 400; ++i)  // 24 MB wait
      s.a.link->send(1, to_m1, protocol::batch{1, 0, i, 0, make_payload({std::string(60'000, 'x')})});
    run_for(s.l, 50ms);
    REQUIRE(s.a.link->links()[0].payload_queued > 16u << 20);
    s.a.link->send(1, to_m1, protocol::vote{});
    s.l.run_once();

    // Read as the other node would, and see how much payload came before the vote.
    auto memory = std::make_unique<std::uint64_t[]>((32u << 20) / 8);
    auto* bytes = reinterpret_cast<std::byte*>(memory.get());
    std::size_t have = 0, at = 0, payload_before = 0;
    bool found = false;
    REQUIRE(run_until(s.l, [&] {
      const auto count = ::recv(r.fd, bytes + have, (32u << 20) - have, MSG_DONTWAIT);
      if (count > 0) have += static_cast<std::size_t>(count);
      frame_header head;
      while (!found && read_header({bytes + at, have - at}, 18u << 20, head) == header_status::ok &&
             have - at >= head.length) {
        REQUIRE(frame_intact({bytes + at, head.length}));
        found = head.type == frame_type::vote;
        if (is_payload(head.type)) payload_before += head.length;
        at += head.length;
      }
      return found;
    }));
    MESSAGE("payload in front of the vote: " << payload_before << " bytes");
    CHECK(payload_before < 2u << 20);
  }
}
