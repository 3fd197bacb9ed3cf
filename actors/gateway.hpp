#pragma once

#include "actors/group_entry.hpp"
#include "actors/watch_hub.hpp"

#include "transport/gateway/server.hpp"

#include <cohort/session.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace cohort::detail {

/// A node's gateway: gives what clients ask for to the node's groups, through a port into each. Lives on the server's thread.
class gateway final : public transport::gateway::service {
public:
  using open_port = std::function<group_port(const std::string& group, port_wake wake)>;

  /// Serves from now on. Throws `node_error`.
  gateway(const node_config& config, const std::string& listen, const std::map<std::string, std::shared_ptr<group_entry>, std::less<>>& groups,
          open_port open, transport::gateway::server_trouble trouble);
  ~gateway() override;

  void ask(const transport::gateway::request& what, std::function<void(transport::gateway::answer&&)> done) override;
  std::unique_ptr<transport::gateway::open_call> ask_all(const transport::gateway::request& what, collate how, unsigned count,
                                                         std::function<void(transport::gateway::collected&&)> done,
                                                         std::function<void(const transport::gateway::collected&)> changed) override;
  void flush() override;
  void collect() override;
  void forget() override;
  transport::gateway::picture look() override;
  std::unique_ptr<transport::gateway::subscription> watch(const std::string& group, transport::gateway::answer& why) override;
  /// Groups that were created and deleted while it serves. Any thread; the server's thread gets to it.
  void host(std::shared_ptr<group_entry> entry);
  void drop(std::shared_ptr<group_entry> entry);
  /// Any thread.
  const transport::gateway::counters& figures() const { return server_->figures(); }

private:
  struct pending {
    std::function<void(transport::gateway::answer&&)> done;
    transport::gateway::request::kind what{};
    transport::gateway::read_kind how{};
    bool session = false;
    std::vector<std::byte> question;  ///< asked again where the replica is behind
  };
  /// A call of all members.
  struct asking {
    std::function<void(transport::gateway::collected&&)> done;
    std::function<void(const transport::gateway::collected&)> changed;
    bool session = false;
    std::optional<judgement> decided;
  };
  class asking_call;
  /// What judges see, on its way from the application's threads.
  struct reports_so_far {
    std::mutex mutex;  // guards all below
    port_wake wake;    ///< empty once the gateway is gone
    std::vector<std::tuple<std::string, std::uint64_t, call_report>> waiting;  ///< group, tag
  };
  struct group {
    std::shared_ptr<group_entry> entry;
    group_port port;
    std::unordered_map<std::uint64_t, pending> waiting;  ///< by tag
    std::unordered_map<std::uint64_t, asking> calls;     ///< by tag
    std::uint64_t next_tag = 1;
    bool asked = false;  ///< since the last flush
    bool gone = false;   ///< deleted: takes nothing more, and goes once all that was asked is answered
  };
  /// What became of groups, on its way to the server's thread.
  struct group_news {
    std::shared_ptr<group_entry> entry;
    bool gone = false;
  };

  void enter(const std::shared_ptr<group_entry>& entry);
  void settle_groups();
  group* serving(const std::string& name);

  void submit(group& g, const transport::gateway::request& what, pending p);
  void query(group& g, const transport::gateway::request& what, pending p);
  void finish(group& g, const completion& c);
  void finish(group& g, asking a, const completion& c);
  void end_call(const std::string& group, std::uint64_t tag, std::optional<judgement> decided);
  void tell_judges();

  const node_config config_;
  const session_limits limits_;
  const open_port open_;
  transport::wake_up wakes_;
  std::map<std::string, group, std::less<>> groups_;
  std::mutex news_mutex_;  // guards `news_`
  std::vector<group_news> news_;
  std::vector<std::byte> message_;
  completion_batch done_;
  transport::gateway::picture picture_;
  std::chrono::steady_clock::time_point looked_{};
  std::shared_ptr<reports_so_far> so_far_ = std::make_shared<reports_so_far>();
  std::unique_ptr<transport::gateway::server> server_;  ///< last: its thread uses all above
};

}  // namespace cohort::detail
