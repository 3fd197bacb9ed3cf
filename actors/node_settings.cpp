#include "actors/node_settings.hpp"

#include "actors/discovery.hpp"
#include "transport/address.hpp"

#include <algorithm>
#include <cctype>

namespace cohort {
namespace detail {
namespace {

transport::address address_in(const config_section& s, const std::string& key, const std::string& text) {
  transport::address result;
  const auto name = s.label() + ' ' + key + " = \"" + text + "\": ";
  if (const auto problem = transport::parse_address(text, result); !problem.empty()) s.fail(key, name + problem);
  if (result.port == 0) s.fail(key, name + "port 0 is no port that others could find");
  return result;
}

void read_listen(const config_section& s, const config_section& members, const member_config& own, node_config& node) {
  const bool elsewhere = is_elsewhere(own.address);
  if (!s.has("listen")) {
    if (elsewhere)
      s.fail("listen", "[node] listen is missing, and [members] " + own.name + " = \"" + own.address +
                           "\" does not say where this node listens");
    return;
  }
  const auto text = s.text("listen");
  const auto listen = address_in(s, "listen", text);
  node.listen = text;
  if (elsewhere || node.catalogue || !node.discover.empty()) return;  // a member that moved: the others find it by other means
  const auto named = address_in(members, own.name, own.address);
  if (listen != named && listen.host != "0.0.0.0" && listen.host != "::")
    s.fail("listen", "[node] listen = \"" + text + "\" contradicts [members] " + own.name + " = \"" + own.address +
                         "\"; make them equal, or listen on 0.0.0.0 or :: behind a port forwarder");
}

void read_join(const config_section& s, node_config& node) {
  if (s.has("catalogue")) node.catalogue = s.flag("catalogue");
  if (!s.has("join")) return;
  if (s.has("catalogue") && !node.catalogue) s.fail("catalogue", "[node] join needs a catalogue: leave catalogue = false out");
  node.catalogue = true;
  node.join = s.text_or_texts("join");
  if (node.join.empty()) s.fail("join", "[node] join names nobody; write \"host:port\", \"srv:NAME\" or \"file:PATH\", or a list of them");
  const auto folder = std::filesystem::absolute(s.file().name()).parent_path();
  constexpr std::string_view file = "file:";
  for (auto& hint : node.join) {
    transport::place place;
    if (hint.starts_with(file) && hint.size() > file.size())
      hint = "file:" + (folder / hint.substr(file.size())).lexically_normal().string();
    else if (const auto problem = transport::parse_place(hint, place); !problem.empty())
      s.fail("join", "[node] join = \"" + hint + "\": " + problem + "; or \"file:PATH\"");
  }
}

void read_discovery(const config_section& s, const config_section& root, node_config& node) {
  const auto folder = std::filesystem::absolute(s.file().name()).parent_path();
  if (s.has("discover")) node.discover = s.text_or_texts("discover");
  for (auto& source : node.discover) {
    transport::place records;
    if (constexpr std::string_view file = "file:"; source.starts_with(file) && source.size() > file.size())
      source = "file:" + (folder / source.substr(file.size())).lexically_normal().string();
    else if (!source.starts_with("srv:") || !transport::parse_place(source, records).empty())
      s.fail("discover", "[node] discover = \"" + source + "\" is no source; write \"file:PATH\" or \"srv:NAME\", or a list of them");
  }
  if (s.has("cluster")) node.cluster = s.text("cluster");
  if (s.has("name_servers")) {
    node.name_servers = s.text("name_servers");
    std::vector<transport::address> servers;
    if (const auto problem = transport::parse_name_servers(node.name_servers, servers); !problem.empty())
      s.fail("name_servers", "[node] name_servers: " + problem);
  }
  bool any = !node.discover.empty();
  for (const auto& m : node.members) {
    if (is_discovered(m.address) && node.discover.empty())
      root.section("members").fail(m.name, "[members] " + m.name + " = \"discover\", but [node] has no discover = \"file:PATH\" or "
                               "\"srv:NAME\" that says where it is");
    any |= is_elsewhere(m.address);
  }
  if (any && node.cluster.empty())
    s.fail("cluster", "members are discovered, so [node] needs cluster = \"NAME\", the same at all nodes: an address that "
                      "leads to another cluster is refused by it");
}

}  // namespace

std::vector<member_config> read_members(const config_section& root) {
  const auto s = root.section("members");
  if (s.empty()) root.fail("members", "[members] is empty; name every founder as NAME = \"host:port\"");
  std::vector<member_config> members;
  for (const auto& name : s.keys()) {
    const auto where = s.text(name);
    const bool good = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
      return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-';
    });
    if (!good) s.fail(name, "member name \"" + name + "\" is not 1 to 64 characters of A-Z a-z 0-9 _ . -");
    transport::place place;
    if (where != "discover")
      if (const auto problem = transport::parse_place(where, place); !problem.empty())
        s.fail(name, s.label() + ' ' + name + " = \"" + where + "\": " + problem);
    for (const auto& other : members)
      if (other.address == where && where != "discover")
        s.fail(name, "members " + other.name + " and " + name + " have the same address " + where);
    members.push_back({name, where});
  }
  if (members.size() > 64) root.fail("members", "[members] names more than 64 founders");
  return members;
}

node_config read_node(const config_section& root) {
  node_config node;
  const auto s = root.section("node");
  s.only({"name", "data", "listen", "discover", "cluster", "name_servers", "compression", "stop_limit", "witnesses", "metrics", "catalogue", "join"});
  read_join(s, node);
  const bool joins = !node.join.empty() || (s.has("discover") && !root.has("members"));
  if (joins && s.has("catalogue") && !node.catalogue) s.fail("catalogue", "[node] a node that joins needs a catalogue: leave catalogue = false out");
  if (!joins || root.has("members")) node.members = read_members(root);
  read_discovery(s, root, node);
  node.name = s.text("name");
  const auto own = std::find_if(node.members.begin(), node.members.end(), [&](auto& m) { return m.name == node.name; });
  if (own == node.members.end() && !joins) {
    known_words known;
    for (const auto& m : node.members) known.push_back(m.name);
    s.fail("name", "[node] name = \"" + node.name + "\" is not in [members]" + suggestion(node.name, known));
  }
  node.data = s.text("data");
  if (node.data.empty()) s.fail("data", "[node] data is empty; name a directory that only this node uses");
  node.data = (std::filesystem::absolute(root.file().name()).parent_path() / node.data).lexically_normal();
  if (own != node.members.end()) {
    read_listen(s, root.section("members"), *own, node);
  } else {
    if (!s.has("listen")) s.fail("listen", "[node] listen is missing: a node that joins says where it listens");
    node.listen = s.text("listen");
    address_in(s, "listen", node.listen);
  }
  if (root.has("gateways")) {
    const auto gateways = root.section("gateways");
    for (const auto& name : gateways.keys()) {
      const auto where = gateways.text(name);
      address_in(gateways, name, where);
      if (name != node.name && std::ranges::none_of(node.members, [&](auto& m) { return m.name == name; })) {
        known_words known;
        for (const auto& m : node.members) known.push_back(m.name);
        gateways.fail(name, "[gateways] " + name + " is not in [members]" + suggestion(name, known));
      }
      node.gateways.push_back({name, where});
    }
  }
  if (s.has("metrics")) {
    node.metrics = s.text("metrics");
    address_in(s, "metrics", node.metrics);
  }
  if (s.has("witnesses")) node.witnesses = s.text_or_texts("witnesses");
  for (const auto& w : node.witnesses)
    if (!node.members.empty() && std::ranges::none_of(node.members, [&](auto& m) { return m.name == w; }))
      s.fail("witnesses", "[node] witnesses: \"" + w + "\" is not in [members]");
  if (s.has("compression")) node.compression = s.text("compression");
  if (node.compression != "off" && node.compression != "zstd")
    s.fail("compression", "[node] compression = \"" + node.compression + "\" is neither \"off\" nor \"zstd\"");
  if (s.has("stop_limit")) node.stop_limit = s.time("stop_limit");
  if (node.stop_limit.count() < 1) s.fail("stop_limit", "[node] stop_limit must be at least 1 ms");
  return node;
}

}  // namespace detail

node_config read_node_file(const std::filesystem::path& name,
                           const std::vector<std::string_view>& application_sections) {
  using namespace detail;
  const auto file = config_file::load(name, "name the node's configuration file");
  const auto root = file.root();
  known_words known{"node", "members", "groups", "gateways"};
  known.insert(known.end(), application_sections.begin(), application_sections.end());
  root.only(known, true);
  auto node = read_node(root);
  const auto groups = read_groups(root);
  // Of a cluster that is yet to be joined three are assumed; the node judges again once it knows.
  const auto members = node.members.empty() ? std::size_t{3} : node.members.size();
  refuse(file, judge(groups, {.members = static_cast<unsigned>(members)}));
  for (const auto& [group, settings] : groups) node.groups[group] = settings.how;
  return node;
}

}  // namespace cohort
