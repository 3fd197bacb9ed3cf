#pragma once

#include "framework/protocol/outputs.hpp"
#include "framework/protocol/partition/types.hpp"

#include <optional>
#include <string>

namespace cohort::protocol::partition {

/// What a process's disk has, in the order in which it was written.
struct recovered {
  struct stored_batch {
    batch what;
    journal_position position = 0;
  };
  std::optional<place> base;  ///< of the newest checkpoint, from whose state the application begins
  log_index checkpoint = 0;   ///< its number; 0: none
  std::vector<std::variant<memory, stored_batch>> records;
  journal_position last_position = 0;
  /// What the process last wrote of itself. There is one, or `recovery::finish` gives nothing.
  const memory& newest() const;
};
using recovered_ptr = std::shared_ptr<const recovered>;

/// Takes what a journal gives back of a partitionable group: at most one checkpoint's mark first, then records by
/// position.
class recovery {
public:
  recovery() : found_(std::make_shared<recovered>()) {}
  void checkpoint(const mark& at, std::uint32_t chunks);
  void state(const hard_state&) { why_ = "it holds the log state of a group with one history"; }
  bool record(const persist_op& op);
  /// Not empty: it makes no sense. What, where.
  const std::string& why() const { return why_; }
  /// Null if nothing was written, or it makes no sense.
  recovered_ptr finish();

private:
  std::shared_ptr<recovered> found_;
  std::string why_;
};

}  // namespace cohort::protocol::partition
