// Groups that are created and deleted.
#include "framework/catalogue/machine.hpp"

#include <algorithm>

namespace cohort::catalogue {

std::string machine::described(const group_line& g) const {
  auto text = "group " + g.name + " is number " + std::to_string(g.number);
  for (std::size_t i = 0; i < g.hosts.size(); ++i) text += (i == 0 ? ", on " : ", ") + table_.find(g.hosts[i])->name;
  return text;
}

/// Empty, or what is wrong with the names.
std::string machine::name_hosts(const command& c, std::vector<member_id>& hosts) const {
  for (const auto& name : c.hosts) {
    const auto* node = table_.find(name);
    if (!node) return "no node is named \"" + name + "\"";
    if (std::ranges::find(hosts, node->number) != hosts.end()) return name + " is named twice";
    hosts.push_back(node->number);
  }
  std::ranges::sort(hosts);
  return {};
}

verdict machine::create_group(const command& c) {
  if (c.request != 0) {
    const auto there = std::ranges::find(groups_.groups, c.request, &group_line::request);
    if (there != groups_.groups.end()) return {true, described(*there)};
    if (std::ranges::find(groups_.gone, c.request, &gone_line::request) != groups_.gone.end())
      return {false, "group " + c.name + " was created, and is deleted by now"};
  }
  if (!is_node_name(c.name)) return {false, "\"" + c.name + "\" is no name: 1 to 64 characters of A-Z a-z 0-9 _ . -"};
  if (!is_node_name(c.type)) return {false, "\"" + c.type + "\" is no name of a type: 1 to 64 characters of A-Z a-z 0-9 _ . -"};
  if (c.contract.size() > contract_bytes_max) return {false, "the contract is too long"};
  std::vector<member_id> hosts;
  if (const auto flaw = name_hosts(c, hosts); !flaw.empty()) return {false, flaw};
  if (const auto* known = groups_.find(c.name)) {
    if (known->type == c.type && known->contract == c.contract && known->hosts == hosts) return {true, described(*known)};
    return {false, described(*known) + " already, and is set up differently; delete it first, or change its rules"};
  }
  if (c.founders.empty()) return {false, "a group has founders"};
  for (std::size_t i = 0; i < c.founders.size(); ++i) {
    const auto* node = table_.find(c.founders[i].member);
    const bool has_part = hosts.empty() || std::ranges::binary_search(hosts, c.founders[i].member);
    if (!node || !node->present || !has_part || (i > 0 && c.founders[i].member <= c.founders[i - 1].member))
      return {false, "the cluster's nodes changed meanwhile; ask again"};
  }
  const auto number = groups_.next_number(c.number);
  if (!number) return {false, "all places are taken by the " + std::to_string(groups_.groups.size()) + " groups that are there: delete one first"};
  group_line g;
  g.number = *number;
  g.name = c.name;
  g.type = c.type;
  g.contract = c.contract;
  g.founders = c.founders;
  g.request = c.request;
  g.hosts = std::move(hosts);
  ++groups_.lives[place_of(*number)];
  groups_.groups.push_back(std::move(g));
  ++groups_.version;
  tell_groups();
  return {true, described(groups_.groups.back())};
}

verdict machine::delete_group(const command& c) {
  const auto* known = c.number != 0 ? groups_.find(c.number) : groups_.find(c.name);
  if (known && known->name == c.name) {
    groups_.gone.push_back({known->number, known->name, known->request});
    if (groups_.gone.size() > gone_max) groups_.gone.erase(groups_.gone.begin());
    groups_.groups.erase(groups_.groups.begin() + (known - groups_.groups.data()));
    ++groups_.version;
    tell_groups();
    return {true, "group " + c.name + " is deleted"};
  }
  const bool was = c.number != 0 ? !known && groups_.ever(c.number) : std::ranges::find(groups_.gone, c.name, &gone_line::name) != groups_.gone.end();
  return {was, was ? "group " + c.name + " is deleted" : "no group that was created is named " + c.name};
}

/// What it joins it holds as any member does; who founded the group stays as it was (V19).
verdict machine::extend_group(const command& c) {
  const auto* known = groups_.find(c.name);
  if (!known) return {false, "no group that was created is named " + c.name};
  std::vector<member_id> more;
  if (const auto flaw = name_hosts(c, more); !flaw.empty()) return {false, flaw};
  if (more.empty()) return {false, "no node is named"};
  if (known->hosts.empty()) return {true, "group " + c.name + " is on all nodes"};
  auto hosts = known->hosts;
  for (const auto node : more)
    if (!std::ranges::binary_search(known->hosts, node)) hosts.push_back(node);
  if (hosts.size() > hosts_max) return {false, "a group has at most " + std::to_string(hosts_max) + " hosts"};
  if (hosts.size() == known->hosts.size()) return {true, described(*known)};
  std::ranges::sort(hosts);
  auto& g = groups_.groups[static_cast<std::size_t>(known - groups_.groups.data())];
  g.hosts = std::move(hosts);
  ++groups_.version;
  tell_groups();
  return {true, described(g)};
}

/// Empty, or the group that would be nowhere without this node.
std::string machine::alone_on(member_id node) const {
  const auto at = std::ranges::find(groups_.groups, std::vector{node}, &group_line::hosts);
  return at == groups_.groups.end() ? std::string() : at->name;
}

/// The node is removed: a name that comes back is another node, which has no part in what the former had.
void machine::forget_host(member_id node) {
  std::size_t changed = 0;
  for (auto& g : groups_.groups) changed += std::erase(g.hosts, node);
  if (changed == 0) return;
  ++groups_.version;
  tell_groups();
}

void machine::tell_groups() const {
  if (groups_changed_) groups_changed_(groups_);
}

}  // namespace cohort::catalogue
