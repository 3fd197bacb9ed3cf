#include "kv_support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace kv_test;

namespace {

std::int64_t wall_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Elements of an array reply whose order is free.
std::string sorted(const std::string& reply) {
  if (reply.empty() || reply[0] != '*') return reply;
  const auto header = reply.find("\r\n") + 2;
  std::vector<std::string> parts;
  for (auto at = header; at < reply.size();) {
    const auto size = kv::element_size(std::string_view(reply).substr(at));
    if (size == 0) return reply;
    parts.push_back(reply.substr(at, size));
    at += size;
  }
  std::sort(parts.begin(), parts.end());
  auto result = reply.substr(0, header);
  for (const auto& part : parts) result += part;
  return result;
}

bool same(const words& argv, const std::string& ours, const std::string& theirs) {
  if (ours == theirs) return true;
  const auto& name = argv[0];
  if (name == "KEYS") return sorted(ours) == sorted(theirs);
  // Redis counts expired keys which it has not noticed yet.
  if (name == "DBSIZE")
    return ours[0] == ':' && theirs[0] == ':' && std::stoll(ours.substr(1)) <= std::stoll(theirs.substr(1));
  // Milliseconds pass between the two.
  if (name == "PTTL" || name == "TTL" || name == "PEXPIRETIME" || name == "EXPIRETIME")
    return ours[0] == ':' && theirs[0] == ':' &&
           std::abs(std::stoll(ours.substr(1)) - std::stoll(theirs.substr(1))) < 2000;
  return false;
}

class generator {
public:
  explicit generator(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  std::string pick(std::initializer_list<const char*> from) { return *(from.begin() + below(from.size())); }
  std::string key() { return "k" + std::to_string(below(8)); }
  std::string field() { return "f" + std::to_string(below(6)); }
  std::string integer() {
    return pick({"0", "1", "-1", "5", "100", "-7", "9223372036854775807", "-9223372036854775808", "abc", "", "1.5",
                 " 1", "01", "+3", "9223372036854775808", "00", "-0", "1e3"});
  }
  std::string real() {
    return pick({"0", "1", "-1.5", "3.0e3", "1e400", "nan", "inf", "-inf", "0.1", "1e-10", "abc", "", " 1", "1 ",
                 "0x10", "5000000000", "123456789.123456789", "1e17"});
  }
  std::string text() {
    return pick({"", "a", "hello", "12", "-3", "10.5", "007", "a longer text of more than thirty characters",
                 "\r\n\r\n", "9223372036854775806", "1e5"});
  }
  std::string time() {
    return pick({"100", "1000", "0", "-5", "abc", "9223372036854775807", "92233720368547758", "500"});
  }
  std::string moment() { return pick({"1", "4000000000", "4000000000000", "0", "-1", "x", "9223372036854775807"}); }
  std::string cased(std::string word) {
    for (auto& c : word)
      if (one_in(4)) c = static_cast<char>(std::tolower(c));
    return word;
  }

  words command() {
    words c = one();
    if (one_in(60)) c.push_back(text());
    if (one_in(60) && c.size() > 1) c.pop_back();
    return c;
  }

private:
  words set() {
    words c{"SET", key(), text()};
    while (one_in(2)) {
      const auto option = pick({"NX", "XX", "GET", "KEEPTTL", "EX", "PX", "EXAT", "PXAT", "BAD"});
      c.push_back(cased(option));
      if (option == "EX" || option == "PX") c.push_back(time());
      if (option == "EXAT" || option == "PXAT") c.push_back(moment());
    }
    return c;
  }
  words getex() {
    words c{"GETEX", key()};
    while (one_in(2)) {
      const auto option = pick({"PERSIST", "EX", "PX", "EXAT", "PXAT"});
      c.push_back(cased(option));
      if (option == "EX" || option == "PX") c.push_back(time());
      if (option == "EXAT" || option == "PXAT") c.push_back(moment());
    }
    return c;
  }
  words expire() {
    words c{pick({"EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT"}), key()};
    c.push_back(c[0].ends_with("AT") ? moment() : time());
    while (one_in(2)) c.push_back(cased(pick({"NX", "XX", "GT", "LT", "ZZ"})));
    return c;
  }
  words one() {
    switch (below(50)) {
      case 0: case 1: case 2: case 3: return set();
      case 4: return {"GET", key()};
      case 5: return {"GETSET", key(), text()};
      case 6: return {"GETDEL", key()};
      case 7: case 8: return getex();
      case 9: return {"MGET", key(), key(), key()};
      case 10: return {pick({"MSET", "MSETNX"}), key(), text(), key(), text()};
      case 11: return {"SETNX", key(), text()};
      case 12: return {pick({"SETEX", "PSETEX"}), key(), time(), text()};
      case 13: return {"APPEND", key(), text()};
      case 14: return {"STRLEN", key()};
      case 15: return {pick({"GETRANGE", "SUBSTR"}), key(), integer(), integer()};
      case 16: return {"SETRANGE", key(), pick({"0", "3", "10", "-1", "x", "20000000", "600000000"}), text()};
      case 17: return {pick({"INCR", "DECR"}), key()};
      case 18: case 19: return {pick({"INCRBY", "DECRBY"}), key(), integer()};
      case 20: case 21: return {"INCRBYFLOAT", key(), real()};
      case 22: return {pick({"DEL", "UNLINK", "EXISTS", "TOUCH"}), key(), key()};
      case 23: case 24: case 25: return expire();
      case 26: return {pick({"TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME", "PERSIST"}), key()};
      case 27: return {"TYPE", key()};
      case 28: return {pick({"RENAME", "RENAMENX"}), key(), key()};
      case 29: return {"KEYS", pick({"*", "k[1-3]", "k?", "x*", "k[^1]", "\\k1", "k[", "[", "k\\", "*1", "k[3-1]"})};
      case 30: return {"DBSIZE"};
      case 31:
        return one_in(5) ? words{pick({"FLUSHDB", "FLUSHALL"}), pick({"SYNC", "async", "now"})} : words{"DBSIZE"};
      case 32: case 33: case 34: return {pick({"HSET", "HMSET"}), key(), field(), text(), field(), text()};
      case 35: return {"HGET", key(), field()};
      case 36: return {"HMGET", key(), field(), field()};
      case 37: case 38: return {pick({"HGETALL", "HKEYS", "HVALS", "HLEN"}), key()};
      case 39: case 40: return {"HDEL", key(), field(), field()};
      case 41: return {"HEXISTS", key(), field()};
      case 42: case 43: return {"HINCRBY", key(), field(), integer()};
      case 44: return {"HSETNX", key(), field(), text()};
      case 45: return {"HSTRLEN", key(), field()};
      case 46: return {"SCAN", pick({"abc", "-1x", " 1", "1 ", "99999999999999999999"}), "COUNT", "5"};
      case 47: return {"SCAN", "0", pick({"COUNT", "MATCH", "TYPE", "BAD"}), pick({"0", "x", "-1"}), "COUNT", "x"};
      case 48: return {"SETRANGE", key(), "2", ""};
      default: return {"INCR", key()};
    }
  }

  std::mt19937_64 random_;
};

std::string shown(const words& argv) {
  std::string all;
  for (const auto& word : argv) all += "'" + word + "' ";
  return all;
}

/// Replies which the store leaves to the server in front of it.
bool for_the_store(const words& argv) {
  const auto* info = kv::find_command(argv[0]);
  return info != nullptr && kv::arity_fits(*info, argv.size());
}

void compare(std::uint64_t seed, int protocol, int steps, client& redis) {
  CAPTURE(seed);
  generator next(seed);
  replica ours;
  REQUIRE(redis.call({"FLUSHALL"}) == "+OK\r\n");
  REQUIRE(redis.call({"CONFIG", "SET", "proto-max-bulk-len", "16777216"}) == "+OK\r\n");
  for (int i = 0; i < steps; ++i) {
    const auto argv = next.command();
    if (!for_the_store(argv)) continue;
    INFO("step " << i << ": " << shown(argv));
    const auto theirs = redis.call(argv);
    ours.now_us = wall_us();
    const bool read = kv::find_command(argv[0])->kind == kv::command_kind::read;
    if (read && next.one_in(2)) ours.apply_message({std::byte{0}});  // brings time
    const auto mine = read && next.one_in(2) ? (ours.apply_message({std::byte{0}}), ours.ask(argv, protocol))
                                             : ours.apply(argv, protocol);
    if (!same(argv, mine, theirs)) FAIL_CHECK("ours: " << mine << " theirs: " << theirs);
  }
}

}  // namespace

TEST_SUITE_BEGIN("differential");

TEST_CASE("store: random commands get the replies of redis-server") {
  const auto redis = redis_process::start();
  if (redis == nullptr) {
    MESSAGE("SKIPPED: redis-server is not installed");
    return;
  }
  for (int protocol : {2, 3}) {
    CAPTURE(protocol);
    auto connection = redis->connect();
    const auto hello = connection.call({"HELLO", std::to_string(protocol)});
    REQUIRE(hello[0] != '-');
    for (std::uint64_t seed = 1; seed <= 30; ++seed) compare(seed, protocol, 1500, connection);
  }
}

TEST_SUITE_END();
