#include "actors/config_file.hpp"

#include <toml++/toml.h>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

namespace cohort::detail {

struct config_file::table {
  struct entry {
    std::string key;
    std::size_t key_line = 0, key_column = 0;
    config_value value;                  ///< of no kind if it is a table
    std::shared_ptr<const table> inner;  ///< set if it is one
  };
  std::size_t line = 1;
  std::vector<entry> entries;

  const entry* find(std::string_view key) const {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](auto& e) { return e.key == key; });
    return found == entries.end() ? nullptr : &*found;
  }
};

namespace {

config_value converted(const toml::node& from) {
  config_value to;
  to.line = from.source().begin.line;
  if (const auto* text = from.as_string())
    to.what = text->get();
  else if (const auto* flag = from.as_boolean())
    to.what = flag->get();
  else if (const auto* number = from.as_integer())
    to.what = number->get();
  else if (const auto* array = from.as_array()) {
    config_value::list list;
    for (const auto& each : *array) list.push_back(converted(each));
    to.what = std::move(list);
  }
  return to;
}

std::shared_ptr<const config_file::table> converted(const toml::table& from) {
  auto to = std::make_shared<config_file::table>();
  to->line = std::max<std::size_t>(1, from.source().begin.line);
  for (const auto& [key, value] : from) {
    auto& entry = to->entries.emplace_back();
    entry.key = std::string(key.str());
    entry.key_line = key.source().begin.line;
    entry.key_column = key.source().begin.column;
    if (const auto* inner = value.as_table())
      entry.inner = converted(*inner);
    else
      entry.value = converted(value);
  }
  std::sort(to->entries.begin(), to->entries.end(),
            [](auto& a, auto& b) { return std::pair(a.key_line, a.key_column) < std::pair(b.key_line, b.key_column); });
  return to;
}

std::string listed(const known_words& known) {
  std::string all;
  for (const auto name : known) all += (all.empty() ? "" : ", ") + std::string(name);
  return all;
}

struct unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr unit time_units[] = {{"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}};
constexpr unit byte_units[] = {{"B", 1}, {"KiB", 1u << 10}, {"MiB", 1u << 20}, {"GiB", 1u << 30}};

/// A number and a unit, with or without a space between them.
template <std::size_t N>
bool parse_measure(std::string_view text, const unit (&units)[N], std::uint64_t& out) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  while (text.starts_with(' ')) text.remove_prefix(1);
  for (const auto& u : units) {
    if (u.name != text) continue;
    if (number > (std::uint64_t{1} << 62) / u.factor) return false;
    out = number * u.factor;
    return true;
  }
  return false;
}

}  // namespace

std::size_t word_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    auto diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j)
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])}));
  }
  return row.back();
}

std::string suggestion(std::string_view word, const known_words& known) {
  const auto nearest = std::min_element(
      known.begin(), known.end(), [&](auto a, auto b) { return word_distance(word, a) < word_distance(word, b); });
  if (nearest == known.end()) return "";
  return "; did you mean \"" + std::string(*nearest) + "\"? (known: " + listed(known) + ")";
}

bool parse_time(std::string_view text, std::chrono::milliseconds& out) {
  std::uint64_t ms = 0;
  if (!parse_measure(text, time_units, ms)) return false;
  out = std::chrono::milliseconds(static_cast<std::int64_t>(ms));
  return true;
}

bool parse_bytes(std::string_view text, std::uint64_t& out) { return parse_measure(text, byte_units, out); }

// ---- the file -------------------------------------------------------------------------------------------------------

config_file config_file::parse(std::string_view text, const std::filesystem::path& name) {
  config_file file;
  file.name_ = name;
  try {
    file.root_ = converted(toml::parse(text, name.string()));
  } catch (const toml::parse_error& e) {
    file.fail(e.source().begin.line, std::string(e.description()));
  }
  return file;
}

config_file config_file::load(const std::filesystem::path& name, const std::string& how_to_name_it) {
  std::ifstream in(name, std::ios::binary);
  std::ostringstream text;
  if (std::filesystem::is_directory(name) || !in || !(text << in.rdbuf()))
    throw config_error(name.string() + ": cannot be read; " + how_to_name_it);
  return parse(text.str(), name);
}

config_section config_file::root() const { return {*this, *root_, "the file"}; }

std::string config_file::located(std::size_t line, const std::string& what) const {
  return name_.string() + ":" + std::to_string(line) + ": " + what;
}

void config_file::fail(std::size_t line, const std::string& what) const { throw config_error(located(line, what)); }

// ---- a section ------------------------------------------------------------------------------------------------------

bool config_section::has(std::string_view key) const { return table_->find(key) != nullptr; }
std::size_t config_section::line() const { return table_->line; }

std::vector<std::string> config_section::keys() const {
  std::vector<std::string> all;
  for (const auto& e : table_->entries) all.push_back(e.key);
  return all;
}

std::size_t config_section::line_of(std::string_view key) const {
  const auto* entry = table_->find(key);
  if (!entry) return table_->line;
  return entry->key_line;
}

void config_section::only(const known_words& known, bool sections) const {
  for (const auto& e : table_->entries) {
    if (std::find(known.begin(), known.end(), e.key) == known.end())
      file_->fail(e.key_line, std::string(sections ? "unknown section [" : "unknown key \"") + e.key +
                                  (sections ? "] in " : "\" in ") + label_ + suggestion(e.key, known));
    if (sections && !e.inner) file_->fail(e.key_line, e.key + " must be a section, written as [" + e.key + "]");
  }
}

bool config_section::is_section(std::string_view key) const {
  const auto* entry = table_->find(key);
  return entry && entry->inner;
}

config_section config_section::section(std::string_view key) const {
  const bool inside = label_.front() == '[';
  const auto name = (inside ? label_.substr(1, label_.size() - 2) + '.' : "") + std::string(key);
  const auto* entry = table_->find(key);
  if (!entry) file_->fail(inside ? line() : 1, "section [" + name + "] is missing");
  if (!entry->inner) file_->fail(entry->key_line, std::string(key) + " must be a section, written as [" + name + "]");
  return {*file_, *entry->inner, '[' + name + ']'};
}

const config_value& config_section::value(std::string_view key) const {
  const auto* entry = table_->find(key);
  if (!entry) file_->fail(line(), "key \"" + std::string(key) + "\" is missing in " + label_);
  return entry->value;
}

std::string config_section::text(std::string_view key) const {
  if (const auto* text = std::get_if<std::string>(&value(key).what)) return *text;
  fail(key, named(key) + " must be text in quotes, like " + std::string(key) + " = \"...\"");
}

bool config_section::flag(std::string_view key) const {
  if (const auto* flag = std::get_if<bool>(&value(key).what)) return *flag;
  fail(key, named(key) + " must be true or false, without quotes");
}

unsigned config_section::count(std::string_view key) const {
  const auto* number = std::get_if<std::int64_t>(&value(key).what);
  if (number && *number >= 0 && *number <= 1'000'000'000) return static_cast<unsigned>(*number);
  fail(key, named(key) + " must be a whole number from 0 to 1000000000, without quotes");
}

std::uint64_t config_section::bytes(std::string_view key) const {
  const auto& given = value(key).what;
  std::uint64_t bytes = 0;
  if (const auto* number = std::get_if<std::int64_t>(&given); number && *number >= 0)
    return static_cast<std::uint64_t>(*number);
  if (const auto* text = std::get_if<std::string>(&given); text && parse_bytes(*text, bytes)) return bytes;
  fail(key, named(key) + " must be a number of bytes, or text with one of B, KiB, MiB and GiB, like " +
                std::string(key) + " = \"8 MiB\"");
}

std::chrono::milliseconds config_section::time(std::string_view key) const {
  std::chrono::milliseconds time{};
  if (const auto* text = std::get_if<std::string>(&value(key).what); text && parse_time(*text, time)) return time;
  fail(key, named(key) + " must be text with one of ms, s, min and h, like " + std::string(key) + " = \"250 ms\"");
}

std::string config_section::choice(std::string_view key, const known_words& known) const {
  const auto chosen = text(key);
  if (std::find(known.begin(), known.end(), chosen) == known.end())
    fail(key, named(key) + " = \"" + chosen + "\" is unknown" + suggestion(chosen, known));
  return chosen;
}

std::vector<std::string> config_section::texts(std::string_view key) const {
  std::vector<std::string> all;
  const auto* list = std::get_if<config_value::list>(&value(key).what);
  for (std::size_t i = 0; list && i < list->size(); ++i) {
    const auto* text = std::get_if<std::string>(&(*list)[i].what);
    if (!text)
      list = nullptr;
    else
      all.push_back(*text);
  }
  if (!list) fail(key, named(key) + " must be a list of texts, like " + std::string(key) + " = [\"...\", \"...\"]");
  return all;
}

std::vector<std::string> config_section::text_or_texts(std::string_view key) const {
  if (std::holds_alternative<config_value::list>(value(key).what)) return texts(key);
  return {text(key)};
}

std::vector<std::string> config_section::choices(std::string_view key, const known_words& known) const {
  auto all = texts(key);
  for (const auto& each : all)
    if (std::find(known.begin(), known.end(), each) == known.end())
      fail(key, named(key) + ": \"" + each + "\" is unknown" + suggestion(each, known));
  return all;
}

}  // namespace cohort::detail
