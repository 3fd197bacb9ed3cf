#pragma once

#include "framework/protocol/core.hpp"
#include "framework/simulation/random.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::sim {

/// Kinds of faults; the counts in the report are by these.
enum class fault : std::uint8_t {
  crash,          ///< kill -9: peers see their links reset
  power_off,      ///< the machine is gone without a word
  restart_all,
  wipe,           ///< the data directory is replaced by an empty one
  pause,          ///< SIGSTOP
  split,          ///< two sides that do not hear each other
  isolate,        ///< one member alone, the leader by preference
  one_way,        ///< one direction of one link
  bridge,         ///< all but one hear only that one
  reset_link,
  slow_link,
  slow_disk,
  loss_burst,
  clock_step,
  hunt,           ///< every new leader is killed or paused for a while
  kill_voter,     ///< a member is killed in the moment in which its vote leaves
  hand_over,      ///< the leader is told to let another lead: no fault by itself, but among faults
  leave,          ///< a member leaves for good; later its process starts again and joins
  remove,         ///< an operator removes a member, and restores it
  new_rules,      ///< an operator changes the group's options
};
inline constexpr std::size_t fault_kinds = 20;
const char* to_string(fault f);

/// Links that stay bad for as long as the faults last, instead of faults that come and go: the group has to find a view
/// that lasts (I21).
enum class bad_links : std::uint8_t {
  none,
  one_way,   ///< one direction of one link, at times of all links of one member
  bridge,    ///< all but one hear only that one
  ring,      ///< everybody misses another one: no member hears all
  flapping,  ///< one link comes and goes, in one direction or both
};

/// Everything about a run that is drawn from its seed.
struct scenario {
  std::string profile;
  std::uint64_t seed = 0;
  unsigned members = 3;
  unsigned witnesses = 0;              ///< of them, the last ones
  protocol::core_options core;
  bool decreed = false;                ///< the group is founded by decree (V19)
  std::size_t chunk_bytes = 256 * 1024;
  bool quiet = false;                  ///< nodes have heartbeats of their own, and groups with nothing to do have none
  bool idle_phases = false;            ///< clients pause for seconds, all at the same time
  bool rich_application = false;       ///< the sample service instead of the small one
  bool timers = false;                 ///< the small one has timers (C12)

  // Network. Times in microseconds.
  std::int64_t delay_least = 50, delay_most = 500;
  unsigned loss = 0, duplication = 0;  ///< per mille
  bool reorders = false;

  // Disk.
  std::int64_t sync_least = 100, sync_most = 3000;

  // Clocks.
  std::int64_t clock_rate_most = 100;      ///< millionths
  std::int64_t clock_offset_most = 2000;   ///< microseconds
  std::int64_t bad_clock_ahead = 0;        ///< microseconds; of one member

  // Clients.
  unsigned clients = 3, keys = 3;
  std::int64_t think_most = 60'000;
  unsigned read_share = 350, swap_share = 200, other_share = 100;
  unsigned deadline_share = 0;         ///< per mille of writes that have one (DL1) ...
  std::int64_t deadline_most = 50'000; ///< ... so far ahead

  bool switches_durability = false;    ///< rules that change move promises from memory to disks and back (X3)

  unsigned sessions = 0;               ///< callers that send each request until it is answered, beside the clients

  // Multicasts of other orders than T; 0 = none. Microseconds between two of a member.
  std::int64_t talk_most = 0;

  // Faults.
  protocol::duration faults_last = std::chrono::seconds(12);
  std::int64_t fault_gap_most = 1'500'000;
  std::int64_t down_most = 1'500'000;
  std::map<fault, unsigned> weights;
  bad_links lasting = bad_links::none;
  bool restart_all_at_end = false;
  bool quick_crash_evidence = true;
};

/// The scenario of a seed. An empty profile name means that the seed picks one of all.
scenario draw_scenario(std::uint64_t seed, std::string_view profile);
/// Names of all profiles; empty description = unknown profile.
std::vector<std::string_view> profile_names();

}  // namespace cohort::sim
