#include "samples/kv/executor.hpp"
#include "samples/kv/numbers.hpp"

namespace kv {

namespace {

bool is_hash(const entry& e) { return std::holds_alternative<std::unique_ptr<hash_value>>(e.what); }

/// The hash under `key`: nullptr with `out` untouched if there is none, with an error if it is something else.
const hash_value* hash_at(const keyspace& keys, std::string_view key, bool& wrong, reply_writer& out) {
  const auto* e = keys.find(key);
  wrong = e != nullptr && !is_hash(*e);
  if (wrong) out.wrong_type();
  return e == nullptr || wrong ? nullptr : &keyspace::hash_of(*e);
}

/// The entry to be changed under `key`; nullptr after an error.
entry* changeable(keyspace& keys, std::string_view key, reply_writer& out) {
  auto* e = keys.find(key);
  if (e == nullptr) return &keys.create_hash(key);
  if (is_hash(*e)) return e;
  out.wrong_type();
  return nullptr;
}

void write_field(const field* f, reply_writer& out) {
  if (f == nullptr) out.null();
  else out.bulk(f->value);
}

// ---- writing --------------------------------------------------------------------------------------------------------

bool set_fields(keyspace& keys, arguments args, std::string_view name, std::int64_t& added, reply_writer& out) {
  if (args.size() % 2 != 1) {
    wrong_arity(name, out);
    return false;
  }
  auto* e = changeable(keys, args[0], out);
  if (e == nullptr) return false;
  for (std::size_t i = 1; i < args.size(); i += 2) added += keyspace::hash_of(*e).set(args[i], args[i + 1]);
  keys.hash_changed(*e);
  return true;
}

void hset(keyspace& keys, arguments args, reply_writer& out) {
  std::int64_t added = 0;
  if (set_fields(keys, args, "hset", added, out)) out.integer(added);
}

void hmset(keyspace& keys, arguments args, reply_writer& out) {
  std::int64_t added = 0;
  if (set_fields(keys, args, "hmset", added, out)) out.ok();
}

void hsetnx(keyspace& keys, arguments args, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (wrong) return;
  if (hash != nullptr && hash->find(args[1]) != nullptr) return out.integer(0);
  auto& e = keys.create_hash(args[0]);
  keyspace::hash_of(e).set(args[1], args[2]);
  keys.hash_changed(e);
  out.integer(1);
}

void hdel(keyspace& keys, arguments args, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (wrong) return;
  if (hash == nullptr) return out.integer(0);
  auto& e = *keys.find(args[0]);
  std::int64_t gone = 0;
  for (const auto name : args.subspan(1)) gone += keyspace::hash_of(e).erase(name);
  if (gone > 0) keys.hash_changed(e);
  out.integer(gone);
}

void hincrby(keyspace& keys, arguments args, reply_writer& out) {
  const auto amount = parse_integer(args[2]);
  if (!amount) return out.error(not_an_integer);
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (wrong) return;
  std::int64_t value = 0;
  if (const auto* f = hash == nullptr ? nullptr : hash->find(args[1])) {
    const auto old = parse_integer(f->value);
    if (!old) return out.error("ERR hash value is not an integer");
    value = *old;
  }
  if (__builtin_add_overflow(value, *amount, &value)) return out.error("ERR increment or decrement would overflow");
  auto& e = keys.create_hash(args[0]);
  keyspace::hash_of(e).set(args[1], std::to_string(value));
  keys.hash_changed(e);
  out.integer(value);
}

// ---- reading --------------------------------------------------------------------------------------------------------

void hget(const keyspace& keys, arguments args, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (!wrong) write_field(hash == nullptr ? nullptr : hash->find(args[1]), out);
}

void hmget(const keyspace& keys, arguments args, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (wrong) return;
  out.array(args.size() - 1);
  for (const auto name : args.subspan(1)) write_field(hash == nullptr ? nullptr : hash->find(name), out);
}

void hgetall(const keyspace& keys, arguments args, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (wrong) return;
  out.map(hash == nullptr ? 0 : hash->size());
  for (const auto* f = hash == nullptr ? nullptr : hash->first(); f != nullptr; f = f->following) {
    out.bulk(f->name);
    out.bulk(f->value);
  }
}

void write_column(const keyspace& keys, std::string_view key, std::string field::*column, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, key, wrong, out);
  if (wrong) return;
  out.array(hash == nullptr ? 0 : hash->size());
  for (const auto* f = hash == nullptr ? nullptr : hash->first(); f != nullptr; f = f->following) out.bulk(f->*column);
}

void hkeys(const keyspace& keys, arguments args, reply_writer& out) { write_column(keys, args[0], &field::name, out); }
void hvals(const keyspace& keys, arguments args, reply_writer& out) { write_column(keys, args[0], &field::value, out); }

void hexists(const keyspace& keys, arguments args, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (!wrong) out.integer(hash != nullptr && hash->find(args[1]) != nullptr);
}

void hlen(const keyspace& keys, arguments args, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (!wrong) out.integer(hash == nullptr ? 0 : static_cast<std::int64_t>(hash->size()));
}

void hstrlen(const keyspace& keys, arguments args, reply_writer& out) {
  bool wrong = false;
  const auto* hash = hash_at(keys, args[0], wrong, out);
  if (wrong) return;
  const auto* f = hash == nullptr ? nullptr : hash->find(args[1]);
  out.integer(f == nullptr ? 0 : static_cast<std::int64_t>(f->value.size()));
}

}  // namespace

handlers hash_handlers(command_id id) {
  switch (id) {
    case command_id::hset: return {.write = hset};
    case command_id::hmset: return {.write = hmset};
    case command_id::hsetnx: return {.write = hsetnx};
    case command_id::hdel: return {.write = hdel};
    case command_id::hincrby: return {.write = hincrby};
    case command_id::hget: return {.read = hget};
    case command_id::hmget: return {.read = hmget};
    case command_id::hgetall: return {.read = hgetall};
    case command_id::hkeys: return {.read = hkeys};
    case command_id::hvals: return {.read = hvals};
    case command_id::hexists: return {.read = hexists};
    case command_id::hlen: return {.read = hlen};
    case command_id::hstrlen: return {.read = hstrlen};
    default: return {};
  }
}

}  // namespace kv
