#include "samples/kv/settings.hpp"

#include "actors/node_settings.hpp"
#include "transport/address.hpp"

#include <algorithm>

namespace kv {

namespace {

using namespace cohort::detail;

cohort::transport::address address_of(const std::string& text) {
  cohort::transport::address result;
  return parse_address(text, result).empty() ? result : cohort::transport::address{};
}

class reader {
public:
  explicit reader(config_file file) : file_(std::move(file)) {}

  settings read() {
    const auto root = file_.root();
    root.only({"node", "members", "groups", "gateways", "kv"}, true);
    settings result;
    result.node = read_node(root);
    auto groups = read_groups(root);
    for (const auto& [name, group] : groups)
      if (name != "kv")
        file_.fail(group.line, "this service has one group, [groups.kv], and not [groups." + name + "]");
    auto& group = groups["kv"];
    if (root.has("kv")) read_kv(root.section("kv"), result, group);
    complete(result, group);
    return result;
  }

private:
  void read_listen(const config_section& s, settings& result) {
    if (!s.has("redis")) return;
    auto& listen = result.server.listen;
    listen = s.text("redis");
    const auto fail = [&](const std::string& what) { s.fail("redis", "[kv] redis = \"" + listen + "\"" + what); };
    cohort::transport::address redis;
    if (const auto problem = parse_address(listen, redis); !problem.empty()) fail(": " + problem);
    if (redis.port == 0) fail(": port 0 is no port that others could find");
    for (const auto& m : result.node.members)
      if (m.name == result.node.name && address_of(m.address) == redis)
        fail(" is also where this node listens for the others, [members] " + m.name + "; choose another port");
  }

  /// [kv] names the two choices which most services need; [groups.kv] has all of them, and may not say otherwise.
  void read_kv(const config_section& s, settings& result, group_settings& group) {
    s.only({"redis", "durability", "reads"});
    read_listen(s, result);
    if (s.has("durability")) {
      const bool in_memory = s.choice("durability", {"journaled", "volatile"}) == "volatile";
      choose(s, "durability", group, group.how.durability,
             in_memory ? cohort::durability::in_memory : cohort::durability::journaled);
    }
    if (s.has("reads")) {
      const auto chosen = s.choice("reads", {"linearizable", "lease", "local"});
      choose(s, "reads", group, group.how.reads,
             chosen == "lease"   ? cohort::reads::lease
             : chosen == "local" ? cohort::reads::local
                                 : cohort::reads::linearizable);
    }
  }

  template <class Choice>
  void choose(const config_section& s, const std::string& key, group_settings& group, Choice& field, Choice chosen) {
    if (const auto other = group.field_lines.find(key); other != group.field_lines.end() && field != chosen)
      s.fail(key, "[kv] " + key + " = \"" + to_string(chosen) + "\" contradicts [groups.kv] " + key + " = \"" +
                      to_string(field) + "\" in line " + std::to_string(other->second) + "; leave one of them out");
    field = chosen;
    group.field_lines.try_emplace(key, s.line_of(key));
  }

  void complete(settings& result, group_settings& group) {
    auto& how = group.how;
    how.replication = cohort::replication::active;
    refuse(file_, judge("kv", group, {.members = static_cast<unsigned>(result.node.members.size())}));
    result.contract = how;
    auto& server = result.server;
    server.gateway.reads = how.reads;
    server.gateway.message_bytes_max = how.message_bytes_max;
    server.gateway.unknown_after = how.outcome_bound;
    server.parameters = {{"appendonly", how.durability == cohort::durability::journaled ? "yes" : "no"},
                         {"dir", result.node.data.string()},
                         {"durability", to_string(how.durability)},
                         {"reads", to_string(how.reads)}};
  }

  config_file file_;
};

}  // namespace

settings parse_settings(std::string_view text, const std::filesystem::path& file) {
  return reader(config_file::parse(text, file)).read();
}

settings read_settings(const std::filesystem::path& file) {
  return reader(config_file::load(file, "give the node's configuration file with --config")).read();
}

}  // namespace kv
