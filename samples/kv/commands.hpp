#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace kv {

/// Commands which the store applies or answers. The numbers stand in journals: never change or reuse one, append.
enum class command_id : std::uint8_t {
  none = 0,
  get = 1, set = 2, getset = 3, getdel = 4, getex = 5, mget = 6, mset = 7, msetnx = 8, setnx = 9, setex = 10,
  psetex = 11, append = 12, strlen = 13, getrange = 14, setrange = 15, incr = 16, decr = 17, incrby = 18, decrby = 19,
  incrbyfloat = 20, del = 21, unlink = 22, exists = 23, expire = 24, pexpire = 25, expireat = 26, pexpireat = 27,
  ttl = 28, pttl = 29, expiretime = 30, pexpiretime = 31, persist = 32, type = 33, rename = 34, renamenx = 35,
  keys = 36, scan = 37, randomkey = 38, dbsize = 39, flushdb = 40, flushall = 41, touch = 42, hset = 43, hget = 44,
  hmset = 45, hmget = 46, hgetall = 47, hdel = 48, hexists = 49, hlen = 50, hkeys = 51, hvals = 52, hincrby = 53,
  hsetnx = 54, hstrlen = 55, substr = 56,
  watch_token = 200,  ///< what WATCH asks a replica: one number per key
  summary = 201,      ///< what INFO asks a replica: digest in hexadecimal, number of keys, of those that expire
};

/// Who answers a command.
enum class command_kind : std::uint8_t {
  write,    ///< ordered by the log, applied at every replica
  read,     ///< a query to the state; ordered where it must not pass an earlier write of its connection
  session,  ///< the serving node
};

/// What is known of a command before it runs, and what COMMAND tells about it. Lists are separated by blanks.
struct command_info {
  std::string_view name;  ///< lower case
  command_kind kind{};
  command_id id{};        ///< of writes and reads
  int arity = 0;          ///< words, the name counted; negative = at least
  int first_key = 0, last_key = 0, step = 0;
  std::string_view flags, acl, tips;
  std::string_view key_flags;  ///< of each key specification, separated by ';'
  std::string_view since, group, summary;
};

/// All commands that clients may name, sorted.
std::span<const command_info> all_commands();
/// `name` in any case; nullptr if there is none.
const command_info* find_command(std::string_view name);
/// By number, also the two which no client can name; nullptr if it names none.
const command_info* find_command(command_id id);

/// True if a command of `argc` words, its name counted, has as many as it needs.
constexpr bool arity_fits(const command_info& c, std::size_t argc) {
  return c.arity >= 0 ? argc == static_cast<std::size_t>(c.arity) : argc >= static_cast<std::size_t>(-c.arity);
}

}  // namespace kv
