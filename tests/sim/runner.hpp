#pragma once

#include "framework/protocol/mutations.hpp"
#include "framework/simulation/script.hpp"

#include <functional>

namespace cohort::sim {

/// What a batch of seeds is run with.
struct run_options {
  std::uint64_t first = 1, last = 1;
  std::string profile;                                  ///< empty: drawn from each seed
  protocol::mutation planted = protocol::mutation::none;
  unsigned jobs = 1;
  bool stop_at_failure = false;
};

/// Runs the seeds in child processes, so that a seed that crashes or hangs fails alone. Outcomes come in the order of
/// the seeds, whatever the number of jobs.
std::vector<outcome> run_seeds(const run_options& options, const std::function<void(const outcome&)>& on_outcome);

/// Runs one seed in this process.
outcome run_one(std::uint64_t seed, const std::string& profile, protocol::mutation planted, bool tracing);

}  // namespace cohort::sim
