#pragma once

#include <cohort/fence.hpp>
#include <cohort/primary_backup.hpp>

#include <functional>
#include <memory>
#include <string>

namespace cohort {

/// Something of which one instance acts in a whole group: a scheduler, the driver of a device, whoever talks to a partner. It is
/// where the group's primary is, and messages to it, submitted at any member, are routed there and handled in their total order.
/// When its node dies, is cut off or leaves, the next member in the order of names has an instance begin (rule A15,
/// <cohort/primary_backup.hpp>, of which this is a use).
///
/// What is promised (crash model, primary partition): of all that the group knows of, one instance acts. What it answered is what
/// the group accepted from it, so no two instances' answers are mixed, and a message that was answered `replied` was handled by
/// an instance in office. An instance that is paused or cut off does not know that another one has begun; what it does *outside*
/// meanwhile nobody can take back. So each has a token, greater than that of all before it: give it to whatever it acts on, and let
/// that refuse older ones (`fence`). A message that was under way at a failover may be handled twice, by two instances: its
/// `position` is the same, so an outside that remembers positions counts it once.
///
/// An instance has no state that outlives it. Who wants one keeps it outside under the token, or is a `primary_service`.
///
/// Threads: all members of one instance are called by one application thread at a time. One instance of a node ends before the next
/// begins there; beside a failover that happens when what it answered could not be delivered (no quorum) and is done anew.
class singleton {
public:
  virtual ~singleton() = default;

  /// This instance acts from now on. Open here what belongs to it, and let the destructor close it. What it throws ends this node's
  /// replica, which its supervisor starts again; the next member goes on meanwhile.
  virtual void started(fencing_token token) { (void)token; }

  /// Before `started`: from now on `handle` may say `answer.defer()`. Then the same message is given to it again once `look_again` was
  /// called (any thread, any number of times, also when this instance is gone), and those behind it wait.
  virtual void handles_later(std::function<void()> look_again) { (void)look_again; }

  /// Handles one message; the answer goes to who submitted it once the group accepted it.
  virtual void handle(const delivery& message, reply& answer) = 0;

  /// `handle` threw for the `times`-th time in this office: the instance ends. By default the
  /// next one is given the message twice more; then it is answered with what was thrown, and left alone.
  virtual after_failure failed(const delivery& message, unsigned times, const std::string& why, reply& answer) {
    (void)message;
    if (times < 3) return after_failure::again;
    answer.write("failed: " + why);
    return after_failure::settle;
  }
};

using singleton_factory = std::function<std::unique_ptr<singleton>()>;

/// For `node::replicate_primary`, and what `node::host_singleton` does.
primary_service_factory as_service(singleton_factory make);

}  // namespace cohort
