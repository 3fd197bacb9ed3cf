#pragma once

#include <cohort/delivery.hpp>
#include <cohort/stream.hpp>

#include <string>
#include <vector>

namespace cohort {

/// What a replica answers to the caller of the message being applied. Discarded where the caller is not.
class reply {
public:
  void write(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  std::span<const std::byte> bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

private:
  std::vector<std::byte> bytes_;
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

  /// Answers a query from the state as it is; must not change it. Called between deliveries, at a point that satisfies
  /// the read's consistency.
  virtual void query(std::span<const std::byte> question, reply& answer) const { (void)question, (void)answer; }

  /// Writes the whole state, deterministically.
  virtual void checkpoint(sink& out) const = 0;

  /// Replaces the whole state by what `checkpoint` wrote, here or at another replica.
  virtual void restore(source& in) = 0;
};

}  // namespace cohort
