#pragma once

#include "actors/bulk.hpp"
#include "actors/figures.hpp"

#include "framework/catalogue/machine.hpp"
#include "framework/protocol/messages.hpp"
#include "transport/admin/server.hpp"

#include <cohort/node.hpp>

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace cohort::detail {

/// What an operator's commands and pages need of the node. Any thread; none waits for longer than a second or so, and those that ask
/// for a group throw `node_error` where there is none of that name.
struct admin_calls {
  std::function<std::optional<node_figures>()> look;
  std::function<supervision_figures()> supervision;
  std::function<std::shared_ptr<supervisors>()> supervisors_now;  ///< null while the node stops
  std::function<std::string(const std::string& process)> redo;  ///< of a resilient process that stays down; why not, or empty
  std::function<std::vector<node_info>()> nodes;
  std::function<std::future<change_result>(catalogue::command)> change_nodes;
  std::function<contract(const std::string& group)> rules;
  std::function<std::future<change_result>(const std::string& group, const contract& to, bool weaker)> change_rules;
  std::function<std::future<change_result>(const std::string& group, protocol::change_kind, const std::string& member)> change_member;
  std::function<void(const std::string& group)> hand_over;
  std::function<std::future<change_result>(const std::string& group)> repair;
  std::function<std::vector<group_info>()> groups;
  std::function<std::future<change_result>(const std::string& group, const std::string& type, const contract& how,
                                           const group_placement& where)> create_group;
  std::function<std::future<change_result>(const std::string& group, const std::string& node)> extend_group;
  std::function<std::future<change_result>(const std::string& group)> delete_group;
};

/// A node's operator: carries out what comes over the socket in the data directory, one command after the other, and writes the
/// page of metrics.
class admin final : public transport::admin::service {
public:
  using answer = transport::admin::answer;
  using answered = std::function<void(answer&&)>;
  using words = std::vector<std::string>;

  /// Serves from now on. `trouble` is told if the socket cannot be had, which does not hinder the node. Throws `node_error` if the
  /// address for metrics cannot be used.
  admin(const node_config& config, admin_calls calls, const std::function<void(const std::string&)>& trouble);
  ~admin();

  void run(std::vector<std::string> words, answered done) override;
  void metrics(std::function<void(std::string&&)> done) override;

private:
  void carry_out(const words& w, const answered& done);
  answer letters(const words& w);
  answer processes();
  answer redo(const words& w);
  answer status();
  answer nodes();
  answer group(const words& w);
  answer groups();
  answer create_group(words w);
  answer repair(const std::string& group);
  answer settled(std::future<change_result> asked, const std::string& done = {});
  std::string metrics_now();

  const std::string node_;
  const admin_calls calls_;
  std::map<std::string, std::function<void(const words&, const answered&)>> commands_;
  std::atomic<bool> stopping_{false};
  std::string page_;  ///< worker's: one page serves whoever asks within its age
  std::chrono::steady_clock::time_point page_made_{};
  bulk_worker pages_, worker_;
  std::unique_ptr<transport::admin::server> socket_, http_;  ///< last: their threads use all above
};

}  // namespace cohort::detail
