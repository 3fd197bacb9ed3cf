#pragma once

#include "framework/protocol/frontier.hpp"
#include "framework/protocol/messages.hpp"

#include <map>
#include <vector>

namespace cohort::protocol {

/// A leader's attempt to change the view (rules V2-V12).
struct view_change {
  bool running = false;
  bool proposed = false;           ///< the VIEW is in the log
  std::uint64_t attempt = 0;
  instant started{};
  instant wedge_sent{};
  instant pull_started = never;
  instant pull_sent{};
  frontier pull_held;              ///< what was held when the pull last made progress
  std::map<voter_id, report> reports;
  std::vector<voter_id> dead_sources;  ///< held payload nobody else has, and stopped answering (V7)
};

/// What a member has promised while a view changes (V4).
struct wedge_promise {
  bool on = false;
  term_number term = 0;
  std::uint64_t attempt = 0;
  view_number view = 0;
  frontier front;
};

/// A change of the group that this process asks for, until it is answered (V9).
struct asked_change {
  change_request what;
  instant since{};
  instant sent{};
};

/// One that a leader was asked for, by anybody.
struct wanted_change {
  voter_id origin;
  change_request what;
  instant heard{};
};

/// Members of the former view who are not in the new one are told of it (PA10).
struct departed_member {
  roster_entry who;
  view_number without = 0;
  instant until{};
};

/// How often a member went (V23).
struct departures {
  member_id member = no_member;
  unsigned count = 0;            ///< not yet forgiven
  wall_time newest{};            ///< agreed time
  instant seen{};                ///< when it was installed here
};

}  // namespace cohort::protocol
