#include "samples/kv/numbers.hpp"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace kv {

std::optional<std::int64_t> parse_integer(std::string_view text) {
  const auto digits = text.substr(!text.empty() && text.front() == '-');
  if (digits.empty() || digits.front() < '0' || digits.front() > '9') return std::nullopt;
  if (digits.front() == '0' && text.size() != 1) return std::nullopt;  // 00, 01, -0
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> parse_cursor(std::string_view text) {
  if (!text.empty() && (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r'))) return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const auto value = std::strtoull(copy.c_str(), &end, 10);
  if (*end != '\0' || errno == ERANGE) return std::nullopt;
  return value;
}

std::optional<long double> parse_float(std::string_view text) {
  constexpr std::size_t longest = 5 * 1024;  // as in Redis
  if (text.empty() || text.size() >= longest || text.find('\0') != text.npos) return std::nullopt;
  if (const auto c = text.front(); c == ' ' || (c >= '\t' && c <= '\r')) return std::nullopt;
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const long double value = std::strtold(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size() || std::isnan(value)) return std::nullopt;
  if (errno == ERANGE && (std::isinf(value) || value == 0)) return std::nullopt;
  return value;
}

std::string format_float(long double value) {
  char digits[5 * 1024];
  int size = std::snprintf(digits, sizeof digits, "%.17Lf", value);
  while (size > 0 && digits[size - 1] == '0') --size;
  if (size > 0 && digits[size - 1] == '.') --size;
  const std::string_view text(digits, static_cast<std::size_t>(size));
  return std::string(text == "-0" ? "0" : text);
}

bool same_word(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] - 'A' + 'a') : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

namespace {

unsigned char as_byte(char c) { return static_cast<unsigned char>(c); }

/// `at` points behind `[`; leaves it behind the closing `]`, or at the end where that is missing (as Redis does).
bool class_match(std::string_view pattern, std::size_t& at, char c) {
  const bool negated = at < pattern.size() && pattern[at] == '^';
  if (negated) ++at;
  bool match = false;
  for (; at < pattern.size(); ++at) {
    if (pattern[at] == '\\' && at + 1 < pattern.size()) {
      match |= pattern[++at] == c;
    } else if (pattern[at] == ']') {
      ++at;
      return match != negated;
    } else if (at + 2 < pattern.size() && pattern[at + 1] == '-') {
      auto low = as_byte(pattern[at]), high = as_byte(pattern[at + 2]);
      if (low > high) std::swap(low, high);
      match |= as_byte(c) >= low && as_byte(c) <= high;
      at += 2;
    } else {
      match |= pattern[at] == c;
    }
  }
  return match != negated;
}

}  // namespace

// One star to go back to is enough: what an earlier star could match more, the later one can, too. So the time is at
// most the product of the lengths, whatever the pattern.
bool glob_match(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = pattern.npos, star_text = 0;
  while (t < text.size()) {
    bool match = false;
    std::size_t next = p;
    if (p < pattern.size()) {
      switch (pattern[p]) {
        case '*':
          star = ++p;
          star_text = t;
          continue;
        case '?':
          match = true;
          next = p + 1;
          break;
        case '[':
          next = p + 1;
          match = class_match(pattern, next, text[t]);
          break;
        case '\\':
          if (p + 1 < pattern.size()) ++next;
          [[fallthrough]];
        default:
          match = pattern[next] == text[t];
          ++next;
      }
    }
    if (match) {
      p = next;
      ++t;
    } else if (star != pattern.npos) {
      p = star;
      t = ++star_text;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace kv
