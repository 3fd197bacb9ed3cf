#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kv {

/// An integer the way Redis reads one: no blanks, no plus, no leading zeros, nothing behind it.
std::optional<std::int64_t> parse_integer(std::string_view text);

/// The cursor of SCAN, as generously as Redis reads it: nothing is 0, negative numbers wrap.
std::optional<std::uint64_t> parse_cursor(std::string_view text);

/// A number with a fraction or exponent the way Redis reads one for INCRBYFLOAT; "inf" is one, "nan" is not.
/// `long double` has 80 bits on x86: nodes of one group run on machines where it is the same type.
std::optional<long double> parse_float(std::string_view text);

/// Redis' form for humans: 17 digits behind the point, trailing zeros cut.
std::string format_float(long double value);

/// Redis' glob: `*`, `?`, `[a-z]`, `[^x]` and `\` before a character that is meant as it is.
bool glob_match(std::string_view pattern, std::string_view text);

/// Equal up to the case of ASCII letters.
bool same_word(std::string_view a, std::string_view lower);

}  // namespace kv
