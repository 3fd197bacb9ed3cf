#pragma once

#include "framework/primary_backup/member.hpp"

#include <cohort/group_port.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cohort::detail {

/// What a primary host needs around it. Called on the replica's thread.
struct primary_services {
  group_port port;                               ///< for updates; its wake leads to `updates_done`
  std::function<void(const std::string&)> log;
  std::function<void(const primary_status&)> report;
  std::function<void(const primary_backup::death_tale&)> told;  ///< the group knows of it
};

/// Runs a primary/backup member beside its replica: after each pass executes what is pending and multicasts the updates, in one
/// message unless it grows large. The replica's thread.
class primary_host {
public:
  primary_host(primary_backup::member& logic, primary_services services, std::function<std::string(member_id)> name_of);

  /// After deliveries: executes what they brought.
  void work();
  /// Updates were completed. Those which are delivered nowhere are made anew.
  void updates_done();
  /// Wants to `work` again although nothing is delivered: the group took no updates.
  bool waits() const { return retry_; }

private:
  void tell();
  void tell_tales();

  primary_backup::member& logic_;
  primary_services services_;
  std::function<std::string(member_id)> name_of_;
  completion_batch done_;
  std::size_t under_way_ = 0;  ///< updates
  std::vector<primary_backup::death_tale> untold_;
  bool retry_ = false;
  std::optional<std::pair<view_number, bool>> told_;  ///< office, and whether this node executes
};

}  // namespace cohort::detail
