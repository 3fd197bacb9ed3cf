#pragma once

#include "framework/protocol/partition/core.hpp"
#include "framework/simulation/partition/history.hpp"
#include "framework/simulation/random.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace cohort::sim::partition {

/// A run as its seed chose it.
struct scenario {
  unsigned members = 3;
  protocol::partition::core_options options;
  unsigned loss = 0, duplication = 0;               ///< per mille
  unsigned large = 0, deadlines = 0;                ///< per mille of the messages: in parts; with a deadline
  std::int64_t skew_most = 0;                       ///< microseconds by which wall clocks differ
  std::int64_t delay_least = 50, delay_most = 500;  ///< microseconds
  bool reorders = false;                            ///< else links keep the order, as production's do
  bool changes = false;                             ///< of rules, now and then
  std::int64_t pause_between = 20'000;              ///< microseconds between two messages of a member, on average
  std::int64_t offer_delay = 5'000;                 ///< at most: how long an application takes to write its state
  std::int64_t flush_most = 3'000;                  ///< durable groups: microseconds that a flush of the disk takes
  unsigned aimed = 0;  ///< durable groups, per mille of the promises: the process that gave it crashes at once
  protocol::duration faults_until{};
  protocol::duration quiet_after{};  ///< from the end of faults on, until all must be one
};
scenario draw(std::uint64_t seed);
/// What rules come to at most when they change.
inline constexpr std::size_t largest_window = 64 * 1024;

/// Members of one partitionable group in virtual time: production cores, links that can be cut one way or both, crashes
/// and restarts. What happens is a function of the scenario and the seed; what was seen goes into a `history`.
class world {
public:
  world(const scenario& s, std::uint64_t seed);
  ~world();
  /// Faults, healing, quiet. Throws `std::logic_error` for a broken invariant.
  const history& run();
  std::uint64_t trace_hash() const { return hash_; }

private:
  struct node;
  struct event {
    protocol::instant at{};
    std::uint64_t sequence = 0;
    std::function<void()> what;
  };

  void at(protocol::instant when, std::function<void()> what);
  void run_until(protocol::instant until);
  void start(unsigned n);
  bool resume(unsigned n);
  void write(unsigned n);
  void store(unsigned n, const protocol::mark& at);
  void aim(unsigned n, const protocol::message& what);
  void crash(unsigned n);
  void connect(unsigned a, unsigned b);
  void lose_link(unsigned from, unsigned to, bool reset);
  void cut_as(const std::vector<unsigned>& component_of);
  void cut_at_random();
  void plan_pass(unsigned n, protocol::instant when);
  void pass(unsigned n);
  void transmit(unsigned from, unsigned to, const protocol::message& what);
  wall_time wall(unsigned n) const;
  void deliver(unsigned n, const protocol::delivery_op& what);
  void submit_some(unsigned n);
  void taken(unsigned n, std::uint64_t number, order how, wall_time deadline, std::size_t size);
  void give_parts(unsigned n);
  void restart_many();
  void next_fault();
  void change_rules();
  void told_of_change(unsigned n, const protocol::event& e);
  step& add(unsigned n, step_kind kind);
  std::uint64_t first_time(unsigned n, const step& s) const;

  const scenario scenario_;
  random chance_;
  protocol::instant now_{};
  std::uint64_t sequence_ = 0, steps_ = 0, messages_ = 0, sessions_ = 0, hash_ = 0;
  std::vector<event> queue_;
  std::vector<std::unique_ptr<node>> nodes_;
  std::vector<std::vector<bool>> cut_;  ///< [from][to]
  history seen_;
};

}  // namespace cohort::sim::partition
