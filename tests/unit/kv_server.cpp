#include "kv_fixture.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <poll.h>
#include <random>
#include <sys/socket.h>

using namespace kv_test;
using namespace std::chrono_literals;
using cohort::outcome;

namespace {

bool eventually(const std::function<bool()>& check, std::chrono::milliseconds limit = 10s) {
  for (const auto deadline = std::chrono::steady_clock::now() + limit; std::chrono::steady_clock::now() < deadline;) {
    if (check()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return check();
}

bool begins(const std::string& text, std::string_view with) { return text.starts_with(with); }

}  // namespace

TEST_SUITE_BEGIN("server");

TEST_CASE("server: answers leave in the order of the commands, whoever gives them") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  c.send(encode({"SET", "k", "1"}) + "PING\r\n" + encode({"GET", "k"}) + encode({"INCR", "k"}) + encode({"GET", "k"}) +
         encode({"NOSUCH", "x"}) + encode({"GET", "k"}) + encode({"SET", "k", "9"}) + encode({"ECHO", "hi"}));
  for (const auto* expected : {"+OK\r\n", "+PONG\r\n", "$1\r\n1\r\n", ":2\r\n", "$1\r\n2\r\n",
                               "-ERR unknown command 'NOSUCH', with args beginning with: 'x' \r\n", "$1\r\n2\r\n",
                               "+OK\r\n", "$2\r\nhi\r\n"})
    CHECK(c.receive() == expected);
}

TEST_CASE("server: a long pipeline of reads and writes sees its own writes") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  std::mt19937 random(7);
  std::string raw;
  std::vector<std::string> expected;
  std::string value = "$-1\r\n";
  for (int i = 0; i < 20000; ++i) {
    if (random() % 2 == 0) {
      const auto text = std::to_string(i);
      raw += encode({"SET", "k", text});
      expected.push_back("+OK\r\n");
      value = "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    } else {
      raw += encode({"GET", "k"});
      expected.push_back(value);
    }
  }
  std::thread sender([&] { c.send(raw); });
  std::size_t wrong = 0;
  for (const auto& e : expected) wrong += c.receive() != e;
  sender.join();
  CHECK(wrong == 0);
}

TEST_CASE("server: a pipeline longer than what may be in flight goes on by itself") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  for (const auto* name : {"INCR", "PING"}) {
    std::string raw;
    for (int i = 0; i < 5000; ++i) raw += std::string(name) == "PING" ? "PING\r\n" : encode({name, "n"});
    c.send(raw);  // less than the socket takes, so nothing arrives later that could set it going again
    int right = 0;
    for (int i = 0; i < 5000; ++i)
      right += c.receive() == (std::string(name) == "PING" ? "+PONG\r\n" : ":" + std::to_string(i + 1) + "\r\n");
    CHECK(right == 5000);
  }
}

TEST_CASE("server: WATCH makes EXEC fail when another client changed the key, and only then") {
  memory_group group;
  running_server server(group);
  auto one = server.connect(), other = server.connect();
  other.call({"SET", "k", "1"});

  CHECK(one.call({"WATCH", "k"}) == "+OK\r\n");
  CHECK(one.call({"MULTI"}) == "+OK\r\n");
  CHECK(one.call({"INCR", "k"}) == "+QUEUED\r\n");
  other.call({"SET", "k", "1"});  // the same value, but changed
  CHECK(one.call({"EXEC"}) == "*-1\r\n");
  CHECK(one.call({"GET", "k"}) == "$1\r\n1\r\n");

  CHECK(one.call({"WATCH", "k", "absent"}) == "+OK\r\n");
  CHECK(one.call({"MULTI"}) == "+OK\r\n");
  CHECK(one.call({"INCR", "k"}) == "+QUEUED\r\n");
  CHECK(one.call({"PING"}) == "+QUEUED\r\n");
  CHECK(one.call({"GET", "k"}) == "+QUEUED\r\n");
  other.call({"GET", "k"});
  CHECK(one.call({"EXEC"}) == "*3\r\n:2\r\n+PONG\r\n$1\r\n2\r\n");

  // A key that came and went.
  CHECK(one.call({"WATCH", "absent"}) == "+OK\r\n");
  other.call({"SET", "absent", "1"});
  other.call({"DEL", "absent"});
  one.call({"MULTI"});
  CHECK(one.call({"EXEC"}) == "*-1\r\n");

  // Our own change counts, UNWATCH forgets.
  one.call({"WATCH", "k"});
  one.call({"SET", "k", "5"});
  one.call({"MULTI"});
  CHECK(one.call({"EXEC"}) == "*-1\r\n");
  one.call({"WATCH", "k"});
  other.call({"SET", "k", "6"});
  one.call({"UNWATCH"});
  one.call({"MULTI"});
  CHECK(one.call({"EXEC"}) == "*0\r\n");

  // All in one write: EXEC has to wait for what WATCH learns.
  one.send(encode({"WATCH", "k"}) + encode({"MULTI"}) + encode({"INCR", "k"}) + encode({"EXEC"}));
  for (const auto* expected : {"+OK\r\n", "+OK\r\n", "+QUEUED\r\n", "*1\r\n:7\r\n"}) CHECK(one.receive() == expected);
}

TEST_CASE("server: a watched key that expires makes EXEC fail") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  c.call({"SET", "k", "1", "PX", "500"});
  c.call({"WATCH", "k"});
  std::this_thread::sleep_for(600ms);
  c.call({"MULTI"});
  c.call({"PING"});
  CHECK(c.call({"EXEC"}) == "*-1\r\n");
}

TEST_CASE("server: keys expire though nobody writes") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  c.call({"SET", "k", "1", "PX", "50"});
  c.call({"SET", "stays", "1", "EX", "100"});
  CHECK(begins(c.call({"PTTL", "k"}), ":"));
  CHECK(eventually([&] { return c.call({"GET", "k"}) == "$-1\r\n"; }, 2s));
  const auto left = c.call({"TTL", "stays"});
  CHECK((left == ":100\r\n" || left == ":99\r\n"));
  CHECK(eventually([&] { return group.size() == 1; }, 3s));  // by a clock message: no command came meanwhile
}

TEST_CASE("server: a follower brings about an expiry that its leader forgot") {
  memory_group group;
  group.leads = false;
  running_server server(group);
  auto c = server.connect();
  c.call({"SET", "k", "1", "PX", "20"});
  CHECK(eventually([&] { return group.size() == 0; }, 5s));
}

TEST_CASE("server: time to live is answered from a time that is not older than the question") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  c.call({"SET", "k", "1", "PX", "100000"});
  std::this_thread::sleep_for(300ms);
  const auto left = std::stoll(c.call({"PTTL", "k"}).substr(1));
  CHECK(left <= 99'700);
  CHECK(left > 90'000);
}

// ---- outcomes -------------------------------------------------------------------------------------------------------

TEST_CASE("server: a refused write is sent again for a while, then answered NOQUORUM, then at once") {
  memory_group group;
  kv::server_options options;
  options.gateway.quorum_patience = 1000ms;
  running_server server(group, options);
  auto c = server.connect();
  group.writes = outcome::no_quorum;
  c.send(encode({"SET", "a", "1"}) + encode({"SET", "b", "2"}));
  std::this_thread::sleep_for(60ms);
  group.writes = outcome::replied;
  CHECK(c.receive() == "+OK\r\n");
  CHECK(c.receive() == "+OK\r\n");
  CHECK(group.executed == 2);

  group.writes = outcome::no_quorum;
  auto before = std::chrono::steady_clock::now();
  CHECK(begins(c.call({"SET", "a", "3"}), "-NOQUORUM "));
  CHECK(std::chrono::steady_clock::now() - before > 950ms);
  before = std::chrono::steady_clock::now();
  CHECK(begins(c.call({"SET", "a", "4"}), "-NOQUORUM "));
  CHECK(std::chrono::steady_clock::now() - before < 800ms);
  CHECK(group.executed == 2);
  group.reads = outcome::no_quorum;
  CHECK(begins(c.call({"GET", "a"}), "-NOQUORUM "));
  CHECK(begins(c.call({"INFO"}), "$"));  // operators need it most then
  group.reads = outcome::replied;
  group.writes = outcome::replied;
  CHECK(c.call({"GET", "a"}) == "$1\r\n1\r\n");
}

TEST_CASE("server: commands that were refused are not sent again behind a later one that was executed") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  group.execute_only = 0;
  c.send(encode({"SET", "k", "first"}));
  REQUIRE(eventually([&] { return group.submitted >= 1; }));
  // Sent again, all three in order: the first is executed, the others are refused once more, then executed.
  c.send(encode({"APPEND", "k", "+second"}) + encode({"APPEND", "k", "+third"}));
  group.execute_only = 1;
  REQUIRE(eventually([&] { return group.executed == 1; }));
  std::this_thread::sleep_for(30ms);
  group.execute_only = -1;
  CHECK(c.receive() == "+OK\r\n");
  CHECK(c.receive() == ":12\r\n");
  CHECK(c.receive() == ":18\r\n");
  CHECK(c.call({"GET", "k"}) == "$18\r\nfirst+second+third\r\n");
}

TEST_CASE("server: a command that was refused when a later one was executed stays refused") {
  for (int round = 0; round < 5; ++round) {
    memory_group group;
    running_server server(group);
    auto c = server.connect();
    group.refuse_next = 1;
    c.send(encode({"SET", "k", "first"}) + encode({"SET", "k", "second"}));
    const auto first = c.receive();
    CHECK((begins(first, "-NOQUORUM ") || first == "+OK\r\n"));  // the latter when they came one by one
    CHECK(c.receive() == "+OK\r\n");
    std::this_thread::sleep_for(30ms);
    CHECK(c.call({"GET", "k"}) == "$6\r\nsecond\r\n");
  }
}

TEST_CASE("server: what needs no quorum does not answer in the place of a read that does") {
  memory_group group;
  kv::server_options options;
  options.gateway.quorum_patience = 50ms;
  running_server server(group, options);
  auto c = server.connect();
  c.call({"SET", "k", "1"});
  group.reads = outcome::no_quorum;
  c.send(encode({"INFO"}) + encode({"GET", "k"}));
  CHECK(begins(c.receive(), "$"));
  CHECK(begins(c.receive(), "-NOQUORUM "));
}

TEST_CASE("server: an open outcome is answered UNKNOWN in time, never OK") {
  memory_group group;
  kv::server_options options;
  options.gateway.unknown_after = 200ms;
  running_server server(group, options);
  auto c = server.connect();
  group.silent = true;
  c.send(encode({"SET", "k", "1"}) + encode({"PING"}));
  CHECK(begins(c.receive(2s), "-UNKNOWN "));
  CHECK(c.receive(2s) == "+PONG\r\n");
  c.send(encode({"GET", "k"}));
  CHECK(begins(c.receive(2s), "-NOQUORUM "));
  group.silent = false;
  group.writes = outcome::unknown;
  CHECK(begins(c.call({"SET", "k", "2"}), "-UNKNOWN "));
  group.writes = outcome::lost;
  CHECK(begins(c.call({"SET", "k", "2"}), "-NOQUORUM "));
}

TEST_CASE("server: local reads need no quorum, others do") {
  memory_group group;
  kv::server_options options;
  options.gateway.reads = cohort::reads::local;
  options.gateway.quorum_patience = 50ms;
  running_server server(group, options);
  auto c = server.connect();
  c.call({"SET", "k", "1", "EX", "100"});
  group.reads = outcome::no_quorum;
  group.writes = outcome::no_quorum;
  std::this_thread::sleep_for(20ms);
  CHECK(c.call({"GET", "k"}) == "$1\r\n1\r\n");
  CHECK(c.call({"WATCH", "k"}) == "+OK\r\n");
  CHECK(begins(c.call({"SET", "k", "2"}), "-NOQUORUM "));
}

// ---- hostile clients ------------------------------------------------------------------------------------------------

TEST_CASE("server: what is no Redis protocol is answered like Redis does, and the connection is closed") {
  memory_group group;
  running_server server(group);
  const std::pair<std::string, std::string> cases[] = {
      {"*2\r\n$3\r\nGET\r\n+x\r\n", "-ERR Protocol error: expected '$', got '+'\r\n"},
      {"*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
      {"*2147483648\r\n", "-ERR Protocol error: invalid multibulk length\r\n"},
      {"*1\r\n$-5\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
      {"*1\r\n$536870913\r\n", "-ERR Protocol error: invalid bulk length\r\n"},
      {"GET \"a\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"},
      {std::string(70000, 'a'), "-ERR Protocol error: too big inline request\r\n"},
      {"*" + std::string(70000, '1'), "-ERR Protocol error: too big mbulk count string\r\n"},
      {"*1\r\n$" + std::string(70000, '1'), "-ERR Protocol error: too big bulk count string\r\n"},
  };
  for (const auto& [raw, expected] : cases) {
    CAPTURE(expected);
    auto c = server.connect();
    c.send("PING\r\n" + raw);
    CHECK(c.receive() == "+PONG\r\n");
    CHECK(c.receive() == expected);
    CHECK(c.closed());
  }
  auto browser = server.connect();
  browser.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(browser.closed());
  CHECK(eventually([&] { return server.clients() == 0; }));
}

TEST_CASE("server: random bytes end no server") {
  memory_group group;
  running_server server(group);
  std::mt19937_64 random(42);
  for (int round = 0; round < 100; ++round) {
    auto c = server.connect();
    std::string raw;
    for (auto size = random() % 5000; raw.size() < size;) {
      if (random() % 3 == 0) raw += encode({"SET", "k", std::string(random() % 50, 'x')});
      else raw += std::string(1, "*$\r\n:1234567890abc \"'\\"[random() % 23]);
      if (random() % 50 == 0) raw += static_cast<char>(random());
    }
    c.send(raw);
  }
  auto c = server.connect();
  CHECK(c.call({"PING"}) == "+PONG\r\n");
}

TEST_CASE("server: a value that is too large for a message is refused, and the connection goes on") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  c.send("*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$20000000\r\n");
  for (int i = 0; i < 20; ++i) c.send(std::string(1'000'000, 'x'));
  c.send("\r\nPING\r\n");
  CHECK(begins(c.receive(), "-ERR the command is larger than the 16 MiB"));
  CHECK(c.receive() == "+PONG\r\n");
  const std::string large(15u << 20, 'y');
  CHECK(c.call({"SET", "big", large}) == "+OK\r\n");
  CHECK(c.call({"STRLEN", "big"}) == ":15728640\r\n");
  CHECK(c.call({"GET", "big"}).size() > large.size());
  CHECK(begins(c.call({"APPEND", "big", large}), "-ERR string exceeds maximum allowed size"));
}

TEST_CASE("server: a client that never reads is not read from any more, and does not grow the node") {
  memory_group group;
  running_server server(group);
  auto good = server.connect();
  good.call({"SET", "k", std::string(100'000, 'v')});
  auto bad = server.connect();
  const auto question = encode({"GET", "k"});
  std::string many;
  for (int i = 0; i < 1000; ++i) many += question;
  std::size_t sent = 0;
  for (const auto deadline = std::chrono::steady_clock::now() + 3s; std::chrono::steady_clock::now() < deadline;) {
    const auto size = ::send(bad.fd(), many.data(), many.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size > 0) {
      sent += static_cast<std::size_t>(size);
      continue;
    }
    pollfd p{bad.fd(), POLLOUT, 0};
    if (poll(&p, 1, 300) == 0) break;  // full: the server has stopped reading
  }
  CHECK(sent < (64u << 20));
  CHECK(good.call({"PING"}) == "+PONG\r\n");
  const auto info = good.call({"INFO", "memory"});
  const auto resident = std::stoull(info.substr(info.find("used_memory_rss:") + 16));
  CHECK(resident < (1u << 30));
}

TEST_CASE("server: above the hard limit a client that does not read is closed") {
  memory_group group;
  kv::server_options options;
  options.output_hard_bytes = 8u << 20;
  running_server server(group, options);
  auto good = server.connect();
  good.call({"SET", "k", std::string(1u << 20, 'v')});
  auto bad = server.connect();
  std::string many;
  for (int i = 0; i < 500; ++i) many += encode({"GET", "k"});
  bad.send(many);
  CHECK(eventually([&] { return server.clients() == 1; }));
  CHECK(good.call({"PING"}) == "+PONG\r\n");
}

TEST_CASE("server: clients that vanish in mid-command leave nothing behind") {
  memory_group group;
  running_server server(group);
  for (int i = 0; i < 200; ++i) {
    auto c = server.connect();
    c.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\nabc");
    if (i % 2 == 0) shutdown(c.fd(), SHUT_WR);
  }
  CHECK(eventually([&] { return server.clients() == 0; }));
  auto c = server.connect();
  CHECK(c.call({"EXISTS", "k"}) == ":0\r\n");
  // Half closed: what was asked for before is still answered.
  c.send(encode({"SET", "k", "1"}) + encode({"GET", "k"}));
  shutdown(c.fd(), SHUT_WR);
  CHECK(c.receive() == "+OK\r\n");
  CHECK(c.receive() == "$1\r\n1\r\n");
  CHECK(c.closed());
}

TEST_CASE("server: more clients than allowed are told so") {
  memory_group group;
  kv::server_options options;
  options.clients_max = 3;
  running_server server(group, options);
  std::vector<client> there;
  for (int i = 0; i < 3; ++i) {
    there.push_back(server.connect());
    CHECK(there.back().call({"PING"}) == "+PONG\r\n");
  }
  auto fourth = server.connect();
  CHECK(fourth.receive() == "-ERR max number of clients reached\r\n");
  CHECK(fourth.closed());
}

TEST_CASE("server: when all clients together hold too much, the largest one is closed") {
  memory_group group;
  kv::server_options options;
  options.total_bytes_max = 8u << 20;
  running_server server(group, options);
  auto small = server.connect();
  CHECK(small.call({"PING"}) == "+PONG\r\n");
  auto large = server.connect();
  large.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16000000\r\n");
  for (int i = 0; i < 12; ++i) large.send(std::string(1'000'000, 'x'));
  CHECK(large.closed());
  CHECK(small.call({"PING"}) == "+PONG\r\n");
}

TEST_CASE("server: a thousand clients at once") {
  memory_group group;
  running_server server(group);
  std::vector<client> all;
  for (int i = 0; i < 1000; ++i) all.push_back(server.connect());
  for (auto& c : all) c.send(encode({"INCR", "n"}));
  std::uint64_t sum = 0;
  for (auto& c : all) sum += std::stoull(c.receive().substr(1));
  CHECK(sum == 1000 * 1001 / 2);
}

TEST_CASE("server: a port in use is named, with what to do") {
  memory_group group;
  running_server server(group);
  cohort::transport::loop loop;
  kv::server_options options;
  options.listen = "127.0.0.1:" + std::to_string(server.port());
  const auto start = [&] { kv::server second(loop, options, group.factory(), group.expiry); };
  CHECK_THROWS_WITH_AS(start(),
                       ("cannot listen on " + options.listen + " for Redis clients: Address already in use; another "
                        "program uses this port: stop it, or choose another `redis` in [kv]").c_str(),
                       kv::server_error);
}

TEST_CASE("server: INFO tells about the group, HELLO changes the protocol") {
  memory_group group;
  running_server server(group);
  auto c = server.connect();
  c.call({"SET", "k", "1"});
  c.call({"HSET", "h", "f", "v"});
  const auto info = c.call({"INFO"});
  for (const auto* line :
       {"# Cohort\r\n", "\r\ngroup:kv\r\n", "\r\nview:0\r\n", "\r\nmembers:n1,n2,n3\r\n", "\r\nleader:n1\r\n",
        "\r\nrole:leader\r\n", "\r\nterm:", "\r\nlog_index:2\r\n", "\r\ncommit_index:2\r\n", "\r\napplied_index:2\r\n",
        "\r\ndurable_index:", "\r\nlag_entries:0\r\n",
        "\r\njournal_bytes:", "\r\nstate_digest:", "\r\ndurability:volatile\r\n", "\r\ndb0:keys=2,expires=0,"}) {
    CAPTURE(line);
    CHECK(info.find(line) != info.npos);
  }
  char digest[17];
  std::snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(group.digest()));
  CHECK(info.find("state_digest:" + std::string(digest) + "\r\n") != info.npos);
  CHECK(c.call({"HGETALL", "h"}) == "*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
  CHECK(begins(c.call({"HELLO", "3"}), "%7\r\n"));
  CHECK(c.call({"HGETALL", "h"}) == "%1\r\n$1\r\nf\r\n$1\r\nv\r\n");
  CHECK(c.call({"GET", "nothing"}) == "_\r\n");
  CHECK(begins(c.call({"INFO", "cohort"}), "="));
  CHECK(c.call({"WAIT", "2", "100"}) == ":1\r\n");
}

TEST_SUITE_END();
