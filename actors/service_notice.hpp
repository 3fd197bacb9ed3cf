#pragma once

#include <chrono>
#include <string>

namespace cohort::detail {

/// Tells the service manager how the node is (sd_notify(3)): one datagram a message to $NOTIFY_SOCKET, a path or an abstract
/// name. Does nothing without one. The variables are taken out of the environment, so that nothing the process starts speaks
/// for it. One thread; never waits.
class service_notice {
public:
  service_notice();
  ~service_notice();
  service_notice(const service_notice&) = delete;
  service_notice& operator=(const service_notice&) = delete;

  bool wanted() const { return fd_ >= 0; }
  /// Lines such as "READY=1".
  void tell(const std::string& lines);
  /// How often the manager wants to hear "WATCHDOG=1"; 0: not at all. After twice the half of it has passed in silence it
  /// ends the process.
  std::chrono::microseconds watchdog() const { return watchdog_; }

private:
  int fd_ = -1;
  std::string address_;  ///< with a leading 0 if abstract
  std::chrono::microseconds watchdog_{0};
};

}  // namespace cohort::detail
