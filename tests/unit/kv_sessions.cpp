#include "kv_fixture.hpp"

#include <doctest/doctest.h>

using namespace kv_test;

namespace {

/// Raw bytes sent to both, and how many replies come back.
struct step {
  std::string raw;
  int replies = 1;
};

step command(const words& argv) { return {encode(argv)}; }

std::vector<step> steps() {
  std::vector<step> all;
  for (const auto& argv : std::vector<words>{{"PING"},
                                             {"ping", "text"},
                                             {"PING", "a", "b"},
                                             {"ECHO"},
                                             {"ECHO", "x"},
                                             {"SELECT", "0"},
                                             {"SELECT", "x"},
                                             {"SELECT", "-1"},
                                             {"SELECT", "99999999999"},
                                             {"HELLO", "x"},
                                             {"HELLO", "4"},
                                             {"HELLO", "2", "SETNAME"},
                                             {"HELLO", "2", "BAD", "x"},
                                             {"HELLO", "2", "SETNAME", "a b"},
                                             {"HELLO", "2", "AUTH", "nobody", "x"},
                                             {"CLIENT"},
                                             {"CLIENT", "GETNAME"},
                                             {"CLIENT", "SETNAME", "me"},
                                             {"CLIENT", "GETNAME"},
                                             {"CLIENT", "SETNAME", "a b"},
                                             {"CLIENT", "SETNAME", ""},
                                             {"CLIENT", "GETNAME"},
                                             {"CLIENT", "SETNAME"},
                                             {"CLIENT", "ID", "x"},
                                             {"CLIENT", "GETNAME", "x"},
                                             {"CLIENT", "NOSUCH"},
                                             {"client", "Nosuch"},
                                             {"NOSUCH"},
                                             {"NOSUCH", "a", "b"},
                                             {"nosuch", std::string(200, 'x'), "y"},
                                             {"no\r\nsuch", "a\r\nb"},
                                             {"GET"},
                                             {"GET", "a", "b"},
                                             {"SET", "a"},
                                             {"MSET", "a"},
                                             {"MSET", "a", "b", "c"},
                                             {"HSET", "h", "a"},
                                             {"HSET", "h", "a", "b", "c"},
                                             {"HMSET", "h", "a", "b", "c"},
                                             {"MSETNX", "a", "b", "c"},
                                             {"EXPIRE", "a"},
                                             {"EXEC"},
                                             {"DISCARD"},
                                             {"MULTI"},
                                             {"MULTI"},
                                             {"WATCH", "a"},
                                             {"SET", "a", "1"},
                                             {"INCR", "a"},
                                             {"HGETALL", "a"},
                                             {"HSET", "hh", "f", "v"},
                                             {"HGETALL", "hh"},
                                             {"GET", "none"},
                                             {"PING"},
                                             {"ECHO", "e"},
                                             {"CLIENT", "SETNAME", "n"},
                                             {"CLIENT", "GETNAME"},
                                             {"SELECT", "0"},
                                             {"UNWATCH"},
                                             {"EXEC"},
                                             {"GET", "a"},
                                             {"CLIENT", "GETNAME"},
                                             {"MULTI"},
                                             {"SET", "a", "2"},
                                             {"NOSUCH"},
                                             {"SET", "a", "3"},
                                             {"EXEC"},
                                             {"GET", "a"},
                                             {"EXEC"},
                                             {"MULTI"},
                                             {"SET", "a"},
                                             {"EXEC"},
                                             {"MULTI"},
                                             {"EXEC"},
                                             {"MULTI", "x"},
                                             {"MULTI"},
                                             {"SET", "a", "9"},
                                             {"DISCARD"},
                                             {"GET", "a"},
                                             {"WATCH"},
                                             {"UNWATCH", "x"},
                                             {"UNWATCH"},
                                             {"MULTI"},
                                             {"INCR", "hh"},
                                             {"INCR", "a"},
                                             {"EXEC"},
                                             {"WATCH", "a", "a", "b"},
                                             {"MULTI"},
                                             {"GET", "a"},
                                             {"EXEC"},
                                             {"WATCH", "a"},
                                             {"SET", "a", "x"},
                                             {"MULTI"},
                                             {"GET", "a"},
                                             {"EXEC"},
                                             {"CONFIG", "GET", "save"},
                                             {"CONFIG", "GET", "nothing*"},
                                             {"CONFIG", "GET"},
                                             {"CONFIG", "NOSUCH"},
                                             {"CONFIG"},
                                             {"COMMAND", "INFO", "nosuch"},
                                             {"COMMAND", "NOSUCH"},
                                             {"COMMAND", "COUNT", "x"},
                                             {"COMMAND", "DOCS", "nosuch"},
                                             {"WAIT", "0", "-1"},
                                             {"WAIT", "x", "1"},
                                             {"WAIT", "0", "x"},
                                             {"WAIT", "0"},
                                             {"TIME", "x"},
                                             {"FLUSHALL", "x", "y"}})
    all.push_back(command(argv));
  for (const auto* raw :
       {"PING\r\n", "  ping  \r\n", "SET 'a b' \"c\\x41\"\r\n", "GET 'a b'\r\n", "*1\r\n$4\r\nPING\r\n"})
    all.push_back({raw});
  all.push_back({"\r\n*0\r\n*-1\r\nPING\r\n"});
  all.push_back(
      {encode({"SET", "p", "1"}) + encode({"INCR", "p"}) + encode({"GET", "p"}) + encode({"HGET", "p", "x"}), 4});
  return all;
}

}  // namespace

TEST_SUITE_BEGIN("differential");

TEST_CASE("server: what concerns connections and transactions is answered like redis-server answers it") {
  const auto redis = redis_process::start();
  if (redis == nullptr) {
    MESSAGE("SKIPPED: redis-server is not installed");
    return;
  }
  for (const auto* protocol : {"2", "3"}) {
    memory_group group;
    running_server server(group);
    auto ours = server.connect(), theirs = redis->connect();
    REQUIRE(theirs.call({"FLUSHALL"}) == "+OK\r\n");
    REQUIRE(ours.call({"HELLO", protocol})[0] == theirs.call({"HELLO", protocol})[0]);
    for (const auto& s : steps()) {
      if (std::string_view(protocol) == "3" && s.raw.find("HELLO\r\n$1\r\n2") != s.raw.npos) continue;
      CAPTURE(protocol);
      CAPTURE(s.raw);
      ours.send(s.raw);
      theirs.send(s.raw);
      for (int i = 0; i < s.replies; ++i) CHECK(ours.receive() == theirs.receive());
    }
  }
}

TEST_CASE("server: COMMAND INFO tells what redis-server tells") {
  const auto redis = redis_process::start();
  if (redis == nullptr) {
    MESSAGE("SKIPPED: redis-server is not installed");
    return;
  }
  memory_group group;
  running_server server(group);
  for (const auto* protocol : {"2", "3"}) {
    auto ours = server.connect(), theirs = redis->connect();
    ours.call({"HELLO", protocol});
    theirs.call({"HELLO", protocol});
    for (const auto& c : kv::all_commands()) {
      if (c.name == "client" || c.name == "config" || c.name == "command") continue;  // subcommands are not listed
      const words question{"COMMAND", "INFO", std::string(c.name)};
      CHECK(ours.call(question) == theirs.call(question));
    }
  }
  auto c = server.connect();
  CHECK(c.call({"COMMAND", "COUNT"}) == ":" + std::to_string(kv::all_commands().size()) + "\r\n");
  CHECK(c.call({"COMMAND"}).starts_with("*" + std::to_string(kv::all_commands().size()) + "\r\n"));
  CHECK(c.call({"COMMAND", "DOCS", "get"}).starts_with("*2\r\n$3\r\nget\r\n*6\r\n$7\r\nsummary\r\n"));
}

TEST_SUITE_END();
