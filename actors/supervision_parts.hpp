#pragma once

// Inside actors/ only: what the files of the supervisors' host share.
#include "actors/supervision.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace cohort::detail {

inline supervision::instant instant_now() { return std::chrono::steady_clock::now().time_since_epoch(); }

inline std::string in_ms(supervision::instant t) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(t).count()) + " ms";
}

/// A child: an actor, a supervisor below this one, or something outside.
struct supervision_host::leaf {
  std::uint64_t key = 0;
  std::string path;
  branch* in = nullptr;
  supervision::child_id id = 0;
  child_spec spec;
  supervision::life number = 0;
  caf::actor actor;
  std::shared_ptr<life_note> note;
  std::unique_ptr<branch> nested;
  std::string cause;  ///< of the newest failure
  std::string message;
  std::vector<void*> frames;
  std::uint64_t restarts = 0;
  bool late = false;  ///< killed because it was not up in time: that is the cause
  bool down = false;  ///< it says that it does nothing
};

/// A report with what was known when it was made: the next life may fail before it is told.
struct supervision_host::told {
  supervision::report what;
  std::string cause, message;
  std::vector<void*> frames;
  std::uint64_t restarts = 0;
};

/// A supervisor: what the pure one decides, and its children.
struct supervision_host::branch {
  branch(const tree_spec& from, supervision::draw random)
      : machine({from.how.strategy, from.how.limits, from.how.kill_limit}, std::move(random)) {}
  std::string path;
  std::shared_ptr<const tree_spec> spec;
  supervision::supervisor machine;
  std::map<supervision::child_id, std::unique_ptr<leaf>> leaves;
  leaf* of = nullptr;            ///< in its parent; null: the root
  supervision::life number = 0;  ///< of that
  bool settling = false;
  std::vector<told> untold;
  std::string gave_up;
};

}  // namespace cohort::detail
