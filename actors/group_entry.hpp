#pragma once

#include <cohort/node.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace cohort::detail {

struct port_state;
struct question_set;

/// The running side of a group on this node, as ports see it. Any thread may call.
class group_link {
public:
  virtual ~group_link() = default;
  /// `port` has blocks in its inbox. One that has ended meanwhile refuses them at once.
  virtual void flushed(std::shared_ptr<port_state> port) = 0;
  /// Questions for the replica as it is.
  virtual void ask(std::shared_ptr<question_set> questions) = 0;
  virtual group_status status() = 0;
};

/// One group hosted here. Outlives restarts of its replica, so ports stay valid.
struct group_entry {
  std::string name;
  contract how;
  node::machine_factory make_machine;    ///< one of the two is set
  node::listener_factory make_listener;
  std::uint32_t index = 0;               ///< in the order of the groups' names, equal at all members

  std::shared_ptr<group_link> running() const {
    std::lock_guard guard(mutex);
    return link;
  }
  void run_by(std::shared_ptr<group_link> now) {
    std::lock_guard guard(mutex);
    link = std::move(now);
  }

  void add_port(const std::shared_ptr<port_state>& port) {
    std::lock_guard guard(mutex);
    std::erase_if(ports, [](auto& p) { return p.expired(); });
    ports.push_back(port);
  }
  std::vector<std::shared_ptr<port_state>> open_ports() const {
    std::lock_guard guard(mutex);
    std::vector<std::shared_ptr<port_state>> open;
    for (auto& p : ports)
      if (auto port = p.lock()) open.push_back(std::move(port));
    return open;
  }

private:
  mutable std::mutex mutex;
  std::vector<std::weak_ptr<port_state>> ports;
  std::shared_ptr<group_link> link;  ///< null while nothing runs
};

}  // namespace cohort::detail
