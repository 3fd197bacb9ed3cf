#pragma once

#include "samples/kv/commands.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace kv {

/// What stands in the group's log. These bytes are part of the journal's format:
///   message     = 0x00                                          clock: nothing but the agreed time it carries
///               | 0x01 command                                  one command
///               | 0x02 n watch*n m command*m                    MULTI ... EXEC
///   command     = number(u8) n (length bytes)*n                 `number` names the command, `n` counts its arguments
///   watch       = (length bytes) token                          a key and what WATCH saw of it
/// n, m, length and token are LEB128 numbers.
using bytes = std::vector<std::byte>;

/// Arguments of a command, without its name. Views into the message.
struct command {
  command_id id{};
  std::span<const std::string_view> args;
};

/// What WATCH remembers of a key; equal tokens mean that no command changed it in between.
struct watch {
  std::string_view key;
  std::uint64_t token = 0;
};

/// Appends to `out`; several messages may share one buffer.
void encode_clock(bytes& out);
void encode_command(command_id id, std::span<const std::string_view> args, bytes& out);

/// Convenience for tests and simulated clients: `argv[0]` is the name in any case. Empty if it is no command of the
/// store or has a wrong number of arguments.
bytes encode_command(std::span<const std::string_view> argv);

/// Collects MULTI ... EXEC. `queued` holds the bytes of `append_command`, one after the other.
void append_command(command_id id, std::span<const std::string_view> args, bytes& queued);
void encode_transaction(std::span<const watch> watches, std::span<const std::byte> queued, std::uint64_t queued_count,
                        bytes& out);

/// Reads one message front to back. Hostile bytes give `false`, never more than the bytes themselves cost.
class message_reader {
public:
  explicit message_reader(std::span<const std::byte> message) : rest_(message) {}

  enum class kind : std::uint8_t { clock = 0, command = 1, transaction = 2 };
  bool read_kind(kind& out);
  bool read_number(std::uint64_t& out);
  bool read_string(std::string_view& out);
  /// `args` is reused; `out.args` points into it.
  bool read_command(command& out, std::vector<std::string_view>& args);
  bool at_end() const { return rest_.empty(); }

private:
  std::span<const std::byte> rest_;
};

// A query is a row of commands (`append_command`) that only read; all are answered at one point of the order.

/// One answer of a query.
struct answer {
  std::string_view reply;     ///< as from `store::apply`
  bool needs_time = false;    ///< depends on agreed time: a key with an expiry was looked at
};

/// All answers of a query. There may be fewer than questions when they grow large: ask again for the rest.
struct answers {
  std::int64_t agreed_us = 0;  ///< agreed time of the state that answered
  std::vector<answer> replies;
};
/// False if the bytes are not a query's answer.
bool decode_answers(std::span<const std::byte> reply, answers& out);

/// Questions to one query are answered until the answers hold this much; at least one is.
inline constexpr std::size_t query_answer_bytes = 4u << 20;

}  // namespace kv
