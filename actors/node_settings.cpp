#include "actors/node_settings.hpp"

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
  if (!s.has("listen")) return;
  const auto text = s.text("listen");
  const auto listen = address_in(s, "listen", text);
  const auto named = address_in(members, own.name, own.address);
  if (listen != named && listen.host != "0.0.0.0" && listen.host != "::")
    s.fail("listen", "[node] listen = \"" + text + "\" contradicts [members] " + own.name + " = \"" + own.address +
                         "\"; make them equal, or listen on 0.0.0.0 or :: behind a port forwarder");
  node.listen = text;
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
    address_in(s, name, where);
    for (const auto& other : members)
      if (other.address == where)
        s.fail(name, "members " + other.name + " and " + name + " have the same address " + where);
    members.push_back({name, where});
  }
  if (members.size() > 64) root.fail("members", "[members] names more than 64 founders");
  return members;
}

node_config read_node(const config_section& root) {
  node_config node;
  const auto s = root.section("node");
  s.only({"name", "data", "listen"});
  node.members = read_members(root);
  node.name = s.text("name");
  const auto own = std::find_if(node.members.begin(), node.members.end(), [&](auto& m) { return m.name == node.name; });
  if (own == node.members.end()) {
    known_words known;
    for (const auto& m : node.members) known.push_back(m.name);
    s.fail("name", "[node] name = \"" + node.name + "\" is not in [members]" + suggestion(node.name, known));
  }
  node.data = s.text("data");
  if (node.data.empty()) s.fail("data", "[node] data is empty; name a directory that only this node uses");
  node.data = (std::filesystem::absolute(root.file().name()).parent_path() / node.data).lexically_normal();
  read_listen(s, root.section("members"), *own, node);
  return node;
}

}  // namespace detail

node_config read_node_file(const std::filesystem::path& name,
                           const std::vector<std::string_view>& application_sections) {
  using namespace detail;
  const auto file = config_file::load(name, "name the node's configuration file");
  const auto root = file.root();
  known_words known{"node", "members", "groups"};
  known.insert(known.end(), application_sections.begin(), application_sections.end());
  root.only(known, true);
  auto node = read_node(root);
  const auto groups = read_groups(root);
  refuse(file, judge(groups, {.members = static_cast<unsigned>(node.members.size())}));
  for (const auto& [group, settings] : groups) node.groups[group] = settings.how;
  return node;
}

}  // namespace cohort
