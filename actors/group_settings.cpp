#include "actors/group_settings.hpp"

#include "framework/contract/fields.hpp"

#include <algorithm>

namespace cohort::detail {
namespace {

constexpr std::size_t group_name_max = 255;

void read(const config_section& s, const char* key, bool& out) { out = s.flag(key); }
void read(const config_section& s, const char* key, unsigned& out) { out = s.count(key); }
void read(const config_section& s, const char* key, std::uint64_t& out) { out = s.bytes(key); }
void read(const config_section& s, const char* key, std::chrono::milliseconds& out) { out = s.time(key); }

template <class E>
requires(std::is_enum_v<E>) E parsed(const std::string& word) {
  const auto all = contracts::words<E>();
  return static_cast<E>(std::find(all.begin(), all.end(), word) - all.begin());
}

void read(const config_section& s, const char* key, order_set& out) {
  out = {};
  for (const auto& word : s.choices(key, contracts::words<order>())) out.add(parsed<order>(word));
}

template <class E>
requires(std::is_enum_v<E>) void read(const config_section& s, const char* key, E& out) {
  out = parsed<E>(s.choice(key, contracts::words<E>()));
}

group_settings read_group(const config_section& s) {
  group_settings group;
  group.line = s.line();
  known_words known;
  contracts::for_each_field([&](const auto& f) { known.push_back(f.name); });
  known.push_back("depends_on");
  s.only(known);
  contracts::for_each_field([&](const auto& f) {
    if (!s.has(f.name)) return;
    read(s, f.name, group.how.*f.member);
    group.field_lines[f.name] = s.line_of(f.name);
  });
  // One word says it all: the order that is enabled alone is the default, and without total order reads are local.
  if (!s.has("default_order") && !group.how.orders.has(group.how.default_order))
    for (std::size_t i = 0; i < order_count; ++i)
      if (group.how.orders.has(static_cast<order>(i))) group.how.default_order = static_cast<order>(i);
  if (!s.has("reads") && !group.how.orders.has(order::total)) group.how.reads = reads::local;
  if (s.has("depends_on")) {
    group.depends_on = s.texts("depends_on");
    group.field_lines["depends_on"] = s.line_of("depends_on");
  }
  return group;
}

/// The group and all it depends on, each once, itself first.
void follow(const group_table& groups, const std::string& name, std::vector<std::string>& chain) {
  if (std::find(chain.begin(), chain.end(), name) != chain.end()) return;
  chain.push_back(name);
  for (const auto& next : groups.at(name).depends_on) follow(groups, next, chain);
}

/// As a reader of the file goes through it.
std::vector<located_finding> by_line(std::vector<located_finding> all) {
  std::vector<located_finding> sorted;
  for (auto& f : all) {
    const auto behind = std::upper_bound(sorted.begin(), sorted.end(), f.line,
                                         [](auto line, auto& other) { return line < other.line; });
    sorted.insert(behind, std::move(f));
  }
  return sorted;
}

}  // namespace

std::size_t group_settings::line_of(const std::vector<std::string>& fields) const {
  for (const auto& f : fields)
    if (const auto found = field_lines.find(f); found != field_lines.end()) return found->second;
  return line;
}

group_table read_groups(const config_section& root) {
  group_table groups;
  if (!root.has("groups")) return groups;
  const auto section = root.section("groups");
  for (const auto& name : section.keys()) {
    if (name.empty() || name.size() > group_name_max) section.fail(name, "a group's name has 1 to 255 bytes");
    groups.emplace(name, read_group(section.section(name)));
  }
  known_words known;
  for (const auto& [name, group] : groups) known.push_back(name);
  for (const auto& [name, group] : groups)
    for (const auto& other : group.depends_on)
      if (!groups.contains(other))
        root.file().fail(group.line_of({"depends_on"}), "[groups." + name + "] depends_on \"" + other +
                                                            "\", which is no group of this file" +
                                                            suggestion(other, known));
  return groups;
}

contract with_settings(contract from, const std::vector<std::string>& settings) {
  if (settings.empty()) return from;
  std::string text;
  for (const auto& s : settings) text += "groups.settings." + s + '\n';
  const auto file = config_file::parse(text, "settings");
  const auto set = read_groups(file.root()).at("settings");
  if (set.field_lines.contains("depends_on")) file.fail(set.line_of({"depends_on"}), "depends_on is no rule of a running group");
  contracts::for_each_field([&](const auto& f) {
    if (set.field_lines.contains(f.name)) from.*f.member = set.how.*f.member;
  });
  if (!from.orders.has(from.default_order)) from.default_order = set.how.default_order;
  return from;
}

std::string contract_text(const contract& what) {
  std::string text;
  contracts::for_each_field([&](const auto& f) { text += f.name + std::string(" = ") + contracts::written(what.*f.member) + '\n'; });
  return text;
}

contract contract_of(const std::string& text) {
  std::vector<std::string> settings;
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size());
    if (end > at) settings.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return with_settings(contract{}, settings);
}

std::string sentence(const finding& f, const contract& what) {
  auto text = f.rule + ": " + f.message + "; " + f.reason;
  if (f.nearest) text += "; the nearest legal contract has " + difference(what, *f.nearest);
  return text;
}

std::vector<located_finding> judge(const std::string& name, const group_settings& group, const roster_facts& members,
                                   const node_facts& nodes) {
  std::vector<located_finding> all;
  for (const auto& f : check(group.how, members, nodes))
    all.push_back({name, group.line_of(f.fields), f.severity, sentence(f, group.how)});
  for (const auto& m : not_built(group.how))
    all.push_back(
        {name, group.line_of({m.field}), severity::reject, m.field + ": " + m.what + ", so no node starts the group"});
  return by_line(std::move(all));
}

std::vector<located_finding> judge(const group_table& groups, const roster_facts& members) {
  std::vector<located_finding> all;
  for (const auto& [name, group] : groups) {
    auto found = judge(name, group, members);
    all.insert(all.end(), found.begin(), found.end());
    if (group.depends_on.empty()) continue;
    std::vector<std::string> names;
    follow(groups, name, names);
    std::vector<composed_group> chain;
    for (const auto& each : names) chain.push_back({each, groups.at(each).how, members});
    for (const auto& f : compose(chain).findings)
      all.push_back({name, group.line_of({"depends_on"}), f.severity, sentence(f, group.how)});
  }
  return by_line(std::move(all));
}

void refuse(const config_file& file, const std::vector<located_finding>& found) {
  std::string lines;
  for (const auto& f : found)
    if (f.severity == severity::reject)
      lines += (lines.empty() ? "" : "\n") + file.located(f.line, "[groups." + f.group + "] " + f.text);
  if (!lines.empty()) throw config_error(lines);
}

}  // namespace cohort::detail
