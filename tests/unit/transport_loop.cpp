#include "transport/address.hpp"
#include "transport/loop.hpp"

#include <doctest/doctest.h>
#include <sys/epoll.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

using namespace cohort::transport;
using namespace std::chrono_literals;

namespace {

struct pipe_pair {
  std::array<int, 2> ends{};
  pipe_pair() { REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0); }
  ~pipe_pair() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  void poke() const { REQUIRE(::write(ends[1], "x", 1) == 1); }
};

struct callback : fd_handler {
  std::function<void()> call;
  explicit callback(std::function<void()> c) : call(std::move(c)) {}
  void on_ready(std::uint32_t) override { call(); }
};

struct counter : runnable {
  std::size_t left = 0, turns = 0;
  bool run(std::size_t budget) override {
    ++turns;
    left -= std::min(left, budget);
    return left > 0;
  }
};

double cpu_seconds() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec); };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

}  // namespace

TEST_SUITE("loop") {
  TEST_CASE("timers fire in order of time, once, and not when cancelled") {
    loop l;
    std::string order;
    timer c(l, [&] { order += 'c'; }), a(l, [&] { order += 'a'; }), b(l, [&] { order += 'b'; }), d(l, [&] { order += 'd'; });
    const auto now = loop::clock();
    c.set(now + 3ms);
    a.set(now + 9ms);
    a.set(now + 1ms);
    b.set(now + 2ms);
    d.set(now + 2ms);
    d.cancel();
    CHECK_FALSE(d.armed());
    while (loop::clock() < now + 12ms) l.run_once(1ms);
    CHECK(order == "abc");
    CHECK_FALSE(a.armed());
  }

  TEST_CASE("many timers set, moved and cancelled at random fire in order") {
    loop l;
    std::uint64_t state = 88172645463325252u;
    const auto draw = [&] { return state ^= state << 13, state ^= state >> 7, state ^= state << 17; };
    const auto now = loop::clock();
    std::vector<instant> fired;
    std::vector<std::unique_ptr<timer>> timers;
    std::vector<instant> due(300, no_deadline);
    for (std::size_t i = 0; i < due.size(); ++i)
      timers.push_back(std::make_unique<timer>(l, [&, i] { fired.push_back(due[i]); }));
    for (int step = 0; step < 3000; ++step) {
      const auto i = draw() % due.size();
      due[i] = draw() % 4 == 0 ? no_deadline : now - std::chrono::nanoseconds(draw() % 1000000);
      timers[i]->set(due[i]);
    }
    const auto expected = due.size() - static_cast<std::size_t>(std::count(due.begin(), due.end(), no_deadline));
    l.run_once();
    CHECK(fired.size() == expected);
    CHECK(std::is_sorted(fired.begin(), fired.end()));
  }

  TEST_CASE("a timer that sets itself for now does not keep the loop from its sockets") {
    loop l;
    int fired = 0;
    timer t(l, [&] { ++fired; });
    timer again(l, [&] {
      ++fired;
      again.set(loop::clock());
    });
    again.set(loop::clock());
    l.run_once();
    CHECK(fired == 1);
    l.run_once();
    CHECK(fired == 2);
  }

  TEST_CASE("posted work runs in order, on the loop's thread, and wakes it") {
    loop l;
    std::vector<int> order;
    std::thread other([&] {
      for (int i = 0; i < 1000; ++i) l.post([&, i] { order.push_back(i); });
      l.post([&] {
        CHECK(l.in_loop());
        l.stop();
      });
    });
    l.run();
    other.join();
    CHECK_FALSE(l.in_loop());
    REQUIRE(order.size() == 1000);
    CHECK(std::is_sorted(order.begin(), order.end()));
  }

  TEST_CASE("work posted from within a pass runs in the next one, without a wake-up call") {
    loop l;
    std::string order;
    l.post([&] {
      order += 'a';
      l.post([&] { order += 'c'; });
      order += 'b';
    });
    l.run_once();
    CHECK(order == "ab");
    l.run_once();
    CHECK(order == "abc");
  }

  TEST_CASE("four threads post while the loop runs: nothing is lost") {
    loop l;
    constexpr int each = 20000;
    std::atomic<int> left = 4;
    int seen = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < each; ++i) l.post([&] { ++seen; });
        if (--left == 0) l.stop();
      });
    l.run();
    for (auto& t : threads) t.join();
    l.run_once();
    CHECK(seen == 4 * each);
    CHECK(l.stats().wakeups <= l.stats().passes);
  }

  TEST_CASE("a chatty runnable gets a budget per pass and cannot starve descriptors") {
    loop l({.budget = 10});
    pipe_pair p;
    int reads = 0;
    callback h([&] {
      ++reads;
      char c;
      (void)!::read(p.ends[0], &c, 1);
      p.poke();
    });
    l.add(p.ends[0], EPOLLIN, h);
    p.poke();
    counter busy;
    busy.left = 95;
    l.schedule(busy);
    l.schedule(busy);
    for (int i = 0; i < 10; ++i) l.run_once();
    CHECK(busy.turns == 10);
    CHECK(busy.left == 0);
    CHECK(reads == 10);
    l.remove(p.ends[0]);
  }

  TEST_CASE("a forgotten runnable does not run") {
    loop l;
    counter a, b;
    l.schedule(a);
    l.schedule(b);
    l.forget(a);
    l.run_once();
    CHECK(a.turns == 0);
    CHECK(b.turns == 1);
  }

  TEST_CASE("a removed descriptor is not reported, even when it was ready in the same pass") {
    loop l;
    pipe_pair p, q;
    int calls = 0;
    callback* other[2];
    callback first([&] {
      ++calls;
      l.remove(q.ends[0]);
      l.remove(p.ends[0]);
    });
    callback second([&] {
      ++calls;
      l.remove(q.ends[0]);
      l.remove(p.ends[0]);
    });
    other[0] = &first;
    other[1] = &second;
    l.add(p.ends[0], EPOLLIN, *other[0]);
    l.add(q.ends[0], EPOLLIN, *other[1]);
    p.poke();
    q.poke();
    l.run_once();
    l.run_once();
    CHECK(calls == 1);
  }

  TEST_CASE("pass hooks run after everything else, in their order") {
    loop l;
    std::string order;
    const auto write = l.add_pass_hook(loop::order_write, [&] { order += 'w'; });
    (void)l.add_pass_hook(loop::order_drain, [&] { order += 'd'; });
    l.post([&] { order += 'p'; });
    timer t(l, [&] { order += 't'; });
    t.set(loop::clock());
    l.run_once();
    CHECK(order == "ptdw");
    l.remove_pass_hook(write);
    l.run_once();
    CHECK(order == "ptdwd");
  }

  TEST_CASE("an idle loop sleeps: a second with one timer costs next to no CPU") {
    loop l;
    timer end(l, [&] { l.stop(); });
    end.set_after(1s);
    const auto before = cpu_seconds();
    l.run();
    CHECK(cpu_seconds() - before < 0.01);
    CHECK(l.stats().passes <= 3);
  }

  TEST_CASE("timers are precise below a millisecond") {
    loop l;
    std::chrono::nanoseconds best = 1s;
    for (int i = 0; i < 100 && best > 500us; ++i) {
      const auto due = loop::clock() + 200us;
      bool fired = false;
      timer t(l, [&] { fired = true; });
      t.set(due);
      while (!fired) l.run_once(1s);
      CHECK(loop::clock() >= due);
      best = std::min<std::chrono::nanoseconds>(best, loop::clock() - due);
    }
    CHECK(best < 700us);
  }
}

TEST_SUITE("address") {
  TEST_CASE("addresses are read and written") {
    address a;
    CHECK(parse_address("127.0.0.1:7001", a).empty());
    CHECK(a == address{"127.0.0.1", 7001});
    CHECK(parse_address("[::1]:80", a).empty());
    CHECK(a == address{"::1", 80});
    CHECK(to_string(a) == "[::1]:80");
    CHECK(parse_address("node-3.example.org:0", a).empty());
    CHECK(to_string(a) == "node-3.example.org:0");
  }

  TEST_CASE("what is no address is refused with the reason") {
    address a;
    for (const auto* text : {"", "host", ":7001", "host:", "host:65536", "host:-1", "host:7x", "::1:7001", "[::1]", "[::1]7001", "[::1:7001"}) {
      CAPTURE(text);
      const auto why = parse_address(text, a);
      CHECK(why.find(std::string("'") + text + "'") != std::string::npos);
      CHECK(why.find("expected host:port") != std::string::npos);
    }
  }
}
