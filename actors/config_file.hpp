#pragma once

#include <cohort/node_file.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace cohort::detail {

using known_words = std::vector<std::string_view>;

/// "; did you mean "redis"? (known: redis, reads)": what ends a message about a word that is not among `known`.
std::string suggestion(std::string_view word, const known_words& known);
/// Number of changed, added or removed letters between two words.
std::size_t word_distance(std::string_view a, std::string_view b);

/// "250 ms", "2 s", "1 h"; "64 KiB", "8 MiB", "100 B". False if it is none, or too large for the type.
bool parse_time(std::string_view text, std::chrono::milliseconds& out);
bool parse_bytes(std::string_view text, std::uint64_t& out);

/// What a key holds.
struct config_value {
  using list = std::vector<config_value>;
  std::variant<std::monostate, bool, std::int64_t, std::string, list> what;  ///< monostate: of no kind that is used
  std::size_t line = 0;
};

class config_section;

/// A parsed configuration file, in TOML. What it holds is read by name through its sections; each wrong thing ends in a
/// `config_error` that says where it is, what it is and what would be right.
class config_file {
public:
  /// Throws `config_error`.
  static config_file parse(std::string_view text, const std::filesystem::path& name);
  static config_file load(const std::filesystem::path& name, const std::string& how_to_name_it);

  const std::filesystem::path& name() const { return name_; }
  config_section root() const;
  [[noreturn]] void fail(std::size_t line, const std::string& what) const;
  /// "file:line: what", as `fail` would say it.
  std::string located(std::size_t line, const std::string& what) const;

  struct table;  ///< inside config_file.cpp

private:
  std::filesystem::path name_;
  std::shared_ptr<const table> root_;
};

/// A table of a file. Refers to it, so the file must live as long.
class config_section {
public:
  config_section(const config_file& file, const config_file::table& of, std::string label) : file_(&file), table_(&of), label_(std::move(label)) {}

  bool has(std::string_view key) const;
  /// The names of its keys, in the order of the file.
  std::vector<std::string> keys() const;
  bool empty() const { return keys().empty(); }
  /// Where a key is named; where the section begins, if it is not.
  std::size_t line_of(std::string_view key) const;
  std::size_t line() const;
  /// "[node]"; "the file".
  const std::string& label() const { return label_; }

  /// Refuses every key that is not among `known`; with `sections`, everything that is not a table as well.
  void only(const known_words& known, bool sections = false) const;
  bool is_section(std::string_view key) const;
  config_section section(std::string_view key) const;  ///< refused if it is missing

  std::string text(std::string_view key) const;        ///< refused if it is missing or not text, as are all below
  bool flag(std::string_view key) const;
  unsigned count(std::string_view key) const;
  std::uint64_t bytes(std::string_view key) const;     ///< a number, or text as "8 MiB"
  std::chrono::milliseconds time(std::string_view key) const;
  std::string choice(std::string_view key, const known_words& known) const;
  std::vector<std::string> texts(std::string_view key) const;
  std::vector<std::string> text_or_texts(std::string_view key) const;  ///< one text stands for a list of it
  /// A list of words, each from `known`.
  std::vector<std::string> choices(std::string_view key, const known_words& known) const;

  [[noreturn]] void fail(std::string_view key, const std::string& what) const { file_->fail(line_of(key), what); }
  const config_file& file() const { return *file_; }

private:
  const config_value& value(std::string_view key) const;
  std::string named(std::string_view key) const { return label_ + ' ' + std::string(key); }

  const config_file* file_;
  const config_file::table* table_;
  std::string label_;
};

}  // namespace cohort::detail
