#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

/// Takes commands of the Redis protocol out of a stream of bytes: arrays of bulk strings, and inline commands. What has
/// arrived of a command is looked at once, however small the pieces are. Hostile input costs at most
/// `command_bytes_max`, plus 16 bytes for each of `words_max` words, plus one read.
///
/// Errors and their texts are those of Redis 7. A command that is too large for us but not for Redis is skipped and
/// reported as `oversized`; the stream goes on behind it.
class resp_parser {
public:
  static constexpr std::size_t inline_bytes_max = 64 * 1024;
  static constexpr std::int64_t bulk_bytes_max = 512ll << 20;  ///< above: a protocol error, as in Redis
  static constexpr std::size_t words_max = 1u << 20;

  explicit resp_parser(std::size_t command_bytes_max) : command_bytes_max_(command_bytes_max) {}

  enum class result : std::uint8_t {
    need_more,  ///< no complete command is there
    command,    ///< `argv` holds one
    oversized,  ///< one was skipped
    broken,     ///< `error` says why; nothing behind it can be understood
  };

  /// Room for at least `wanted` more bytes; `fill` says how many were put there. Ends the validity of `argv`.
  std::span<char> room(std::size_t wanted);
  void fill(std::size_t size) { end_ += size; }

  result next();
  /// Never empty after `command`. Views into the buffer: valid until `room` or `next`.
  std::span<const std::string_view> argv() const { return argv_; }
  const std::string& error() const { return error_; }

  /// Bytes held that belong to no command returned so far.
  std::size_t pending() const { return end_ - begin_; }
  /// Memory held by the buffer.
  std::size_t capacity() const { return buffer_.size(); }
  /// How much the command under way still needs at least, to read large values in large pieces.
  std::size_t missing() const;
  /// Gives memory back when nothing is pending.
  void shrink();

private:
  struct word {
    std::size_t offset = 0, size = 0;  ///< from `begin_`
  };

  result next_inline();
  result next_array();
  result finish();
  result broken(std::string_view why);
  /// The line at `at_`, without its end; false if it is not complete.
  bool line(std::string_view& out);
  void forget_skipped();

  std::size_t command_bytes_max_;
  std::string buffer_;
  std::size_t begin_ = 0;          ///< of the command under way
  std::size_t at_ = 0;             ///< looked at up to here
  std::size_t end_ = 0;
  std::int64_t words_left_ = 0;    ///< of the array under way
  std::int64_t bulk_left_ = -1;    ///< bytes of the word under way with its line end; -1 = its length comes first
  std::size_t size_ = 0;           ///< of the command's words so far
  bool in_array_ = false, skipping_ = false, broken_ = false;
  std::vector<word> words_;
  std::vector<std::string> split_;  ///< words of an inline command
  std::vector<std::string_view> argv_;
  std::string error_;
};

}  // namespace kv
