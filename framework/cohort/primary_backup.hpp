#pragma once

#include <cohort/delivery.hpp>
#include <cohort/state_machine.hpp>
#include <cohort/stream.hpp>

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace cohort {

/// How far ahead of a promotion a backup is (Budhiraja, Marzullo, Schneider, Toueg, "The primary-backup approach", 1993).
/// Each node chooses for itself; what is acknowledged survives alike, only failover takes longer further down.
enum class backup_kind : std::uint8_t {
  hot,   ///< applies updates at once: failover takes as long as detection and the copying of the state
  warm,  ///< keeps updates since the last checkpoint in memory, and applies them at promotion
  cold,  ///< holds no state in memory: image and updates lie on this node's disk and are read at promotion
};

/// What the execution of one request changes, in whatever form `primary_service::apply` understands.
class state_update final : public sink {
public:
  void write(std::span<const std::byte> bytes) override { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  std::span<const std::byte> bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

private:
  std::vector<std::byte> bytes_;
};

/// What follows when the execution of a request throws.
enum class after_failure : std::uint8_t {
  end_replica,  ///< the exception ends the primary's replica; the next primary executes the request
  again,        ///< it is executed again, by a new executing copy. Only so often: nothing else happens meanwhile
  settle,       ///< it is settled without being executed, with the change and the answer that were written
};

/// A service of which one member, the primary, executes the requests, and whose other members follow by its updates (rule A15).
/// It need not be deterministic: `execute` may look at the clock, draw random numbers and ask others.
///
/// Hosted by `node::replicate_primary`. Requests are multicast in total order to all, so none is lost with the primary. The
/// primary executes them in that order and multicasts what they change; a request is answered once its update is delivered
/// *and accepted*, which means that every later primary starts from it. The update of a primary that is not in office any more
/// where it is delivered is dropped by all, and its requests are executed anew by the one that is. So the effect of each
/// request is there once. What `execute` does outside of the state (sends a mail) may happen more than once, or for an update
/// that is dropped; give it the request's `position` for a key, or the office for a fencing token (`promoted`).
///
/// The primary is the same at all members: the one in office stays as long as it is active, then the first active voter in the
/// order of the members' names follows.
///
/// Objects: the agreed copy (at each member; only `apply`, `query`, `checkpoint`, `restore` are called) and at the primary an
/// executing copy, which is ahead of it by what is under way, and thrown away if that is not accepted. Both are made by the
/// factory, so members that are not state (sockets) are best opened in `promoted`.
///
/// Threads: as for `state_machine`. An exception from any of these ends the replica, which its supervisor restarts.
class primary_service {
public:
  virtual ~primary_service() = default;

  /// Decides what a request does: writes what changes to `change`, and the answer to `answer`. Must not change the state itself:
  /// what it wrote is handed to `apply` right after, here as everywhere. No change: nothing is applied, but the answer still
  /// waits for its place in the order. Called at the primary only. `request.own` says nothing here.
  virtual void execute(const delivery& request, state_update& change, reply& answer) = 0;

  /// At the primary, right after `execute`: changes the executing copy as it decided; may write to the answer what came of it.
  virtual void perform(std::span<const std::byte> change, reply& answer) {
    (void)answer;
    apply(change);
  }
  /// `execute` or `perform` threw for this request, for the `times`-th time in this office. Called on the copy that threw, which is
  /// destroyed next; it must not depend on its state. `settle`: `change` is applied, and the answer is that which was written.
  virtual after_failure failed(const delivery& request, unsigned times, const std::string& why, state_update& change, reply& answer) {
    (void)request, (void)times, (void)why, (void)change, (void)answer;
    return after_failure::end_replica;
  }

  /// Before the request is executed, whose execution has ended the process of a primary so many times, here or at other members
  /// (no exception: a crash, or a kill while it was executed; known where the node is back that executed it). `settle`: it is not
  /// executed, `change` is applied, and the answer is that which was written. Else it is executed once more.
  virtual after_failure ended_process(const delivery& request, unsigned times, state_update& change, reply& answer) {
    (void)request, (void)times, (void)change, (void)answer;
    return after_failure::again;
  }

  /// Changes the state as `execute` decided. Deterministic: it depends on state and `change` alone.
  virtual void apply(std::span<const std::byte> change) = 0;

  /// Answers a query from the agreed state; must not change it.
  virtual void query(std::span<const std::byte> question, reply& answer) const { (void)question, (void)answer; }

  /// Writes the whole state, deterministically.
  virtual void checkpoint(sink& out) const = 0;
  /// Replaces the whole state by what `checkpoint` wrote, here or at another member.
  virtual void restore(source& in) = 0;

  /// On the executing copy, before `promoted`: from now on `execute` may say `answer.defer()`. Then nothing has happened yet, and the
  /// same request is given to this object again once `look_again` was called: by any thread, any number of times, also when this object
  /// is gone. Requests are settled in their order, so those behind it wait.
  virtual void executes_later(std::function<void()> look_again) { (void)look_again; }
  /// This object executes from now on. Another process may still believe the same of itself until it learns of the view
  /// `office` began with; its updates are dropped, and `office` is the fencing token for whatever lies outside.
  virtual void promoted(view_number office) { (void)office; }
  /// At the primary, on the *agreed* copy, when it takes office and after updates were accepted: what the state says has to be done
  /// outside belongs here, since all of it will be in the state of every later primary. Must not change the state. Another
  /// process may do the same until it learns of the view `office` began with.
  virtual void act(view_number office) { (void)office; }
  /// This object executes no more, and is about to be destroyed. Not called when the process ends.
  virtual void demoted() {}
};

using primary_service_factory = std::function<std::unique_ptr<primary_service>()>;

/// What a member knows of its part in a primary/backup group.
struct primary_status {
  member_id primary = no_member;
  view_number office = 0;           ///< the view in which the primary took office
  bool executes = false;            ///< this member is the primary
  std::uint64_t accepted = 0;       ///< updates
  std::uint64_t dropped = 0;        ///< updates of a primary out of office, or built upon one that was not accepted; since the start
  std::uint64_t pending = 0;        ///< requests delivered and not settled
  std::size_t pending_bytes = 0;    ///< of those; at `contract::backlog_bytes` no more are submitted at any member
};

}  // namespace cohort
