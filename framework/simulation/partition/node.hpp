#pragma once

#include "framework/protocol/assembler.hpp"
#include "framework/simulation/partition/world.hpp"

#include <optional>

namespace cohort::sim::partition {

using namespace protocol;

struct link_end {
  bool up = false;
  std::uint64_t session = 0;
  instant last_arrival{};
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
