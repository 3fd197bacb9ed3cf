#pragma once

#include "framework/simulation/random.hpp"

#include <cohort/state_machine.hpp>

#include <memory>
#include <optional>

namespace cohort::sim {

/// What simulated clients ask of the replicated application: a set of registers, whatever the application calls them.
class workload {
public:
  virtual ~workload() = default;
  virtual std::unique_ptr<state_machine> make() const = 0;
  /// Sets a register; every value is used once.
  virtual std::vector<std::byte> write(unsigned key, std::uint64_t value) const = 0;
  /// Sets a register and answers what it held.
  virtual std::vector<std::byte> swap(unsigned key, std::uint64_t value) const = 0;
  /// What to give to `state_machine::query` to read a register.
  virtual std::vector<std::byte> question(unsigned key) const = 0;
  /// Some message that leaves the clients' registers alone.
  virtual std::vector<std::byte> other(random& chance) const = 0;
  /// The value that the reply to `swap` tells; 0 = never written.
  virtual std::optional<std::uint64_t> swapped(std::span<const std::byte> reply) const = 0;
  /// The value that the reply to `question` tells; 0 = never written.
  virtual std::optional<std::uint64_t> answered(std::span<const std::byte> reply) const = 0;
  /// Equal for replicas that applied the same messages.
  virtual std::uint64_t digest(const state_machine& machine) const = 0;
};

/// A small application of the simulation's own, whose digest covers every message with all that a replica is told.
/// `timers`: messages set some, and what expires when is in the digest, too.
std::unique_ptr<workload> make_register_workload(bool timers = false);

}  // namespace cohort::sim
