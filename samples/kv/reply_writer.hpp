#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace kv {

/// Replies above this are replaced by an error: MGET can ask for one large value a million times.
inline constexpr std::size_t reply_bytes_max = 128u << 20;

/// A client's words for an error message: line ends would end the reply, they become blanks, at the end they go.
inline std::string one_line(std::string_view words) {
  const auto end = words.find_last_not_of("\r\n");
  std::string line(words.substr(0, end == words.npos ? 0 : end + 1));
  for (auto& c : line)
    if (c == '\r' || c == '\n') c = ' ';
  return line;
}

/// Writes replies as RESP3, with two exceptions which RESP2 needs to know about and RESP3 does not: Redis' null array
/// is
/// `*-1`, and everything else that is null is `_`. `render` (resp_render.hpp) makes both protocols of it.
class reply_writer {
public:
  explicit reply_writer(std::string& out) : out_(out) {}

  void simple(std::string_view text) { line('+', text); }
  void ok() { out_.append("+OK\r\n"); }
  /// `text` begins with the code, like "ERR syntax error".
  void error(std::string_view text) { line('-', text); }
  void wrong_type() { error("WRONGTYPE Operation against a key holding the wrong kind of value"); }
  void integer(std::int64_t value) { number(':', value); }
  void null() { out_.append("_\r\n"); }
  void null_array() { out_.append("*-1\r\n"); }
  void array(std::size_t size) { number('*', static_cast<std::int64_t>(size)); }
  void map(std::size_t pairs) { number('%', static_cast<std::int64_t>(pairs)); }
  void set(std::size_t size) { number('~', static_cast<std::int64_t>(size)); }
  void bulk(std::string_view bytes) {
    if (out_.size() + bytes.size() > reply_bytes_max) {  // the whole reply is going to be dropped
      overflow_ = true;
      return;
    }
    number('$', static_cast<std::int64_t>(bytes.size()));
    out_.append(bytes).append("\r\n");
  }
  void verbatim(std::string_view text) {
    number('=', static_cast<std::int64_t>(text.size() + 4));
    out_.append("txt:").append(text).append("\r\n");
  }
  /// Already encoded.
  void raw(std::string_view encoded) { out_.append(encoded); }

  std::size_t size() const { return out_.size(); }
  /// Replaces what was written since it had `size` bytes by an error if it did not fit.
  void check(std::size_t size) {
    if (!overflow_ && out_.size() <= reply_bytes_max) return;
    out_.resize(size);
    overflow_ = false;
    error("ERR the reply would be larger than 128 MiB; ask for less at a time");
  }

private:
  void line(char kind, std::string_view text) { out_.append(1, kind).append(text).append("\r\n"); }
  void number(char kind, std::int64_t value) {
    char digits[24];
    digits[0] = kind;
    auto* end = std::to_chars(digits + 1, digits + 22, value).ptr;
    *end++ = '\r';
    *end++ = '\n';
    out_.append(digits, static_cast<std::size_t>(end - digits));
  }

  std::string& out_;
  bool overflow_ = false;
};

}  // namespace kv
