#include "actors/node_config.hpp"

#include "actors/discovery.hpp"
#include "actors/group_settings.hpp"
#include "actors/joining.hpp"
#include "actors/log.hpp"

#include <algorithm>
#include <charconv>
#include <thread>

namespace cohort {
namespace detail {
namespace {

constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t members_max = 64;

bool is_name(std::string_view text) {
  auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return !text.empty() && text.size() <= name_bytes_max && std::all_of(text.begin(), text.end(), good);
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty();
}

void check_address(const node_config& config, const member_config& m) {
  if (!is_elsewhere(m.address)) {
    parse_address(m.address, "the address of member " + m.name);
    return;
  }
  if (is_discovered(m.address) && config.discover.empty())
    throw node_error("member " + m.name +
                     " has the address \"discover\", but no source of addresses is configured; set discover, for instance "
                     "to \"file:members.toml\"");
  configured_places(config, m);
}

void check_discovery(const node_config& config) {
  for (auto& source : config.discover) parse_source(source);
  const bool any = !config.discover.empty() || std::any_of(config.members.begin(), config.members.end(),
                                                           [](auto& m) { return is_elsewhere(m.address); });
  if (any && config.cluster.empty())
    throw node_error("members are discovered, but the cluster has no name; set cluster to the same name at all its nodes, "
                     "so that an address which leads to another cluster is refused");
  if (!config.cluster.empty() && !is_name(config.cluster))
    throw node_error("cluster name \"" + config.cluster + "\" is not 1 to 64 characters of A-Z a-z 0-9 _ . -");
  std::vector<transport::address> servers;
  if (auto problem = transport::parse_name_servers(config.name_servers, servers); !problem.empty())
    throw node_error("name servers: " + problem);
}

}  // namespace

namespace {

void check_gateways(const node_config& config) {
  for (std::size_t i = 0; i < config.gateways.size(); ++i) {
    const auto& g = config.gateways[i];
    if (g.name != config.name && std::ranges::none_of(config.members, [&](auto& m) { return m.name == g.name; }))
      throw node_error("the gateway " + g.name + " = \"" + g.address + "\" is of no member");
    parse_address(g.address, "the gateway of " + g.name);
    for (const auto& m : config.members)
      if (m.address == g.address)
        throw node_error("the gateway of " + g.name + " has the address " + g.address + " of member " + m.name + "; give it a port of its own");
    for (std::size_t k = 0; k < i; ++k)
      if (config.gateways[k].name == g.name || config.gateways[k].address == g.address)
        throw node_error("the gateways of " + config.gateways[k].name + " and " + g.name + " have one name or address");
  }
}

}  // namespace

host_port parse_address(std::string_view text, const std::string& what) {
  auto colon = text.rfind(':');
  host_port parsed;
  unsigned port = 0;
  auto bad = [&](const std::string& why) {
    return node_error(what + " \"" + std::string(text) + "\" " + why +
                      "; write \"host:port\", for instance \"127.0.0.1:7101\"");
  };
  if (colon == std::string_view::npos) throw bad("has no port");
  parsed.host = text.substr(0, colon);
  if (parsed.host.size() > 2 && parsed.host.front() == '[' && parsed.host.back() == ']')
    parsed.host = parsed.host.substr(1, parsed.host.size() - 2);
  if (parsed.host.empty()) throw bad("has no host");
  if (!parse_number(text.substr(colon + 1), port) || port == 0 || port > 65535)
    throw bad("has no port between 1 and 65535");
  parsed.port = static_cast<std::uint16_t>(port);
  return parsed;
}

node_config checked(node_config config) {
  auto& members = config.members;
  const bool joining = is_joining(config);
  if (joining) {  // whoever tells where members are may lead to one of them
    check_discovery(config);
    for (const auto& source : config.discover)
      if (std::ranges::find(config.join, source) == config.join.end()) config.join.push_back(source);
  }
  for (const auto& hint : config.join) check_hint(hint);
  if (!config.join.empty()) config.catalogue = true;
  if (joining) {
    if (!is_name(config.name)) throw node_error("this node's name \"" + config.name + "\" is not 1 to 64 characters of A-Z a-z 0-9 _ . -");
    if (config.listen.empty()) throw node_error("a node that joins says where it listens: set the listening address");
    parse_address(config.listen, "the listening address");
    members.clear();  // those who answer know them
  } else if (members.empty()) throw node_error("no members are configured; name every founder as NAME = \"host:port\"");
  if (members.size() > members_max)
    throw node_error(std::to_string(members.size()) + " members are configured; at most 64 can found a group");
  std::sort(members.begin(), members.end(), [](auto& a, auto& b) { return a.name < b.name; });
  for (std::size_t i = 0; i < members.size(); ++i) {
    auto& m = members[i];
    if (!is_name(m.name))
      throw node_error("member name \"" + m.name + "\" is not 1 to 64 characters of A-Z a-z 0-9 _ . -");
    if (i > 0 && members[i - 1].name == m.name) throw node_error("member " + m.name + " is named twice");
    check_address(config, m);
    for (std::size_t k = 0; k < i; ++k)
      if (members[k].address == m.address && !is_discovered(m.address))
        throw node_error("members " + members[k].name + " and " + m.name + " have the same address " + m.address);
  }
  auto own = std::find_if(members.begin(), members.end(), [&](auto& m) { return m.name == config.name; });
  if (own == members.end() && !joining) {
    std::string known;
    for (auto& m : members) known += (known.empty() ? "" : ", ") + m.name;
    throw node_error("this node's name \"" + config.name + "\" is not among the members (" + known + ")");
  }
  for (std::size_t i = 0; i < config.witnesses.size(); ++i) {
    const auto& w = config.witnesses[i];
    if (!joining && std::ranges::none_of(members, [&](auto& m) { return m.name == w; }))
      throw node_error("the witness \"" + w + "\" is not among the members");
    if (std::find(config.witnesses.begin(), config.witnesses.begin() + static_cast<std::ptrdiff_t>(i), w) !=
        config.witnesses.begin() + static_cast<std::ptrdiff_t>(i))
      throw node_error("the witness " + w + " is named twice");
  }
  if (!joining) check_discovery(config);
  check_gateways(config);
  if (!config.metrics.empty()) parse_address(config.metrics, "the address for metrics");
  if (joining) {
    // as it is
  } else if (config.listen.empty()) {
    if (is_elsewhere(own->address))
      throw node_error("member " + own->name + " has the address \"" + own->address +
                       "\", which does not say where this node listens; set the listening address");
    config.listen = own->address;
  } else if (config.catalogue || !config.discover.empty() || is_elsewhere(own->address)) {
    parse_address(config.listen, "the listening address");  // a member that moved: the others find it by other means
  } else if (config.listen != own->address) {
    auto listen = parse_address(config.listen, "the listening address");
    if (listen.host != "0.0.0.0" && listen.host != "::")
      throw node_error("the listening address " + config.listen + " differs from this node's entry " + own->address +
                       " in the members; make them equal, or listen on 0.0.0.0 or ::");
  }
  if (config.data.empty()) throw node_error("no data directory is configured; give one that only this node uses");
  if (config.compression != "off" && config.compression != "zstd")
    throw node_error("compression \"" + config.compression + "\" is neither \"off\" nor \"zstd\"");
  if (config.stop_limit < std::chrono::milliseconds(1)) throw node_error("stop_limit must be at least 1 ms");
  if (config.epoch == 0) config.epoch = 1;
  if (config.workers == 0) config.workers = std::max(1u, std::thread::hardware_concurrency() - 1);
  if (!is_log_level(config.log_level))
    throw node_error("unknown log level \"" + config.log_level + "\"; one of trace, debug, info, warn, error, off");
  return config;
}

std::vector<std::string> admit(const contract& how, std::string_view group, std::size_t members) {
  group_settings settings;
  settings.how = how;
  std::vector<std::string> doubts;
  std::string refusals;
  for (auto& f : judge(std::string(group), settings, {.members = static_cast<unsigned>(members)})) {
    if (f.severity == severity::warn) doubts.push_back(std::move(f.text));
    else refusals += (refusals.empty() ? "" : "\n") + ("group " + f.group + ": " + f.text);
  }
  if (!refusals.empty()) throw node_error(refusals);
  return doubts;
}

}  // namespace detail

node_config config_from_arguments(int argc, char** argv) {
  static constexpr const char* usage =
    "usage: --name NAME --data DIRECTORY --member NAME=HOST:PORT ... [--listen HOST:PORT] [--new-epoch N] "
    "[--discover file:PATH|srv:NAME ...] [--cluster NAME] [--name-servers LIST] [--compression off|zstd] [--stop-limit SECONDS] "
    "[--log-level LEVEL] [--gateway NAME=HOST:PORT ...] [--metrics HOST:PORT] "
    "[--catalogue yes|no] [--join HOST:PORT|srv:NAME|file:PATH ...]";
  node_config config;
  for (int i = 1; i < argc; i += 2) {
    std::string_view flag = argv[i];
    if (i + 1 == argc) throw node_error(std::string(flag) + " needs a value\n" + usage);
    std::string_view value = argv[i + 1];
    if (flag == "--name") {
      config.name = value;
    } else if (flag == "--data") {
      config.data = std::filesystem::path(value);
    } else if (flag == "--member" || flag == "--gateway") {
      auto equals = value.find('=');
      if (equals == std::string_view::npos)
        throw node_error(std::string(flag) + ' ' + std::string(value) + " is not NAME=HOST:PORT\n" + usage);
      auto& places = flag == "--member" ? config.members : config.gateways;
      places.push_back({std::string(value.substr(0, equals)), std::string(value.substr(equals + 1))});
    } else if (flag == "--listen") {
      config.listen = value;
    } else if (flag == "--discover") {
      config.discover.emplace_back(value);
    } else if (flag == "--cluster") {
      config.cluster = value;
    } else if (flag == "--name-servers") {
      config.name_servers = value;
    } else if (flag == "--compression") {
      config.compression = value;
    } else if (flag == "--new-epoch") {
      if (!detail::parse_number(value, config.epoch) || config.epoch == 0)
        throw node_error("--new-epoch " + std::string(value) + " is not a number from 1 up\n" + usage);
    } else if (flag == "--stop-limit") {
      unsigned seconds = 0;
      if (!detail::parse_number(value, seconds) || seconds == 0 || seconds > 86'400)
        throw node_error("--stop-limit " + std::string(value) + " is not a number of seconds from 1 to 86400\n" + usage);
      config.stop_limit = std::chrono::seconds(seconds);
    } else if (flag == "--join") {
      config.join.emplace_back(value);
    } else if (flag == "--catalogue") {
      if (value != "yes" && value != "no") throw node_error("--catalogue " + std::string(value) + " is neither yes nor no\n" + usage);
      config.catalogue = value == "yes";
    } else if (flag == "--metrics") {
      config.metrics = value;
    } else if (flag == "--log-level") {
      config.log_level = value;
    } else {
      throw node_error("unknown argument " + std::string(flag) + "\n" + usage);
    }
  }
  return config;
}

}  // namespace cohort
