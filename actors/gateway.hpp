#pragma once

#include "actors/group_entry.hpp"
#include "actors/watch_hub.hpp"

#include "transport/gateway/server.hpp"

#include <cohort/session.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace cohort::detail {

/// A node's gateway: gives what clients ask for to the node's groups, through a port into each. Lives on the server's thread.
class gateway final : public transport::gateway::service {
public:
  using open_port = std::function<group_port(const std::string& group, port_wake wake)>;

  /// Serves from now on. Throws `node_error`.
  gateway(const node_config& config, const std::string& listen, const std::map<std::string, std::shared_ptr<group_entry>, std::less<>>& groups,
          open_port open);
  ~gateway() override;

  void ask(const transport::gateway::request& what, std::function<void(transport::gateway::answer&&)> done) override;
  void flush() override;
  void collect() override;
  transport::gateway::picture look() override;
  std::unique_ptr<transport::gateway::subscription> watch(const std::string& group) override;

private:
  struct pending {
    std::function<void(transport::gateway::answer&&)> done;
    transport::gateway::request::kind what{};
    transport::gateway::read_kind how{};
    bool session = false;
    std::vector<std::byte> question;  ///< asked again where the replica is behind
  };
  struct group {
    std::shared_ptr<group_entry> entry;
    group_port port;
    std::unordered_map<std::uint64_t, pending> waiting;  ///< by tag
    std::uint64_t next_tag = 1;
    bool asked = false;  ///< since the last flush
  };

  void submit(group& g, const transport::gateway::request& what, pending p);
  void query(group& g, const transport::gateway::request& what, pending p);
  void finish(group& g, const completion& c);

  const node_config config_;
  const session_limits limits_;
  transport::wake_up wakes_;
  std::map<std::string, group, std::less<>> groups_;
  std::vector<std::byte> message_;
  completion_batch done_;
  transport::gateway::picture picture_;
  std::chrono::steady_clock::time_point looked_{};
  std::unique_ptr<transport::gateway::server> server_;  ///< last: its thread uses all above
};

}  // namespace cohort::detail
