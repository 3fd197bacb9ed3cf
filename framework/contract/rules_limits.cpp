// Ranges of single values.
#include "framework/contract/rules.hpp"

namespace cohort::contracts {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

/// Rejects a value outside of [low, high]; the nearer end is the remedy.
template <class T>
void range(const situation& s, ruling& r, const char* name, T contract::*field, std::type_identity_t<T> low,
           std::type_identity_t<T> high, const char* why) {
  const T value = s.c.*field;
  if (value >= low && value <= high) return;
  const T nearer = value < low ? low : high;
  r.reject(name + (" = " + written(value)), std::string(why) + "; from " + written(low) + " to " + written(high),
           {name}, {s.c.with(field, nearer)});
}

}  // namespace

void values_are_in_range(const situation& s, ruling& r) {
  constexpr milliseconds none{0}, one{1};
  constexpr auto unbounded = std::uint64_t{1} << 50;
  range(s, r, "heartbeat", &contract::heartbeat, one, hours(1), "heartbeats cost messages and find failures");
  range(s, r, "election_min", &contract::election_min, one, hours(4), "a silent leader is replaced after it");
  range(s, r, "fail_after", &contract::fail_after, one, hours(8), "a silent member is excluded after it");
  range(s, r, "outcome_bound", &contract::outcome_bound, milliseconds(10), hours(1),
        "a submission has to get a chance");
  range(s, r, "suspect_at", &contract::suspect_at, 1000u, 15'000u, "less is suspected in any pause, more is never suspected");
  range(s, r, "lease", &contract::lease, none, hours(1), "a lease ends");
  range(s, r, "clock_rate_ppm", &contract::clock_rate_ppm, 0u, 100'000u,
        "a clock that errs by more than a tenth is broken");
  range(s, r, "clock_margin", &contract::clock_margin, none, hours(1), "a margin is time");
  range(s, r, "delay_bound", &contract::delay_bound, none, hours(1), "a bound on delays is time");
  range(s, r, "deadline", &contract::deadline, none, hours(1), "deadlines are for messages, not for archives");
  range(s, r, "retain_time", &contract::retain_time, none, hours(24 * 365), "retention ends");
  range(s, r, "trust_domains", &contract::trust_domains, 1u, 64u, "somebody runs the nodes");
  range(s, r, "compare_every", &contract::compare_every, 0u, 1u << 30, "what is compared later than that is not compared");
  range(s, r, "min_copies", &contract::min_copies, 1u, 64u, "a message that nobody holds is lost");
  range(s, r, "message_bytes_max", &contract::message_bytes_max, 1, 1u << 30, "a message is held in memory in one piece");
  range(s, r, "lane_window", &contract::lane_window, 64u << 10, unbounded, "a window holds at least one batch");
  range(s, r, "queue_bytes", &contract::queue_bytes, 1, unbounded, "a queue without room refuses everything");
  range(s, r, "backlog_bytes", &contract::backlog_bytes, 1, unbounded, "without room for what is delivered nothing is");
  range(s, r, "checkpoint_bytes", &contract::checkpoint_bytes, 1, unbounded,
        "between checkpoints something is applied");
  range(s, r, "retain_bytes", &contract::retain_bytes, 0, unbounded, "retention has a bound");
  range(s, r, "rate_bytes_max", &contract::rate_bytes_max, 0, unbounded, "a rate has a bound");
}

}  // namespace cohort::contracts
