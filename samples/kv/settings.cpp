#include "samples/kv/settings.hpp"

#include "transport/address.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <toml++/toml.h>

namespace kv {

namespace {

/// Number of changed, added or removed letters between two words.
std::size_t distance(std::string_view a, std::string_view b) {
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

using names = std::vector<std::string_view>;

std::string suggestion(std::string_view word, const names& known) {
  const auto nearest = std::min_element(known.begin(), known.end(), [&](auto a, auto b) {
    return distance(word, a) < distance(word, b);
  });
  std::string all;
  for (const auto name : known) all += (all.empty() ? "" : ", ") + std::string(name);
  return "; did you mean \"" + std::string(*nearest) + "\"? (known: " + all + ")";
}

class reader {
public:
  reader(std::string_view text, const std::filesystem::path& file) : file_(file) {
    try {
      root_ = toml::parse(text, file.string());
    } catch (const toml::parse_error& e) {
      fail(e.source().begin.line, std::string(e.description()));
    }
  }

  settings read() {
    check_keys(root_, "the file", {"node", "members", "kv"}, true);
    settings result;
    auto& node = result.node;
    const auto& node_table = section("node", {"name", "data", "listen", "discover", "cluster", "name_servers"});
    const auto& members = section("members", {});
    read_discovery(node_table, node);
    read_members(members, node);
    node.name = text(node_table, "node", "name");
    const auto own =
        std::find_if(node.members.begin(), node.members.end(), [&](auto& m) { return m.name == node.name; });
    if (own == node.members.end()) {
      names known;
      for (const auto& m : node.members) known.push_back(m.name);
      fail(node_table.get("name"),
           "[node] name = \"" + node.name + "\" is not in [members]" + suggestion(node.name, known));
    }
    node.data = text(node_table, "node", "data");
    if (node.data.empty())
      fail(node_table.get("data"), "[node] data is empty; name a directory that only this node uses");
    node.data = (std::filesystem::absolute(file_).parent_path() / node.data).lexically_normal();
    read_listen(node_table, *own, node);
    read_kv(result, *own);
    return result;
  }

private:
  [[noreturn]] void fail(std::size_t line, const std::string& what) const {
    throw settings_error(file_.string() + ":" + std::to_string(line) + ": " + what);
  }
  [[noreturn]] void fail(const toml::node* at, const std::string& what) const {
    fail(at != nullptr ? at->source().begin.line : 1, what);
  }

  void check_keys(const toml::table& table, const std::string& where, const names& known, bool sections = false) const {
    for (const auto& [key, value] : table) {
      if (std::find(known.begin(), known.end(), key.str()) == known.end())
        fail(key.source().begin.line, std::string(sections ? "unknown section [" : "unknown key \"") +
                                          std::string(key.str()) + (sections ? "] in " : "\" in ") + where +
                                          suggestion(key.str(), known));
      if (sections && !value.is_table())
        fail(&value, std::string(key.str()) + " must be a section, written as [" + std::string(key.str()) + "]");
    }
  }

  /// A section with nothing but `known` keys; all, if there are none.
  const toml::table& section(const std::string& name, const names& known) const {
    const auto* found = root_.get_as<toml::table>(name);
    if (found == nullptr) fail(std::size_t{1}, "section [" + name + "] is missing");
    if (!known.empty()) check_keys(*found, "[" + name + "]", known);
    return *found;
  }

  std::string text_of(const toml::node& value, const std::string& name) const {
    const auto* string = value.as_string();
    if (string == nullptr)
      fail(&value, name + " must be text in quotes, like " + name.substr(name.find(' ') + 1) + " = \"...\"");
    return string->get();
  }

  std::string text(const toml::table& table, const std::string& where, const std::string& key) const {
    const auto* value = table.get(key);
    if (value == nullptr) fail(&table, "key \"" + key + "\" is missing in [" + where + "]");
    return text_of(*value, "[" + where + "] " + key);
  }

  cohort::transport::address address(const toml::node& at, const std::string& name, const std::string& text) const {
    cohort::transport::address result;
    if (const auto problem = parse_address(text, result); !problem.empty())
      fail(&at, name + " = \"" + text + "\": " + problem);
    if (result.port == 0) fail(&at, name + " = \"" + text + "\": port 0 is no port that others could find");
    return result;
  }

  /// What may stand for an address in [members] and in a file of members.
  void place(const toml::node& at, const std::string& name, const std::string& text, const cohort::node_config& node) const {
    if (text == "discover") {
      if (node.discover.empty())
        fail(&at, name + " = \"discover\", but [node] has no discover = \"file:PATH\" or \"srv:NAME\" that says where it is");
      return;
    }
    cohort::transport::place parsed;
    if (const auto problem = parse_place(text, parsed); !problem.empty())
      fail(&at, name + " = \"" + text + "\": " + problem);
  }

  void read_discovery(const toml::table& table, cohort::node_config& node) const {
    const auto add = [&](const toml::node& value) {
      auto text = text_of(value, "[node] discover");
      cohort::transport::place records;
      if (constexpr std::string_view file = "file:"; text.starts_with(file) && text.size() > file.size())
        text = "file:" + (std::filesystem::absolute(file_).parent_path() / text.substr(file.size())).lexically_normal().string();
      else if (!text.starts_with("srv:") || !parse_place(text, records).empty())
        fail(&value, "[node] discover = \"" + text + "\" is no source; write \"file:PATH\" or \"srv:NAME\", or a list of them");
      node.discover.push_back(text);
    };
    if (const auto* value = table.get("discover")) {
      if (const auto* list = value->as_array())
        for (const auto& one : *list) add(one);
      else
        add(*value);
    }
    if (const auto* value = table.get("cluster")) node.cluster = text_of(*value, "[node] cluster");
    if (const auto* value = table.get("name_servers")) {
      node.name_servers = text_of(*value, "[node] name_servers");
      std::vector<cohort::transport::address> servers;
      if (const auto problem = cohort::transport::parse_name_servers(node.name_servers, servers); !problem.empty())
        fail(value, "[node] name_servers: " + problem);
    }
  }

  void read_members(const toml::table& table, cohort::node_config& node) const {
    if (table.empty()) fail(&table, "[members] is empty; name every founder as NAME = \"host:port\"");
    for (const auto& [key, value] : table) {
      const std::string name(key.str()), label = "[members] " + name, where = text_of(value, label);
      const bool good =
          !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
            return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
          });
      if (!good)
        fail(key.source().begin.line, "member name \"" + name + "\" is not 1 to 64 characters of A-Z a-z 0-9 _ . -");
      place(value, label, where, node);
      for (const auto& other : node.members)
        if (other.address == where && where != "discover")
          fail(key.source().begin.line, "members " + other.name + " and " + name + " have the same address " + where);
      node.members.push_back({name, where});
    }
    if (node.members.size() > 64) fail(&table, "[members] names more than 64 founders");
  }

  void read_listen(const toml::table& table, const cohort::member_config& own, cohort::node_config& node) const {
    const auto* value = table.get("listen");
    const bool elsewhere = own.address == "discover" || own.address.starts_with("srv:");
    if ((elsewhere || !node.discover.empty()) && node.cluster.empty())
      fail(&table, "members are discovered, so [node] needs cluster = \"NAME\", the same at all nodes: an address that leads to "
                   "another cluster is refused by it");
    if (value == nullptr && elsewhere)
      fail(&table, "[node] listen is missing, and [members] " + own.name + " = \"" + own.address +
                       "\" does not say where this node listens");
    if (value == nullptr) return;
    const auto text = text_of(*value, "[node] listen");
    const auto listen = address(*value, "[node] listen", text);
    node.listen = text;
    if (elsewhere || !node.discover.empty()) return;
    const auto named = address(*value, "[members] " + own.name, own.address);
    if (listen != named && listen.host != "0.0.0.0" && listen.host != "::")
      fail(value, "[node] listen = \"" + text + "\" contradicts [members] " + own.name + " = \"" + own.address +
                      "\"; make them equal, or listen on 0.0.0.0 or :: behind a port forwarder");
  }

  std::string choice(const toml::table& table, const std::string& key, const names& known) const {
    const auto* value = table.get(key);
    if (value == nullptr) return std::string(known.front());
    const auto chosen = text_of(*value, "[kv] " + key);
    if (std::find(known.begin(), known.end(), chosen) == known.end())
      fail(value, "[kv] " + key + " = \"" + chosen + "\" is unknown" + suggestion(chosen, known));
    return chosen;
  }

  void read_kv(settings& result, const cohort::member_config& own) const {
    static const toml::table nothing;
    const auto& table = root_.contains("kv") ? section("kv", {"redis", "durability", "reads"}) : nothing;
    if (const auto* value = table.get("redis")) {
      result.server.listen = text_of(*value, "[kv] redis");
      const auto redis = address(*value, "[kv] redis", result.server.listen);
      if (cohort::transport::address node; parse_address(own.address, node).empty() && node == redis)
        fail(value, "[kv] redis = \"" + result.server.listen +
                        "\" is also where this node listens for the others, [members] " + own.name +
                        "; choose another port");
    }
    const auto durability = choice(table, "durability", {"journaled", "volatile"});
    const auto reads = choice(table, "reads", {"linearizable", "lease", "local"});
    result.contract.durability =
        durability == "volatile" ? cohort::durability::in_memory : cohort::durability::journaled;
    result.server.gateway.reads = reads == "lease"   ? cohort::reads::lease
                                  : reads == "local" ? cohort::reads::local
                                                     : cohort::reads::linearizable;
    if (reads == "lease") result.contract.reads = cohort::reads::lease;
    result.server.gateway.message_bytes_max = result.contract.message_bytes_max;
    result.server.gateway.unknown_after = result.contract.outcome_bound;
    result.server.parameters = {{"appendonly", durability == "journaled" ? "yes" : "no"},
                                {"dir", result.node.data.string()},
                                {"durability", durability},
                                {"reads", reads}};
  }

  std::filesystem::path file_;
  toml::table root_;
};

}  // namespace

settings parse_settings(std::string_view text, const std::filesystem::path& file) { return reader(text, file).read(); }

settings read_settings(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (std::filesystem::is_directory(file) || !in || !(text << in.rdbuf()))
    throw settings_error(file.string() + ": cannot be read; give the node's configuration file with --config");
  return parse_settings(text.str(), file);
}

}  // namespace kv
