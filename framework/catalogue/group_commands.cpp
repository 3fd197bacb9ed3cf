// Groups that are created and deleted.
#include "framework/catalogue/machine.hpp"

#include <algorithm>

namespace cohort::catalogue {
namespace {

std::string described(const group_line& g) { return "group " + g.name + " is number " + std::to_string(g.number); }

}  // namespace

verdict machine::create_group(const command& c) {
  const auto asked_before = std::ranges::find_if(groups_.groups, [&](const group_line& g) { return c.request != 0 && g.request == c.request; });
  if (asked_before != groups_.groups.end())
    return asked_before->present ? verdict{true, described(*asked_before)} : verdict{false, "group " + c.name + " was created, and is deleted by now"};
  if (!is_node_name(c.name)) return {false, "\"" + c.name + "\" is no name: 1 to 64 characters of A-Z a-z 0-9 _ . -"};
  if (!is_node_name(c.type)) return {false, "\"" + c.type + "\" is no name of a type: 1 to 64 characters of A-Z a-z 0-9 _ . -"};
  if (c.contract.size() > contract_bytes_max) return {false, "the contract is too long"};
  if (const auto* known = groups_.find(c.name)) {
    if (known->type == c.type && known->contract == c.contract) return {true, described(*known)};
    return {false, described(*known) + " already, and is set up differently; delete it first, or change its rules"};
  }
  if (c.founders.empty()) return {false, "a group has founders"};
  for (std::size_t i = 0; i < c.founders.size(); ++i) {
    const auto* node = table_.find(c.founders[i].member);
    if (!node || !node->present || (i > 0 && c.founders[i].member <= c.founders[i - 1].member))
      return {false, "the cluster's nodes changed meanwhile; ask again"};
  }
  if (groups_.groups.size() >= group_number_max - c.number)
    return {false, "all numbers are used: " + std::to_string(groups_.groups.size()) + " groups were created in the cluster's life, and a number is not used again"};
  group_line g;
  g.number = group_number_max - static_cast<std::uint32_t>(groups_.groups.size());
  g.name = c.name;
  g.type = c.type;
  g.contract = c.contract;
  g.founders = c.founders;
  g.request = c.request;
  groups_.groups.push_back(std::move(g));
  ++groups_.version;
  tell_groups();
  return {true, described(groups_.groups.back())};
}

verdict machine::delete_group(const command& c) {
  const auto* known = c.number != 0 ? groups_.find(c.number) : groups_.find(c.name);
  if (known && known->name == c.name && known->present) {
    auto& g = groups_.groups[static_cast<std::size_t>(known - groups_.groups.data())];
    g.present = false;
    g.type.clear();
    g.contract.clear();
    g.founders.clear();
    ++groups_.version;
    tell_groups();
    return {true, "group " + c.name + " is deleted"};
  }
  const bool was = std::ranges::any_of(groups_.groups, [&](const group_line& g) { return g.name == c.name; });
  return {was, was ? "group " + c.name + " is deleted" : "no group that was created is named " + c.name};
}

void machine::tell_groups() const {
  if (groups_changed_) groups_changed_(groups_);
}

}  // namespace cohort::catalogue
