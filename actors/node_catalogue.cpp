// A node's side of the cluster's table of nodes.
#include "actors/node_impl.hpp"

#include "actors/joining.hpp"

#include "transport/address.hpp"

#include <algorithm>
#include <csignal>

namespace cohort {
namespace {

bool asked_to_stop() {
  sigset_t waiting;
  return sigpending(&waiting) == 0 && (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1);
}

std::future<change_result> settled(change_result what) {
  std::promise<change_result> now;
  now.set_value(std::move(what));
  return now.get_future();
}

}  // namespace

/// Who the founders are, and what was decided about nodes since, as far as it can be known before the catalogue is there.
void node::impl::find_nodes() {
  std::string trouble;
  if (detail::is_joining(config)) {
    found_ = detail::find_cluster(config, log, asked_to_stop);
    config.members.clear();  // of an earlier start
    for (const auto& f : found_.founders) config.members.push_back({f.name, f.where});
    if (config.cluster.empty()) config.cluster = found_.cluster;
    config.epoch = std::max(config.epoch, found_.epoch);
    nodes_->update(found_.nodes);
    for (const auto& [name, group] : groups_) admit(*group);
    return;
  }
  found_ = {config.cluster, config.epoch, {}, {}};
  for (const auto& m : config.members) found_.founders.push_back({member_id(found_.founders.size()), m.name, m.address});
  if (auto known = detail::read_known_nodes(config.data / "nodes", trouble); known && known->founders == found_.founders)
    nodes_->update(known->nodes);
  if (!trouble.empty()) log.write(detail::log_level::warn, "the catalogue is read instead: " + trouble);
  for (const auto& hint : config.join) {  // all whom the directory knows may be elsewhere by now
    transport::place where;
    transport::cluster_nodes answer;
    if (transport::parse_place(hint, where).empty() &&
        transport::fetch_nodes(where, {}, config.name, std::chrono::milliseconds(500), answer).empty() && answer.founders == found_.founders)
      nodes_->update(answer.nodes);
  }
}

std::future<change_result> node::impl::change_nodes(catalogue::command what) {
  if (!catalogue_) return settled({false, "this cluster keeps no catalogue of nodes: set catalogue = true at all founders (docs/membership.md)"});
  if (!desk_) return settled({false, "the node does not run"});
  transport::place where;
  const bool to_sources = catalogue::is_left_to_sources(what.address);
  if (to_sources && config.discover.empty())
    return settled({false, "\"" + what.address + "\": this node has no sources of addresses: configure discover at all nodes first, or say HOST:PORT"});
  if (what.kind != catalogue::command_kind::remove && !to_sources)
    if (const auto problem = transport::parse_place(what.address, where); !problem.empty())
      return settled({false, "\"" + what.address + "\": " + problem});
  if (what.kind == catalogue::command_kind::remove)
    if (const auto why = quorum_without(what.name); !why.empty()) return settled({false, why});
  return desk_->ask(std::move(what));
}

/// Empty, or which group would stand still without the node (V10): found out before it is decided for good.
std::string node::impl::quorum_without(std::string_view name) {
  const auto figures = look();
  if (!figures) return "the node does not get to looking at its groups";
  for (const auto& g : figures->groups) {
    std::size_t voters = 0, active = 0;
    bool member = false;
    for (const auto& m : g.members) {
      if (m.name == name) member = true;
      if (!m.voter || m.name == name) continue;
      ++voters;
      if (m.active) ++active;
    }
    if (member && active < voters / 2 + 1)
      return "group " + g.group + " would have " + std::to_string(active) + " active of " + std::to_string(voters) +
             " members, which is no quorum: bring others back, or remove them, first";
  }
  return {};
}

std::vector<node_info> node::impl::nodes() const {
  std::vector<node_info> all;
  const auto table = nodes_->now();
  for (const auto& n : table.nodes) all.push_back({n.name, n.address, to_index(n.number) < table.founders, n.present});
  return all;
}

std::future<change_result> node::add_node(std::string_view name, std::string_view address) {
  return impl_->change_nodes({catalogue::command_kind::add, std::string(name), std::string(address)});
}
std::future<change_result> node::move_node(std::string_view name, std::string_view address) {
  return impl_->change_nodes({catalogue::command_kind::move, std::string(name), std::string(address)});
}
std::future<change_result> node::remove_node(std::string_view name) {
  return impl_->change_nodes({catalogue::command_kind::remove, std::string(name), {}});
}
std::vector<node_info> node::nodes() const { return impl_->nodes(); }

}  // namespace cohort
