#pragma once

#include "framework/protocol/assembler.hpp"
#include "framework/simulation/disk.hpp"
#include "framework/simulation/partition/world.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>

namespace cohort::sim::partition {

using namespace protocol;

struct link_end {
  bool up = false;
  std::uint64_t session = 0;
  instant last_arrival{};
};

struct held_send {
  journal_position needs = 0;
  unsigned to = 0;
  message what;
};

/// A message of which the core has taken some parts.
struct large_message {
  std::uint64_t number = 0;
  order how = order::total;
  wall_time deadline{};
  std::vector<std::byte> bytes;
  std::size_t given = 0;
};

/// One member's machine: its process, if it runs, and its application.
struct world::node {
  std::unique_ptr<protocol::partition::core> core;  ///< null: down
  voter_id id;
  incarnation inc = 0;
  std::unique_ptr<disk> journal;           ///< durable groups: it outlives processes
  std::map<log_index, std::size_t> taken;  ///< by checkpoint: how many steps the process had taken
  bool syncing = false;
  std::uint64_t starts = 0;
  std::set<std::uint64_t> submitted;                                   ///< by this start, and not answered
  std::deque<held_send> held;                                          ///< until what they promise is on disk
  std::map<std::uint64_t, std::shared_ptr<const view_options>> asked;  ///< rules, by the request's id
  component_id told_merged;  ///< newest view of which it said that it holds the merged state
  std::uint64_t lives = 0;
  std::size_t life = 0;  ///< in `history::lives`
  std::vector<link_end> links;
  instant pass_at = never;
  std::vector<std::uint64_t> state;  ///< of the application: T messages in their order
  std::uint64_t digest = 0;          ///< of `state`
  std::int64_t skew = 0;             ///< of its wall clock, microseconds
  assembler parts{std::size_t{1} << 20};
  std::optional<large_message> large;  ///< that its application is submitting

  void grow(std::uint64_t number) {
    state.push_back(number);
    digest = mix(digest, number);
  }
  void begin_anew() {
    state.clear();
    digest = 0;
  }
};

}  // namespace cohort::sim::partition
