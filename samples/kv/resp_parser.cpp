#include "samples/kv/resp_parser.hpp"

#include "samples/kv/numbers.hpp"

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstring>

namespace kv {

namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

char unescape(char c) {
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

/// Reads a quoted part behind its quote; false if it does not end, or something follows it at once.
bool read_quoted(std::string_view text, std::size_t& at, char quote, std::string& out) {
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (c == quote) {
      ++at;
      return at == text.size() || is_space(text[at]);
    }
    if (quote == '"' && c == '\\' && at + 3 < text.size() && text[at + 1] == 'x' && hex_digit(text[at + 2]) >= 0 &&
        hex_digit(text[at + 3]) >= 0) {
      out.push_back(static_cast<char>(hex_digit(text[at + 2]) * 16 + hex_digit(text[at + 3])));
      at += 3;
    } else if (quote == '"' && c == '\\' && at + 1 < text.size()) {
      out.push_back(unescape(text[++at]));
    } else if (quote == '\'' && c == '\\' && at + 1 < text.size() && text[at + 1] == '\'') {
      out.push_back(text[++at]);
    } else {
      out.push_back(c);
    }
  }
  return false;
}

/// Words of an inline command, with quotes as on a shell's command line; false if they are not balanced.
bool split_words(std::string_view text, std::vector<std::string>& words) {
  words.clear();
  std::size_t at = 0;
  while (true) {
    while (at < text.size() && is_space(text[at])) ++at;
    if (at == text.size()) return true;
    auto& word = words.emplace_back();
    while (at < text.size() && !is_space(text[at])) {
      const char c = text[at++];
      if (c != '"' && c != '\'') word.push_back(c);
      else if (!read_quoted(text, at, c, word)) return false;
    }
  }
}

}  // namespace

std::span<char> resp_parser::room(std::size_t wanted) {
  argv_.clear();
  if (begin_ == end_) {
    begin_ = at_ = end_ = 0;
  } else if (begin_ > 0 && (buffer_.size() - end_ < wanted)) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    at_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < wanted)
    buffer_.resize(std::max(end_ + wanted, std::min(2 * buffer_.size(), end_ + (4u << 20))));
  return {buffer_.data() + end_, buffer_.size() - end_};
}

std::size_t resp_parser::missing() const {
  if (!in_array_ || skipping_ || bulk_left_ <= 0) return 0;
  const auto wanted = at_ + static_cast<std::size_t>(bulk_left_);
  return wanted > end_ ? wanted - end_ : 0;
}

void resp_parser::shrink() {
  if (pending() == 0 && buffer_.size() > 64 * 1024) {
    std::string().swap(buffer_);
    begin_ = at_ = end_ = 0;
    argv_.clear();
  }
}

resp_parser::result resp_parser::broken(std::string_view why) {
  broken_ = true;
  error_ = "ERR Protocol error: " + std::string(why);
  return result::broken;
}

bool resp_parser::line(std::string_view& out) {
  const auto* start = buffer_.data() + at_;
  const auto* end = static_cast<const char*>(std::memchr(start, '\r', end_ - at_));
  if (end == nullptr || end + 1 >= buffer_.data() + end_) return false;
  out = {start, static_cast<std::size_t>(end - start)};
  return true;
}

resp_parser::result resp_parser::next() {
  while (!broken_) {
    if (!in_array_) {
      begin_ = at_;
      if (at_ == end_) return result::need_more;
    }
    const auto what = in_array_ || buffer_[at_] == '*' ? next_array() : next_inline();
    if (what != result::command || !argv_.empty()) return what;  // empty commands are passed over
  }
  return result::broken;
}

resp_parser::result resp_parser::next_inline() {
  const auto* start = buffer_.data() + at_;
  const auto* end = static_cast<const char*>(std::memchr(start, '\n', end_ - at_));
  if (end == nullptr) return end_ - at_ > inline_bytes_max ? broken("too big inline request") : result::need_more;
  std::string_view text(start, static_cast<std::size_t>(end - start));
  at_ += text.size() + 1;
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  if (!split_words(text, split_)) return broken("unbalanced quotes in request");
  argv_.assign(split_.begin(), split_.end());
  return result::command;
}

resp_parser::result resp_parser::next_array() {
  std::string_view text;
  if (!in_array_) {
    if (!line(text)) return end_ - at_ > inline_bytes_max ? broken("too big mbulk count string") : result::need_more;
    const auto count = parse_integer(text.substr(1));
    if (!count || *count > INT_MAX) return broken("invalid multibulk length");
    at_ += text.size() + 2;
    in_array_ = true;
    words_left_ = std::max<std::int64_t>(*count, 0);
    bulk_left_ = -1;
    skipping_ = words_left_ > static_cast<std::int64_t>(words_max);
    size_ = 0;
    words_.clear();
  }
  while (words_left_ > 0) {
    if (bulk_left_ < 0) {
      if (at_ == end_) break;
      if (!line(text)) {
        if (end_ - at_ > inline_bytes_max) return broken("too big bulk count string");
        break;
      }
      if (text.empty() || text[0] != '$')
        return broken(std::string("expected '$', got '") + buffer_[at_] + "'");
      const auto size = parse_integer(text.substr(1));
      if (!size || *size < 0 || *size > bulk_bytes_max) return broken("invalid bulk length");
      at_ += text.size() + 2;
      bulk_left_ = *size + 2;
      size_ += static_cast<std::size_t>(*size);
      skipping_ |= size_ > command_bytes_max_;
      if (!skipping_) words_.push_back({at_ - begin_, static_cast<std::size_t>(*size)});
    }
    const auto there = std::min<std::int64_t>(bulk_left_, static_cast<std::int64_t>(end_ - at_));
    if (!skipping_ && there < bulk_left_) break;  // `at_` stays at the word's start: `missing` counts from there
    at_ += static_cast<std::size_t>(there);
    bulk_left_ -= there;
    if (bulk_left_ > 0) break;
    bulk_left_ = -1;
    --words_left_;
  }
  if (words_left_ > 0) {
    if (skipping_) forget_skipped();
    return result::need_more;
  }
  return finish();
}

void resp_parser::forget_skipped() {
  words_.clear();
  begin_ = at_;
}

resp_parser::result resp_parser::finish() {
  in_array_ = false;
  argv_.clear();
  if (skipping_) {
    skipping_ = false;
    words_.clear();
    return result::oversized;
  }
  argv_.reserve(words_.size());
  for (const auto& w : words_) argv_.emplace_back(buffer_.data() + begin_ + w.offset, w.size);
  begin_ = at_;
  return result::command;
}

}  // namespace kv
