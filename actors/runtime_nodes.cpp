// Nodes that come and go while a runtime lives.
#include "actors/runtime.hpp"

#include <algorithm>

namespace cohort::detail {
namespace {

using namespace std::chrono_literals;

constexpr auto look_again = 500ms;   ///< whether a removed node is out of every group
constexpr auto ask_again = 5s;       ///< a group that refused to go on without it

}  // namespace

std::vector<std::string> runtime::node_names() const {
  std::vector<std::string> all;
  for (const auto& n : table_.nodes)
    if (n.present) all.push_back(n.name);
  return all;
}

void runtime::nodes_changed() {
  const auto before = std::exchange(table_, nodes_->now());
  for (const auto& n : table_.nodes) {
    const auto* old = before.find(n.number);
    if (old && *old == n) continue;
    if (n.present) {
      if (n.number != self_) know(n);
      continue;
    }
    leaving_nodes_.push_back(n.number);
    if (n.number != self_) log_.write(log_level::info, "node " + n.name + " is removed from the cluster");
    else log_.write(log_level::error, "an operator removed this node from the cluster: stop it, its data directory is of no use any more");
  }
  discovery_->nodes_are(node_names());
  endpoint_->tell_nodes(table_);
  settle_removed();
}

void runtime::know(const catalogue::node_line& n) {
  try {
    endpoint_->know(n.number, n.name, configured_places(config_, {n.name, n.address}));
  } catch (const node_error& e) {
    return log_.write(log_level::error, "the catalogue's node " + n.name + " cannot be found: " + e.what());
  }
  for (auto& g : groups_) g.driver->know(n.number);
  log_.write(log_level::info, "node " + n.name + " is at " + n.address);
}

/// Every node does so: a removal goes on whoever dies. What a node finds done it leaves alone.
void runtime::settle_removed() {
  std::erase_if(leaving_nodes_, [&](member_id node) {
    bool inside = false;
    for (auto& g : groups_) inside = remove_from(g, node) || inside;
    if (inside) return false;
    if (node != self_) {
      endpoint_->forget(node);
      calls_.watch->node_down(name_of(node), down_reason::removed, "an operator removed it from the cluster");
    }
    return true;
  });
  if (!leaving_nodes_.empty()) removal_->set_after(look_again);
}

/// Whether the node is a member of the group, as far as is known here; if this one leads the group, it takes care of that.
bool runtime::remove_from(group& g, member_id node) {
  if (g.entry->how.partitions == partition_policy::partitionable) return false;  // its views follow the links
  const auto s = g.driver->status();
  const auto is_node = [&](const protocol::roster_entry& e) { return e.id.member == node; };
  if (!s.in_force || std::ranges::none_of(s.in_force->roster, is_node)) return false;
  const auto now = transport::loop::clock();
  if (!s.is_leader || now - g.removal_asked < ask_again) return true;
  g.removal_asked = now;
  if (node == self_) {
    g.driver->hand_over();
    return true;
  }
  g.driver->change(node, {protocol::change_kind::remove, name_of(node), {}, [this, name = name_of(node), index = g.entry->index](change_result r) {
    auto* of = groups_.find(index);
    if (!of) return;
    if (r.done) of->removal_asked = -1h;  // the next one need not wait
    else log_.write(log_level::warn, "group=" + of->entry->name + " cannot go on without removed node " + name + " yet: " + r.why);
  }});
  return true;
}

}  // namespace cohort::detail
