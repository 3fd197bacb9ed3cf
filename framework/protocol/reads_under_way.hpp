#pragma once

#include "framework/protocol/types.hpp"

#include <deque>
#include <utility>
#include <vector>

namespace cohort::protocol {

/// Linearizable reads that were asked for and are not answered yet (R1).
struct reads_under_way {
  struct pending_read {
    member_id origin = no_member;  ///< self: `tags`; else the follower who asked under `id`
    std::uint64_t id = 0;
    std::vector<std::uint64_t> tags;
    instant asked{};               ///< our send stamp, to be echoed by a quorum
    log_index index = 0;
  };
  struct waiting_read {
    log_index index = 0;
    std::vector<std::uint64_t> tags;
  };
  struct asked_read {
    std::uint64_t id = 0;
    std::vector<std::uint64_t> tags;
    instant since{};
    instant sent{};
    member_id asked_of = no_member;
  };
  std::vector<std::uint64_t> fresh;              ///< tags of this pass
  std::vector<std::pair<member_id, std::uint64_t>> fresh_remote;
  std::deque<pending_read> unconfirmed;          ///< a leader's
  std::deque<asked_read> asked;                  ///< of the leader
  std::deque<waiting_read> confirmed;            ///< these wait for `applied`
  std::uint64_t ids = 0;

  bool none() const {
    return fresh.empty() && fresh_remote.empty() && unconfirmed.empty() && asked.empty() && confirmed.empty();
  }
};

}  // namespace cohort::protocol
