#include "kv_support.hpp"

#include "samples/kv/resp_parser.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstring>
#include <iostream>
#include <random>
#include <set>

using namespace kv_test;

namespace {

constexpr std::int64_t second = 1'000'000;

words random_write(std::mt19937_64& random) {
  const auto key = "key" + std::to_string(random() % 300);
  const auto text = std::string(random() % 80, static_cast<char>('a' + random() % 26));
  switch (random() % 12) {
    case 0: return {"HSET", "h" + key, std::to_string(random() % 20), text};
    case 1: return {"HDEL", "h" + key, std::to_string(random() % 20)};
    case 2: return {"DEL", key};
    case 3: return {"SET", key, text, "PX", std::to_string(1 + random() % 5000)};
    case 4: return {"APPEND", key, text};
    case 5: return {"RENAME", key, "key" + std::to_string(random() % 300)};
    case 6: return {"SETRANGE", key, std::to_string(random() % 9000), text};
    case 7: return {"PERSIST", key};
    case 8: return random() % 50 == 0 ? words{"FLUSHALL"} : words{"INCR", "n" + key};
    default: return {"SET", key, text};
  }
}

/// Digest of the same keys, values, versions and tombstones computed from nothing.
std::uint64_t digest_again(const kv::store& machine) {
  kv::store fresh;
  restore_from(checkpoint_of(machine), fresh);
  return fresh.digest();
}

std::vector<std::string> scan_all(replica& r, const std::string& count, const std::function<void()>& between = {}) {
  std::vector<std::string> found;
  std::string cursor = "0";
  do {
    const auto reply = r.ask({"SCAN", cursor, "COUNT", count});
    auto rest = std::string_view(reply).substr(reply.find("\r\n") + 2);
    const auto text = [&] {
      const auto size = kv::element_size(rest);
      REQUIRE(size > 0);
      const auto element = rest.substr(0, size);
      rest.remove_prefix(size);
      return std::string(element.substr(element.find("\r\n") + 2, element.size() - element.find("\r\n") - 4));
    };
    cursor = text();
    rest.remove_prefix(rest.find("\r\n") + 2);
    while (!rest.empty()) found.push_back(text());
    if (between) between();
  } while (cursor != "0");
  return found;
}

}  // namespace

TEST_SUITE_BEGIN("store");

TEST_CASE("store: expiry follows agreed time, not the replica's") {
  replica r;
  r.apply({"SET", "k", "v", "PX", "1000"});
  r.now_us += second;
  r.apply_message({std::byte{0}});
  CHECK(r.ask({"GET", "k"}) == "$1\r\nv\r\n");  // its last millisecond
  CHECK(r.ask({"PTTL", "k"}) == ":0\r\n");
  r.now_us += 1000;
  r.apply({"SET", "other", "x"});
  CHECK(r.ask({"GET", "k"}) == "$-1\r\n");
  CHECK(r.apply({"EXISTS", "k"}) == ":0\r\n");
  CHECK(r.ask({"TTL", "k"}) == ":-2\r\n");
  CHECK(r.apply({"SET", "k", "w", "XX"}) == "$-1\r\n");
  CHECK(r.apply({"INCR", "k"}) == ":1\r\n");
  CHECK(r.ask({"TTL", "k"}) == ":-1\r\n");
  r.apply({"SET", "brief", "v", "PX", "1"});
  r.now_us += 10'000;
  r.apply_message({std::byte{0}});
  CHECK(r.ask({"GET", "brief"}) == "$-1\r\n");
  r.now_us -= 10 * second;  // never goes back: what was gone is not there again, nothing lives longer
  r.apply({"SET", "p", "v", "PX", "500"});
  CHECK(r.ask({"PTTL", "p"}) == ":500\r\n");
  CHECK(r.ask({"GET", "brief"}) == "$-1\r\n");
  r.now_us += 10 * second + 499'000;
  r.apply_message({std::byte{0}});
  CHECK(r.ask({"PTTL", "p"}) == ":1\r\n");
}

TEST_CASE("store: when the next key expires is told") {
  std::vector<std::int64_t> told;
  kv::store machine([&](std::int64_t ms) { told.push_back(ms); });
  std::uint64_t position = 0;
  const auto apply = [&](const words& argv, std::int64_t us) {
    const auto message = message_of(argv);
    cohort::delivery d;
    d.payload = message;
    d.position = ++position;
    d.time = cohort::wall_time(us);
    cohort::reply ignored;
    machine.apply(d, ignored);
  };
  apply({"SET", "a", "1", "PX", "500"}, 1000'000);
  apply({"SET", "b", "1", "PX", "900"}, 1000'000);
  apply({"SET", "c", "1", "PX", "100"}, 1000'000);
  apply({"SET", "d", "1"}, 1101'000);
  apply({"DEL", "a", "b"}, 1101'000);
  CHECK(told == std::vector<std::int64_t>{1500, 1100, 1500, kv::never_due});
}

TEST_CASE("store: many keys that expire together are given back in steps, but are gone at once") {
  replica r;
  for (int i = 0; i < 1000; ++i) r.apply({"SET", "k" + std::to_string(i), "v", "PX", "10"});
  r.apply({"SET", "stays", "v"});
  r.now_us += second;
  r.apply({"SET", "other", "v"});
  CHECK(r.ask({"DBSIZE"}) == ":2\r\n");
  CHECK(scan_all(r, "7").size() == 2);
  CHECK(r.machine.keys().next_due() != kv::never_due);
  for (int i = 0; i < 100; ++i) r.apply_message({std::byte{0}});
  CHECK(r.machine.keys().next_due() == kv::never_due);
  CHECK(r.ask({"DBSIZE"}) == ":2\r\n");
  for (int i = 0; i < 10; ++i) {
    const auto key = r.ask({"RANDOMKEY"});
    CHECK((key == "$5\r\nstays\r\n" || key == "$5\r\nother\r\n"));
  }
}

TEST_CASE("store: queries say whether time matters, and change nothing") {
  replica r;
  r.apply({"SET", "plain", "1"});
  bool time = true;
  r.ask({"GET", "plain"}, 2, &time);
  CHECK_FALSE(time);
  r.ask({"DBSIZE"}, 2, &time);
  CHECK_FALSE(time);
  r.apply({"SET", "brief", "1", "EX", "5"});
  r.ask({"GET", "plain"}, 2, &time);
  CHECK_FALSE(time);
  for (const words& argv : {words{"GET", "brief"}, {"TTL", "brief"}, {"DBSIZE"}, {"KEYS", "*"}, {"EXISTS", "brief"}}) {
    r.ask(argv, 2, &time);
    CHECK(time);
  }
  const auto before = checkpoint_of(r.machine);
  r.now_us += 100 * second;
  r.ask({"GET", "brief"});
  r.ask({"RANDOMKEY"});
  CHECK(checkpoint_of(r.machine) == before);
}

TEST_CASE("store: a query is cut when its answers grow large, and never empty") {
  replica r;
  r.apply({"SET", "big", std::string(3u << 20, 'x')});
  kv::bytes question;
  const std::string_view key = "big";
  for (int i = 0; i < 10; ++i) kv::append_command(kv::command_id::get, {&key, 1}, question);
  cohort::reply answer;
  r.machine.query(question, answer);
  kv::answers all;
  REQUIRE(kv::decode_answers(answer.bytes(), all));
  CHECK(all.replies.size() == 2);
  // One reply has a bound, too.
  words argv{"MGET"};
  for (int i = 0; i < 60; ++i) argv.push_back("big");
  CHECK(r.ask(argv).starts_with("-ERR the reply would be larger"));
  CHECK(r.apply({"GET", "big"}).size() > (3u << 20));
}

TEST_CASE("store: watch tokens change with every change, and with nothing else that matters") {
  replica r;
  const auto absent = r.token("k");
  r.apply({"SET", "k", "1", "PX", "100"});
  const auto present = r.token("k");
  CHECK(present != absent);
  r.apply({"GET", "k"});
  r.apply({"EXISTS", "k"});
  CHECK(r.token("k") == present);
  r.apply({"SET", "k", "1", "PX", "100"});
  const auto again = r.token("k");
  CHECK(again != present);
  r.now_us += second;
  r.apply_message({std::byte{0}});
  const auto expired = r.token("k");
  CHECK(expired != again);
  for (int i = 0; i < 50; ++i) r.apply_message({std::byte{0}});
  CHECK(r.token("k") == expired);  // giving the memory back is no change
  CHECK(expired != absent);        // it came and went
  for (const words& argv : {words{"HSET", "h", "f", "1"}, {"HINCRBY", "h", "f", "1"}, {"HDEL", "h", "f"},
                            {"APPEND", "h", "x"}, {"EXPIRE", "h", "10"}, {"PERSIST", "h"}, {"RENAME", "h", "i"}}) {
    const auto before = r.token("h");
    r.apply(argv);
    CHECK(r.token("h") != before);
  }
  const auto before = r.token("i");
  for (const words& argv : {words{"HDEL", "i", "f"}, {"SETNX", "i", "x"}, {"SET", "i", "x", "NX"}, {"TTL", "i"},
                            {"SETRANGE", "i", "0", ""}, {"RENAMENX", "i", "i"}, {"INCR", "i"}})
    r.apply(argv);
  CHECK(r.token("i") == before);
}

TEST_CASE("store: a transaction runs as a whole, or not at all") {
  replica r;
  r.apply({"SET", "k", "5"});
  const auto token = r.token("k");
  kv::bytes queued;
  const std::string_view key = "k", word = "x";
  kv::append_command(kv::command_id::incr, {&key, 1}, queued);
  const std::string_view pair[] = {key, word};
  kv::append_command(kv::command_id::hget, pair, queued);
  kv::append_command(kv::command_id::get, {&key, 1}, queued);
  const auto transaction = [&](std::uint64_t seen, std::uint64_t count) {
    kv::bytes message;
    const kv::watch watches[] = {{"k", seen}};
    kv::encode_transaction(watches, queued, count, message);
    return message;
  };
  CHECK(r.apply_message(transaction(token, 3)) ==
        "*3\r\n:6\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n$1\r\n6\r\n");
  CHECK(r.apply_message(transaction(token, 3)) == "*-1\r\n");
  CHECK(r.apply_message(transaction(r.token("k"), 2)).starts_with("-ERR this message is no command"));
  CHECK(r.ask({"GET", "k"}) == "$1\r\n6\r\n");
  // Each of several watched keys counts, wherever it stands.
  const auto of_two = [&](std::uint64_t k, std::uint64_t other) {
    kv::bytes message;
    const kv::watch watches[] = {{"k", k}, {"other", other}};
    kv::encode_transaction(watches, queued, 3, message);
    return r.apply_message(message);
  };
  CHECK(of_two(token, r.token("other")) == "*-1\r\n");
  CHECK(of_two(r.token("k"), r.token("other") + 1) == "*-1\r\n");
  CHECK(of_two(r.token("k"), r.token("other")).starts_with("*3\r\n:7\r\n"));
}

TEST_CASE("store: any bytes are answered, the same way everywhere, and change nothing unless they are a command") {
  std::mt19937_64 random(5);
  replica one, two;
  const std::string_view args[] = {"k", "value"};
  kv::bytes good, queued;
  kv::encode_command(kv::command_id::set, args, good);
  kv::append_command(kv::command_id::set, args, queued);
  kv::bytes transaction;
  kv::encode_transaction({}, queued, 1, transaction);
  for (int i = 0; i < 50'000; ++i) {
    auto message = random() % 2 == 0 ? good : transaction;
    for (auto changes = random() % 4; changes > 0; --changes)
      message[random() % message.size()] = static_cast<std::byte>(random());
    if (random() % 3 == 0) message.resize(random() % message.size());
    const auto reply = one.apply_message(message);
    REQUIRE(kv::element_size(reply) == reply.size());
    REQUIRE(two.apply_message(message) == reply);
    cohort::reply ignored;
    one.machine.query(message, ignored);
  }
  CHECK(one.machine.digest() == two.machine.digest());
  CHECK(checkpoint_of(one.machine) == checkpoint_of(two.machine));
}

TEST_CASE("store: a replica restored from a checkpoint goes on exactly like the one that made it") {
  std::mt19937_64 random(11);
  replica original;
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 300; ++i) {
      original.now_us += static_cast<std::int64_t>(random() % 20'000);
      original.apply(random_write(random));
    }
    const auto checkpoint = checkpoint_of(original.machine);
    replica restored;
    restored.apply({"SET", "leftover", "of another life"});
    restore_from(checkpoint, restored.machine);
    restored.position = original.position;
    restored.now_us = original.now_us;
    REQUIRE(restored.machine.digest() == original.machine.digest());
    REQUIRE(checkpoint_of(restored.machine) == checkpoint);
    for (int i = 0; i < 200; ++i) {
      original.now_us += 5'000;
      restored.now_us = original.now_us;
      const auto argv = random_write(random);
      REQUIRE(restored.apply(argv) == original.apply(argv));
      const auto key = "key" + std::to_string(random() % 300);
      REQUIRE(restored.token(key) == original.token(key));
    }
    REQUIRE(restored.machine.digest() == original.machine.digest());
    REQUIRE(digest_again(original.machine) == original.machine.digest());
    REQUIRE(scan_all(restored, "10") == scan_all(original, "10"));
  }
}

TEST_CASE("store: a checkpoint that is cut or damaged is refused, not believed") {
  replica r;
  for (int i = 0; i < 50; ++i) r.apply({"HSET", "h" + std::to_string(i), "f", "v"});
  const auto good = checkpoint_of(r.machine);
  for (std::size_t size = 0; size < good.size(); size += 13) {
    kv::store machine;
    auto cut = good;
    cut.resize(size);
    CHECK_THROWS(restore_from(cut, machine));
  }
  auto other_version = good;
  other_version[0] = std::byte{9};
  kv::store machine;
  CHECK_THROWS_WITH(restore_from(other_version, machine),
                    "kv checkpoint has format 9, this program reads format 1: start the version that wrote it");
}

TEST_CASE("store: SCAN finds every key that is there all the time, once, while others come and go") {
  replica r;
  std::mt19937_64 random(3);
  std::set<std::string> always;
  for (int i = 0; i < 2000; ++i) {
    always.insert("always" + std::to_string(i));
    r.apply({"SET", "always" + std::to_string(i), "v"});
  }
  int turn = 0;
  const auto found = scan_all(r, "37", [&] {
    // The table doubles, then shrinks again, under the scan.
    ++turn;
    for (int i = 0; i < 400; ++i)
      r.apply({turn < 25 ? "SETNX" : "DEL", "temp" + std::to_string(turn % 25 * 400 + i), "v"});
  });
  std::multiset<std::string> kept;
  for (const auto& key : found)
    if (key.starts_with("always")) kept.insert(key);
  CHECK(kept.size() == always.size());
  CHECK(std::set<std::string>(kept.begin(), kept.end()) == always);
}

TEST_CASE("store: the digest tells states apart and does not depend on the way to them") {
  replica a, b;
  CHECK(a.machine.digest() == 0);
  a.apply({"SET", "k", "1"});
  b.apply({"SET", "k", "2"});
  CHECK(a.machine.digest() != b.machine.digest());
  for (std::size_t size : {1u, 4095u, 4096u, 4097u, 20'000u}) {
    replica whole, parts;
    const std::string text(size, 'q');
    whole.position = size;
    whole.apply({"GET", "x"});
    parts.apply({"GET", "x"});
    for (std::size_t at = 0; at < size; at += 1000) parts.apply({"APPEND", "k", text.substr(at, 1000)});
    parts.position = whole.position;
    whole.apply({"SET", "k", text});
    parts.apply({"SETRANGE", "k", "0", "q"});
    CHECK(whole.ask({"GET", "k"}) == parts.ask({"GET", "k"}));
    CHECK(whole.machine.digest() == parts.machine.digest());
  }
}

TEST_SUITE_END();

TEST_SUITE_BEGIN("speed");

TEST_CASE("speed: SET of 256 B applied, and parsed" * doctest::skip()) {
  constexpr int count = 2'000'000;
  const std::string value(256, 'v');
  for (const int distinct : {1'000, 100'000, 1'000'000}) {
    std::vector<kv::bytes> messages(static_cast<std::size_t>(distinct));
    for (int i = 0; i < distinct; ++i)
      messages[static_cast<std::size_t>(i)] = message_of({"SET", "key:" + std::to_string(i), value});
    replica r;
    cohort::reply answer;
    cohort::delivery d;
    const auto before = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
      d.payload = messages[static_cast<std::size_t>(i) % messages.size()];
      d.position = static_cast<std::uint64_t>(i) + 1;
      answer.clear();
      r.machine.apply(d, answer);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
    std::cout << "apply SET 256 B, " << distinct << " keys: " << count / took.count() / 1e6 << " M/s\n";
  }
  std::string raw;
  for (int i = 0; i < 200; ++i) raw += encode({"SET", "key:000000012345", value});
  kv::resp_parser parser(16u << 20);
  std::size_t parsed = 0;
  const auto before = std::chrono::steady_clock::now();
  while (parsed < count) {
    std::memcpy(parser.room(raw.size()).data(), raw.data(), raw.size());
    parser.fill(raw.size());
    while (parser.next() == kv::resp_parser::result::command) ++parsed;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - before;
  std::cout << "parse SET 256 B: " << static_cast<double>(parsed) / took.count() / 1e6 << " M/s\n";
}

TEST_SUITE_END();
