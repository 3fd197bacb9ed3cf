#pragma once

#include "samples/kv/keyspace.hpp"
#include "samples/kv/message.hpp"
#include "samples/kv/reply_writer.hpp"

#include <optional>

namespace kv {

/// Arguments of a command without its name.
using arguments = std::span<const std::string_view>;

/// Commands that change keys. Each checks its arguments completely before it changes anything, and writes exactly one
/// reply.
using write_handler = void (*)(keyspace&, arguments, reply_writer&);
/// Commands that only look.
using read_handler = void (*)(const keyspace&, arguments, reply_writer&);

/// A handler for each number; the other one is nullptr.
struct handlers {
  write_handler write = nullptr;
  read_handler read = nullptr;
};
handlers string_handlers(command_id id);
handlers key_handlers(command_id id);
handlers hash_handlers(command_id id);

// What several of these files say in the same words.
inline constexpr std::string_view syntax_error = "ERR syntax error";
inline constexpr std::string_view not_an_integer = "ERR value is not an integer or out of range";
inline constexpr std::string_view too_long = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";

/// Longest string (CONFIG GET proto-max-bulk-len): what one message of the group can carry.
inline constexpr std::size_t string_bytes_max = 16u << 20;

/// "ERR wrong number of arguments for '<name>' command".
void wrong_arity(std::string_view name, reply_writer& out);

/// When something expires that is given as a number of seconds or milliseconds, relative to now or to 1970, in
/// milliseconds since 1970. Only times after 1970 are taken; for others the error is written.
std::optional<std::int64_t> parse_expiry(const keyspace& keys, std::string_view text, bool seconds, bool relative,
                                         std::string_view command, reply_writer& out);

}  // namespace kv
