#pragma once

// Inside actors/ only: includes CAF.
#include <cohort/listener.hpp>
#include <cohort/monitor.hpp>
#include <cohort/supervisor.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace cohort::detail {

/// Who monitors what on a node, and what is known to be up or down. Outlives restarts of the runtime. Any thread.
class monitors : public std::enable_shared_from_this<monitors> {
public:
  struct facts {
    std::function<bool(const std::string& node)> is_node;    ///< it is in the cluster's table
    std::function<bool(const std::string& group)> is_group;  ///< it is hosted here
    std::function<std::optional<child_status>(const std::string& path)> child;
  };
  explicit monitors(facts known) : facts_(std::move(known)) {}

  monitor_id add(const monitored& what, const caf::actor& whom);
  bool remove(monitor_id which);

  void node_up(const std::string& name);
  void node_down(const std::string& name, down_reason why, const std::string& text);
  /// In the order of the group's messages, by whoever delivers them.
  void view(const std::string& group, const group_view& now, bool partitionable);
  /// Whether this side of the network has a quorum.
  void primary(const std::string& group, bool is_so);
  /// The group is no more; one of the same name that comes later is another one.
  void group_deleted(const std::string& group);
  /// This node's part in the group ended for good.
  void part_ended(const std::string& group, down_reason reason, const std::string& why);
  void child_ended(const std::string& path, down_reason why, const std::string& text);
  /// The runtime ended: nothing is known of links any more, and no group has a part in anything.
  void runtime_ended();

  struct figures {
    std::size_t watches = 0;  ///< open
    std::size_t actors = 0;   ///< whose end is awaited: that watch or are watched, or did once
  };
  figures held() const;

private:
  using key = std::tuple<down_kind, std::string, std::string>;  ///< kind, group, name
  struct watch {
    key of;
    caf::actor_addr whom;
    const void* place = nullptr;  ///< of `whom`, in `awaited_`
  };
  /// An actor of whose end this is told, for all of its watches and of those that watch it.
  struct awaited {
    caf::actor_addr who;  ///< keeps its place in memory, which is its name here
    std::set<monitor_id> watching;
  };
  struct standing {
    bool up = false;
    down_reason reason{};
    std::string why;
    view_number view = 0;
    incarnation inc = 0;
    std::uint64_t identity = 0;
  };
  struct group_state {
    view_number newest = 0;
    bool seen = false;  ///< a view
    bool inside = false, primary = false;
  };
  using letters = std::vector<std::pair<caf::actor, down>>;
  class collecting;

  std::optional<standing> standing_of(const key& k) const;
  bool await(const caf::actor& who);
  void attach(const caf::actor& who);
  void actor_ended(const void* who, down_reason why, const std::string& text);
  void forget(monitor_id which);
  void set_up(const key& k, incarnation inc = 0, std::uint64_t identity = 0);
  void set_down(const key& k, standing s, letters& out);
  void settle(const std::string& group, down_reason reason, const std::string& why, letters& out);
  static void send(letters&& all);

  const facts facts_;
  mutable std::mutex mutex_;  // guards all below; nothing is sent and no actor released under it: that may lead back here
  monitor_id next_ = 1;
  std::unordered_map<monitor_id, watch> watches_;
  std::map<key, std::set<monitor_id>> by_key_;
  std::map<const void*, awaited> awaited_;  ///< until they end
  std::map<key, standing> standings_;  ///< of nodes, groups and members
  std::map<std::string, group_state> groups_;
};

}  // namespace cohort::detail
