#include "samples/kv/executor.hpp"
#include "samples/kv/numbers.hpp"

#include <charconv>
#include <limits>

namespace kv {

namespace {

constexpr auto largest = std::numeric_limits<std::int64_t>::max();

void bad_expiry(std::string_view command, reply_writer& out) {
  out.error("ERR invalid expire time in '" + std::string(command) + "' command");
}

// ---- writing --------------------------------------------------------------------------------------------------------

void del(keyspace& keys, arguments args, reply_writer& out) {
  std::int64_t count = 0;
  for (const auto key : args)
    if (auto* e = keys.find(key)) {
      keys.erase(*e);
      ++count;
    }
  out.integer(count);
}

/// When an expiry may replace another one.
struct expiry_conditions {
  bool if_none = false, if_some = false, if_later = false, if_earlier = false;
};

bool parse_conditions(arguments words, expiry_conditions& c, reply_writer& out) {
  for (const auto word : words) {
    if (same_word(word, "nx")) c.if_none = true;
    else if (same_word(word, "xx")) c.if_some = true;
    else if (same_word(word, "gt")) c.if_later = true;
    else if (same_word(word, "lt")) c.if_earlier = true;
    else {
      out.error("ERR Unsupported option " + one_line(word));
      return false;
    }
  }
  if (c.if_none && (c.if_some || c.if_later || c.if_earlier)) {
    out.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return false;
  }
  if (c.if_later && c.if_earlier) {
    out.error("ERR GT and LT options at the same time are not compatible");
    return false;
  }
  return true;
}

bool allowed(const expiry_conditions& c, std::int64_t current, std::int64_t wanted) {
  if (c.if_none && current != no_expiry) return false;
  if (c.if_some && current == no_expiry) return false;
  if (c.if_later && (current == no_expiry || wanted <= current)) return false;
  return !(c.if_earlier && current != no_expiry && wanted >= current);
}

void expire_at(keyspace& keys, arguments args, bool seconds, bool relative, std::string_view name, reply_writer& out) {
  expiry_conditions conditions;
  if (!parse_conditions(args.subspan(2), conditions, out)) return;
  auto when = parse_integer(args[1]);
  if (!when) return out.error(not_an_integer);
  if (seconds && (*when > largest / 1000 || *when < std::numeric_limits<std::int64_t>::min() / 1000))
    return bad_expiry(name, out);
  if (seconds) *when *= 1000;
  const auto base = relative ? keys.now_ms() : 0;
  if (*when > largest - base) return bad_expiry(name, out);
  *when += base;
  auto* e = keys.find(args[0]);
  if (e == nullptr || !allowed(conditions, e->expires, *when)) return out.integer(0);
  if (*when <= keys.now_ms()) keys.erase(*e);
  else keys.set_expiry(*e, *when);
  out.integer(1);
}

void expire(keyspace& keys, arguments args, reply_writer& out) { expire_at(keys, args, true, true, "expire", out); }
void pexpire(keyspace& keys, arguments args, reply_writer& out) { expire_at(keys, args, false, true, "pexpire", out); }
void expireat(keyspace& keys, arguments args, reply_writer& out) {
  expire_at(keys, args, true, false, "expireat", out);
}
void pexpireat(keyspace& keys, arguments args, reply_writer& out) {
  expire_at(keys, args, false, false, "pexpireat", out);
}

void persist(keyspace& keys, arguments args, reply_writer& out) {
  auto* e = keys.find(args[0]);
  const bool has = e != nullptr && e->expires != no_expiry;
  if (has) keys.set_expiry(*e, no_expiry);
  out.integer(has);
}

void rename(keyspace& keys, arguments args, reply_writer& out) {
  auto* e = keys.find(args[0]);
  if (e == nullptr) return out.error("ERR no such key");
  if (args[0] != args[1]) keys.rename(*e, args[1]);
  out.ok();
}

void renamenx(keyspace& keys, arguments args, reply_writer& out) {
  auto* e = keys.find(args[0]);
  if (e == nullptr) return out.error("ERR no such key");
  const bool free = args[0] != args[1] && keys.find(args[1]) == nullptr;
  if (free) keys.rename(*e, args[1]);
  out.integer(free);
}

void flush(keyspace& keys, arguments args, reply_writer& out) {
  if (args.size() > 1 || (args.size() == 1 && !same_word(args[0], "sync") && !same_word(args[0], "async")))
    return out.error(syntax_error);
  keys.clear();
  out.ok();
}

// ---- reading --------------------------------------------------------------------------------------------------------

void exists(const keyspace& keys, arguments args, reply_writer& out) {
  std::int64_t count = 0;
  for (const auto key : args) count += keys.find(key) != nullptr;
  out.integer(count);
}

void remaining(const keyspace& keys, std::string_view key, bool seconds, bool absolute, reply_writer& out) {
  const auto* e = keys.find(key);
  if (e == nullptr) return out.integer(-2);
  if (e->expires == no_expiry) return out.integer(-1);
  const auto ms = absolute ? e->expires : e->expires - keys.now_ms();
  out.integer(seconds ? ms / 1000 + (ms % 1000 >= 500) : ms);
}

void ttl(const keyspace& keys, arguments args, reply_writer& out) { remaining(keys, args[0], true, false, out); }
void pttl(const keyspace& keys, arguments args, reply_writer& out) { remaining(keys, args[0], false, false, out); }
void expiretime(const keyspace& keys, arguments args, reply_writer& out) { remaining(keys, args[0], true, true, out); }
void pexpiretime(const keyspace& keys, arguments args, reply_writer& out) {
  remaining(keys, args[0], false, true, out);
}

std::string_view type_name(const entry& e) { return std::holds_alternative<std::string>(e.what) ? "string" : "hash"; }

void type(const keyspace& keys, arguments args, reply_writer& out) {
  const auto* e = keys.find(args[0]);
  out.simple(e == nullptr ? "none" : type_name(*e));
}

void write_names(const std::vector<std::string_view>& names, reply_writer& out) {
  out.array(names.size());
  for (const auto name : names) out.bulk(name);
}

void list(const keyspace& keys, arguments args, reply_writer& out) {
  std::vector<std::string_view> names;
  keys.scan(0, std::numeric_limits<std::uint64_t>::max(), [&](const entry& e) {
    if (glob_match(args[0], e.name)) names.push_back(e.name);
  });
  write_names(names, out);
}

void scan(const keyspace& keys, arguments args, reply_writer& out) {
  const auto start = parse_cursor(args[0]);
  if (!start) return out.error("ERR invalid cursor");
  std::optional<std::string_view> pattern, wanted_type;
  std::int64_t count = 10;
  for (std::size_t i = 1; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return out.error(syntax_error);
    if (same_word(args[i], "count")) {
      const auto parsed = parse_integer(args[i + 1]);
      if (!parsed) return out.error(not_an_integer);
      if (*parsed < 1) return out.error(syntax_error);
      count = *parsed;
    } else if (same_word(args[i], "match")) {
      pattern = args[i + 1];
    } else if (same_word(args[i], "type")) {
      wanted_type = args[i + 1];
    } else {
      return out.error(syntax_error);
    }
  }
  std::vector<std::string_view> names;
  const auto cursor = keys.scan(*start, static_cast<std::uint64_t>(count), [&](const entry& e) {
    if (wanted_type && !same_word(*wanted_type, type_name(e))) return;
    if (!pattern || glob_match(*pattern, e.name)) names.push_back(e.name);
  });
  out.array(2);
  out.bulk(std::to_string(cursor));
  write_names(names, out);
}

void randomkey(const keyspace& keys, arguments, reply_writer& out) {
  const auto* e = keys.any();
  if (e == nullptr) out.null();
  else out.bulk(e->name);
}

void dbsize(const keyspace& keys, arguments, reply_writer& out) {
  out.integer(static_cast<std::int64_t>(keys.live_count()));
}

void watch_token(const keyspace& keys, arguments args, reply_writer& out) {
  out.array(args.size());
  for (const auto key : args) out.integer(static_cast<std::int64_t>(keys.watch_token(key)));
}

void summary(const keyspace& keys, arguments, reply_writer& out) {
  char digits[17] = {};
  std::to_chars(digits, digits + 16, keys.digest(), 16);
  const std::string_view digest(digits);
  out.array(3);
  out.bulk(std::string(16 - digest.size(), '0').append(digest));
  out.integer(static_cast<std::int64_t>(keys.live_count()));
  out.integer(static_cast<std::int64_t>(keys.expiring_count()));
}

}  // namespace

void wrong_arity(std::string_view name, reply_writer& out) {
  out.error("ERR wrong number of arguments for '" + std::string(name) + "' command");
}

std::optional<std::int64_t> parse_expiry(const keyspace& keys, std::string_view text, bool seconds, bool relative,
                                         std::string_view command, reply_writer& out) {
  auto ms = parse_integer(text);
  if (!ms) {
    out.error(not_an_integer);
    return std::nullopt;
  }
  if (*ms <= 0 || (seconds && *ms > largest / 1000)) {
    bad_expiry(command, out);
    return std::nullopt;
  }
  if (seconds) *ms *= 1000;
  if (relative && __builtin_add_overflow(*ms, keys.now_ms(), &*ms)) {
    bad_expiry(command, out);
    return std::nullopt;
  }
  return ms;
}

handlers key_handlers(command_id id) {
  switch (id) {
    case command_id::del: case command_id::unlink: return {.write = del};
    case command_id::exists: case command_id::touch: return {.read = exists};
    case command_id::expire: return {.write = expire};
    case command_id::pexpire: return {.write = pexpire};
    case command_id::expireat: return {.write = expireat};
    case command_id::pexpireat: return {.write = pexpireat};
    case command_id::persist: return {.write = persist};
    case command_id::ttl: return {.read = ttl};
    case command_id::pttl: return {.read = pttl};
    case command_id::expiretime: return {.read = expiretime};
    case command_id::pexpiretime: return {.read = pexpiretime};
    case command_id::type: return {.read = type};
    case command_id::rename: return {.write = kv::rename};
    case command_id::renamenx: return {.write = renamenx};
    case command_id::keys: return {.read = list};
    case command_id::scan: return {.read = scan};
    case command_id::randomkey: return {.read = randomkey};
    case command_id::dbsize: return {.read = dbsize};
    case command_id::flushdb: case command_id::flushall: return {.write = kv::flush};
    case command_id::watch_token: return {.read = watch_token};
    case command_id::summary: return {.read = summary};
    default: return {};
  }
}

}  // namespace kv
