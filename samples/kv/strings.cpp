#include "samples/kv/executor.hpp"
#include "samples/kv/numbers.hpp"

#include <cmath>
#include <limits>

namespace kv {

namespace {

const std::string* as_string(const entry& e) { return std::get_if<std::string>(&e.what); }

/// Writes the error if the key holds something else than a string.
bool wrong_type(const entry* e, reply_writer& out) {
  if (e == nullptr || as_string(*e) != nullptr) return false;
  out.wrong_type();
  return true;
}

void write_string(const entry* e, reply_writer& out) {
  if (e == nullptr) out.null();
  else out.bulk(*as_string(*e));
}

// ---- options of SET and GETEX ---------------------------------------------------------------------------------------

struct options {
  bool if_missing = false, if_there = false, get = false, keep = false, persist = false;
  bool seconds = false, relative = false;
  enum class expiry_kind { none, ex, px, exat, pxat } kind = expiry_kind::none;
  std::string_view expiry;
};

bool parse_options(arguments rest, bool is_set, options& o) {
  using kind = options::expiry_kind;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const auto word = rest[i];
    const auto expiry = [&](std::string_view name, kind which) {
      if (!same_word(word, name) || o.keep || o.persist || (o.kind != kind::none && o.kind != which)) return false;
      if (i + 1 == rest.size()) return false;
      o.kind = which;
      o.expiry = rest[++i];
      return true;
    };
    if (is_set && same_word(word, "nx") && !o.if_there) o.if_missing = true;
    else if (is_set && same_word(word, "xx") && !o.if_missing) o.if_there = true;
    else if (is_set && same_word(word, "get")) o.get = true;
    else if (is_set && same_word(word, "keepttl") && o.kind == kind::none) o.keep = true;
    else if (!is_set && same_word(word, "persist") && o.kind == kind::none) o.persist = true;
    else if (!expiry("ex", kind::ex) && !expiry("px", kind::px) && !expiry("exat", kind::exat) &&
             !expiry("pxat", kind::pxat))
      return false;
  }
  o.seconds = o.kind == kind::ex || o.kind == kind::exat;
  o.relative = o.kind == kind::ex || o.kind == kind::px;
  return true;
}

// ---- writing --------------------------------------------------------------------------------------------------------

void set(keyspace& keys, arguments args, reply_writer& out) {
  options o;
  if (!parse_options(args.subspan(2), true, o)) return out.error(syntax_error);
  std::int64_t expires = no_expiry;
  if (o.kind != options::expiry_kind::none) {
    const auto parsed = parse_expiry(keys, o.expiry, o.seconds, o.relative, "set", out);
    if (!parsed) return;
    expires = *parsed;
  }
  const auto* old = keys.find(args[0]);
  if (o.get && wrong_type(old, out)) return;
  if (o.get) write_string(old, out);
  if ((o.if_missing && old != nullptr) || (o.if_there && old == nullptr)) {
    if (!o.get) out.null();
    return;
  }
  auto& e = keys.set_string(args[0], args[1], o.keep);
  if (expires != no_expiry) keys.set_expiry(e, expires);
  if (!o.get) out.ok();
}

void set_expiring(keyspace& keys, arguments args, bool seconds, std::string_view name, reply_writer& out) {
  const auto expires = parse_expiry(keys, args[1], seconds, true, name, out);
  if (!expires) return;
  keys.set_expiry(keys.set_string(args[0], args[2]), *expires);
  out.ok();
}

void setex(keyspace& keys, arguments args, reply_writer& out) { set_expiring(keys, args, true, "setex", out); }
void psetex(keyspace& keys, arguments args, reply_writer& out) { set_expiring(keys, args, false, "psetex", out); }

void setnx(keyspace& keys, arguments args, reply_writer& out) {
  const bool free = keys.find(args[0]) == nullptr;
  if (free) keys.set_string(args[0], args[1]);
  out.integer(free);
}

void getset(keyspace& keys, arguments args, reply_writer& out) {
  const auto* old = keys.find(args[0]);
  if (wrong_type(old, out)) return;
  write_string(old, out);
  keys.set_string(args[0], args[1]);
}

void getdel(keyspace& keys, arguments args, reply_writer& out) {
  auto* old = keys.find(args[0]);
  if (wrong_type(old, out)) return;
  write_string(old, out);
  if (old != nullptr) keys.erase(*old);
}

void getex(keyspace& keys, arguments args, reply_writer& out) {
  options o;
  if (!parse_options(args.subspan(1), false, o)) return out.error(syntax_error);
  auto* e = keys.find(args[0]);
  if (wrong_type(e, out)) return;
  if (e == nullptr) return out.null();
  if (o.kind == options::expiry_kind::none) {
    write_string(e, out);
    if (o.persist && e->expires != no_expiry) keys.set_expiry(*e, no_expiry);
    return;
  }
  const auto expires = parse_expiry(keys, o.expiry, o.seconds, o.relative, "getex", out);
  if (!expires) return;
  write_string(e, out);
  if (!o.relative && *expires <= keys.now_ms()) keys.erase(*e);
  else keys.set_expiry(*e, *expires);
}

void mset(keyspace& keys, arguments args, reply_writer& out) {
  if (args.size() % 2 != 0) return wrong_arity("mset", out);
  for (std::size_t i = 0; i < args.size(); i += 2) keys.set_string(args[i], args[i + 1]);
  out.ok();
}

void msetnx(keyspace& keys, arguments args, reply_writer& out) {
  if (args.size() % 2 != 0) return wrong_arity("msetnx", out);
  for (std::size_t i = 0; i < args.size(); i += 2)
    if (keys.find(args[i]) != nullptr) return out.integer(0);
  for (std::size_t i = 0; i < args.size(); i += 2) keys.set_string(args[i], args[i + 1]);
  out.integer(1);
}

void append(keyspace& keys, arguments args, reply_writer& out) {
  auto* e = keys.find(args[0]);
  if (wrong_type(e, out)) return;
  if (e == nullptr) {
    keys.set_string(args[0], args[1]);
    return out.integer(static_cast<std::int64_t>(args[1].size()));
  }
  const auto size = as_string(*e)->size();
  if (size + args[1].size() > string_bytes_max) return out.error(too_long);
  keys.overwrite(*e, size, args[1]);
  out.integer(static_cast<std::int64_t>(as_string(*e)->size()));
}

void setrange(keyspace& keys, arguments args, reply_writer& out) {
  const auto offset = parse_integer(args[1]);
  if (!offset) return out.error(not_an_integer);
  if (*offset < 0) return out.error("ERR offset is out of range");
  auto* e = keys.find(args[0]);
  if (wrong_type(e, out)) return;
  const auto part = args[2];
  if (part.empty()) return out.integer(e == nullptr ? 0 : static_cast<std::int64_t>(as_string(*e)->size()));
  if (static_cast<std::uint64_t>(*offset) + part.size() > string_bytes_max) return out.error(too_long);
  if (e == nullptr) e = &keys.set_string(args[0], {});
  keys.overwrite(*e, static_cast<std::size_t>(*offset), part);
  out.integer(static_cast<std::int64_t>(as_string(*e)->size()));
}

void add(keyspace& keys, std::string_view key, std::int64_t amount, reply_writer& out) {
  const auto* e = keys.find(key);
  if (wrong_type(e, out)) return;
  std::int64_t value = 0;
  if (e != nullptr) {
    const auto old = parse_integer(*as_string(*e));
    if (!old) return out.error(not_an_integer);
    value = *old;
  }
  if (__builtin_add_overflow(value, amount, &value)) return out.error("ERR increment or decrement would overflow");
  keys.set_string(key, std::to_string(value), true);
  out.integer(value);
}

void incr(keyspace& keys, arguments args, reply_writer& out) { add(keys, args[0], 1, out); }
void decr(keyspace& keys, arguments args, reply_writer& out) { add(keys, args[0], -1, out); }

void incrby(keyspace& keys, arguments args, reply_writer& out) {
  const auto amount = parse_integer(args[1]);
  if (!amount) return out.error(not_an_integer);
  add(keys, args[0], *amount, out);
}

void decrby(keyspace& keys, arguments args, reply_writer& out) {
  const auto amount = parse_integer(args[1]);
  if (!amount) return out.error(not_an_integer);
  if (*amount == std::numeric_limits<std::int64_t>::min()) return out.error("ERR decrement would overflow");
  add(keys, args[0], -*amount, out);
}

void incrbyfloat(keyspace& keys, arguments args, reply_writer& out) {
  const auto* e = keys.find(args[0]);
  if (wrong_type(e, out)) return;
  const auto old = e == nullptr ? std::optional(0.0L) : parse_float(*as_string(*e));
  const auto amount = parse_float(args[1]);
  if (!old || !amount) return out.error("ERR value is not a valid float");
  const auto value = *old + *amount;
  if (!std::isfinite(value)) return out.error("ERR increment would produce NaN or Infinity");
  const auto text = format_float(value);
  keys.set_string(args[0], text, true);
  out.bulk(text);
}

// ---- reading --------------------------------------------------------------------------------------------------------

void get(const keyspace& keys, arguments args, reply_writer& out) {
  const auto* e = keys.find(args[0]);
  if (!wrong_type(e, out)) write_string(e, out);
}

void mget(const keyspace& keys, arguments args, reply_writer& out) {
  out.array(args.size());
  for (const auto key : args) {
    const auto* e = keys.find(key);
    write_string(e != nullptr && as_string(*e) != nullptr ? e : nullptr, out);
  }
}

void strlen(const keyspace& keys, arguments args, reply_writer& out) {
  const auto* e = keys.find(args[0]);
  if (wrong_type(e, out)) return;
  out.integer(e == nullptr ? 0 : static_cast<std::int64_t>(as_string(*e)->size()));
}

void getrange(const keyspace& keys, arguments args, reply_writer& out) {
  auto start = parse_integer(args[1]), end = parse_integer(args[2]);
  if (!start || !end) return out.error(not_an_integer);
  const auto* e = keys.find(args[0]);
  if (wrong_type(e, out)) return;
  if (e == nullptr || (*start < 0 && *end < 0 && *start > *end)) return out.bulk("");
  const auto size = static_cast<std::int64_t>(as_string(*e)->size());
  if (*start < 0) *start = std::max<std::int64_t>(*start + size, 0);
  if (*end < 0) *end = std::max<std::int64_t>(*end + size, 0);
  *end = std::min(*end, size - 1);
  if (*start > *end || size == 0) return out.bulk("");
  out.bulk(std::string_view(*as_string(*e))
               .substr(static_cast<std::size_t>(*start), static_cast<std::size_t>(*end - *start + 1)));
}

}  // namespace

handlers string_handlers(command_id id) {
  switch (id) {
    case command_id::get: return {.read = kv::get};
    case command_id::set: return {.write = kv::set};
    case command_id::getset: return {.write = kv::getset};
    case command_id::getdel: return {.write = kv::getdel};
    case command_id::getex: return {.write = kv::getex};
    case command_id::mget: return {.read = kv::mget};
    case command_id::mset: return {.write = kv::mset};
    case command_id::msetnx: return {.write = kv::msetnx};
    case command_id::setnx: return {.write = kv::setnx};
    case command_id::setex: return {.write = kv::setex};
    case command_id::psetex: return {.write = kv::psetex};
    case command_id::append: return {.write = kv::append};
    case command_id::strlen: return {.read = kv::strlen};
    case command_id::getrange: case command_id::substr: return {.read = kv::getrange};
    case command_id::setrange: return {.write = kv::setrange};
    case command_id::incr: return {.write = kv::incr};
    case command_id::decr: return {.write = kv::decr};
    case command_id::incrby: return {.write = kv::incrby};
    case command_id::decrby: return {.write = kv::decrby};
    case command_id::incrbyfloat: return {.write = kv::incrbyfloat};
    default: return {};
  }
}

}  // namespace kv
