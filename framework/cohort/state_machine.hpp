#pragma once

#include <cohort/delivery.hpp>
#include <cohort/stream.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace cohort {

/// What a replica answers to the caller of the message being applied. Discarded where the caller is not.
///
/// A message can also be answered later, at the place of another one: its `apply` calls `defer`, and the `apply` of a later
/// message calls `settle` with its position. So a lock is granted when it is released, and a request answered when its effect
/// is agreed upon. Which messages wait for an answer is up to the state; a caller that waits beyond `contract::outcome_bound`,
/// or whose node replaced its state meanwhile, is told `unknown`.
class reply {
public:
  void write(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  /// Room for so many bytes behind what was written, to be filled at once.
  std::span<std::byte> extend(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return std::span(bytes_).last(count);
  }
  std::span<const std::byte> bytes() const { return bytes_; }

  /// The message being applied is not answered now; what was written is dropped. Not for queries; a request of a
  /// session (<cohort/session.hpp>) is answered at once nevertheless, with what was written.
  void defer() { deferred_ = true; }
  bool deferred() const { return deferred_; }
  /// Answers the message at `position` (`delivery::position`), which was deferred. Does nothing where its caller is not, or if it
  /// has been answered.
  void settle(std::uint64_t position, std::span<const std::byte> bytes) {
    settled_.push_back({position, settled_bytes_.size(), bytes.size()});
    settled_bytes_.insert(settled_bytes_.end(), bytes.begin(), bytes.end());
  }
  void settle(std::uint64_t position, std::string_view text) { settle(position, std::as_bytes(std::span(text))); }
  /// Calls `answer(position, bytes)` for each settled message, in the order of the calls.
  template <class F>
  void each_settled(F answer) const {
    for (const auto& s : settled_) answer(s.position, std::span(settled_bytes_).subspan(s.offset, s.length));
  }
  bool settles() const { return !settled_.empty(); }

  void clear() {
    bytes_.clear();
    settled_.clear();
    settled_bytes_.clear();
    deferred_ = false;
  }

private:
  struct settled_message {
    std::uint64_t position;
    std::size_t offset, length;
  };
  std::vector<std::byte> bytes_, settled_bytes_;
  std::vector<settled_message> settled_;
  bool deferred_ = false;
};

/// A deterministic service, replicated on every member of its group (Schneider, "Implementing Fault-Tolerant Services
/// Using the State Machine Approach", 1990). Every replica applies the same messages in the same order, so state may
/// depend on nothing but checkpoint and deliveries: no clock (use `delivery::time`), no randomness, no addresses, no
/// iteration over hashed containers whose order differs.
///
/// Threads: all members of one object are called by one application thread at a time, never by the protocol thread.
/// An exception from `apply` ends the replica; its supervisor restarts it from the last checkpoint and redoes the rest.
class state_machine {
public:
  virtual ~state_machine() = default;

  /// Applies one message. What it writes to `answer` goes to the caller, after the message is committed (and, in
  /// journaled groups, on a quorum of disks).
  virtual void apply(const delivery& d, reply& answer) = 0;

  /// Agreed time went on without a message to apply: `at.time`, the same at all members and at the same place of the order. Its position
  /// is that of the newest message, its payload empty. Here as in `apply` timers expire; `answer` may settle deferred messages.
  virtual void time_passed(const delivery& at, reply& answer) { (void)at, (void)answer; }

  /// The agreed time at which a timer of this state is due (`log_timers::next`, `lock_table::next`); none: nothing is waited for. If no
  /// message comes, the group's leader has time pass for it (C12) when its clock is there: late by a millisecond and what a message
  /// takes, after a failover or while there is no quorum as late as a message would be. A clock of a leader that is set
  /// forward meanwhile is noticed within a second. Called behind what was delivered in one go; partitionable groups have no agreed time.
  virtual std::optional<wall_time> next_due() const { return {}; }

  /// Answers a query from the state as it is; must not change it. Called between deliveries, at a point that satisfies
  /// the read's consistency.
  virtual void query(std::span<const std::byte> question, reply& answer) const { (void)question, (void)answer; }

  /// Writes the whole state, deterministically.
  virtual void checkpoint(sink& out) const = 0;

  /// Replaces the whole state by what `checkpoint` wrote, here or at another replica.
  virtual void restore(source& in) = 0;

  /// A digest of the whole state, equal wherever the state is, by which replicas are compared every so many messages
  /// (`contract::compare_every`). Without one a checksum is taken of what `checkpoint` writes, the less often the more that is. A
  /// state that keeps a digest up to date while it changes (say, the sum of its entries' hashes) overrides this.
  virtual std::optional<std::uint64_t> state_digest() const { return {}; }
};

}  // namespace cohort
