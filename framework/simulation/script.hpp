#pragma once

#include "framework/simulation/sessions.hpp"
#include "framework/simulation/world.hpp"

namespace cohort::sim {

/// What a run of one seed amounts to.
struct outcome {
  std::uint64_t seed = 0;
  std::string profile;
  std::string broken;  ///< empty: every property held
  std::uint64_t trace_hash = 0, events = 0, passes = 0;
  double hours = 0;
  std::array<std::uint64_t, fault_kinds> faults{};
  std::uint64_t operations = 0, done = 0, views = 0, checkpoints = 0, torn = 0, unknown_histories = 0;
};

/// One seed from founding to the quiet after the last fault: members start, clients work, faults strike, everything
/// heals, and the group has to settle (I20).
class script {
public:
  /// `sessions`: null if no callers have any.
  script(world& w, std::uint64_t seed, session_clients* sessions = nullptr);
  void run();
  const std::array<std::uint64_t, fault_kinds>& faults() const { return counts_; }

private:
  void strike();
  void apply(fault f);
  void kill(unsigned node, bool evidence, protocol::duration away);
  void cut(unsigned from, unsigned to, protocol::duration span);
  void spoil_links();
  void flap(unsigned a, unsigned b, bool both_ways, bool on);
  void next_operation(unsigned client);
  void next_multicast(unsigned node);
  void restore_removed();
  protocol::view_options other_rules();
  void heal();
  bool settle(protocol::duration patience);
  std::string unrest() const;
  protocol::duration span();
  unsigned any();
  unsigned leader_or_any();

  world& world_;
  session_clients* sessions_;
  const scenario& plan_;
  random chance_;
  std::array<std::uint64_t, fault_kinds> counts_{};
  std::vector<std::uint64_t> waiting_for_;   ///< by client: its operation, 0 = none
  std::vector<std::vector<unsigned>> cuts_;  ///< [from][to] how many faults cut it
  bool clients_work_ = true;
  bool faults_on_ = true;
  protocol::instant hunt_until_{};
  unsigned voter_kills_ = 0;
  std::uint64_t heals_ = 0;
};

/// What is replicated in a run: the seed says which.
struct applications {
  const workload* small = nullptr;
  const workload* rich = nullptr;
  const workload* timed = nullptr;
};

/// Runs one seed. `sum` is the checksum of the records.
outcome run_seed(std::uint64_t seed, std::string_view profile, const applications& apps, protocol::checksum_fn sum, bool tracing);

}  // namespace cohort::sim
