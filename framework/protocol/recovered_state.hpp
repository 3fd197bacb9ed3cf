#pragma once

#include "framework/protocol/entry_log.hpp"
#include "framework/protocol/lanes.hpp"
#include "framework/protocol/outputs.hpp"

#include <map>

namespace cohort::protocol {

/// What a journal held, in the form the core starts from.
struct recovered_state {
  hard_state promises;
  bool founded = false;      ///< a base with a view is known
  bool decreed = false;      ///< not of a disk: what the catalogue says of a group that is created (V19)
  bool valid = true;         ///< else nothing of what the disk holds was promised to last: it must not be gone on from (X3)
  bool has_checkpoint = false;
  mark checkpoint;
  std::uint32_t checkpoint_chunks = 0;
  journal_position last_position = 0;

  struct stored_batch {
    batch what;
    journal_position position = 0;
  };
  struct stored_entry {
    entry what;
    journal_position position = 0;
  };
  std::vector<stored_entry> entries;  ///< contiguous, above promises.base
  std::map<lane_name, std::map<sequence, stored_batch>> batches;
};

}  // namespace cohort::protocol
