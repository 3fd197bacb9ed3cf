#pragma once

#include "framework/protocol/core.hpp"
#include "framework/simulation/random.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace cohort::sim {

/// One member's data directory. Keeps the encoded production records; what is not yet synced can be lost from any
/// record boundary on, the record there may be torn. Operations take effect in the order in which they were given.
class disk {
public:
  struct stored_checkpoint {
    std::vector<std::byte> head;  ///< `encode_mark`
    log_index index = 0;
    std::vector<protocol::payload> chunks;
    bool in_memory = false;       ///< gone with the process
  };
  /// What a start finds.
  struct found {
    bool retired = false;                                    ///< it was said that nothing there counts any more (X3)
    protocol::journal_position last = 0;                     ///< of what is there, whether it counts or not
    std::shared_ptr<const protocol::recovered_state> state;  ///< null if nothing was ever written
    std::optional<protocol::mark> checkpoint;                ///< what the application begins with
    std::string damage;                                      ///< not empty: recovery refused
  };
  /// What the synced records testify, for the checker of persist-before-send (D9).
  struct image {
    protocol::hard_state promises;
    log_index first = 1;                                     ///< index of `terms.front()`
    std::deque<term_number> terms;
    log_index checkpoint = 0;
    std::map<protocol::lane_name, sequence> lanes;  ///< highest batch on disk
    log_index last() const { return first + terms.size() - 1; }
    void take(const protocol::persist_op& op);
  };

  disk(std::uint64_t identity, bool durable, protocol::checksum_fn sum) : identity_(identity), durable_(durable), sum_(sum) {}

  std::uint64_t identity() const { return identity_; }
  bool saw_group() const { return saw_group_; }
  void mark_group_seen() { saw_group_ = true; }

  /// Takes the operation; it is safe only once `sync` has reported it.
  void append(const protocol::persist_op& op);
  /// Takes a checkpoint of the application's own, in order with the operations.
  void store_checkpoint(const protocol::mark& at, std::vector<protocol::payload> chunks, bool on_disk = true);
  /// A chunk that is synced or not; empty if there is none.
  protocol::payload load(log_index index, std::uint32_t number) const;

  /// Number of operations not yet synced.
  std::size_t unsynced() const { return pending_.size(); }
  /// The first `count` unsynced operations are on the medium. Returns the newest journal position among what is synced
  /// and the own checkpoints which became safe.
  protocol::journal_position sync(std::size_t count);
  std::vector<std::pair<log_index, std::uint32_t>> take_stored_checkpoints() { return std::exchange(stored_now_, {}); }

  /// The process is gone; a random part of what was not synced is, too.
  void crash(random& chance);
  /// `witness`: the log covers payload that was never held.
  found recover(bool witness = false);
  /// Takes what the disk has, in the order of `recover`: a checkpoint, the state, records. `record` is false when one
  /// makes no sense.
  struct reader {
    std::function<void(const protocol::mark& at, std::uint32_t chunks)> checkpoint;
    std::function<void(const protocol::hard_state& what)> state;
    std::function<bool(const protocol::persist_op& op)> record;
  };
  /// Empty, or what is damaged. `anything`: there was something to read.
  std::string read(const reader& into, bool& anything);
  protocol::journal_position synced_to() const { return synced_to_; }
  /// A process that starts from it goes on under its identity.
  bool holds_promises() const { return image_.promises.valid_from != 0 && image_.promises.base.in_force; }
  /// Chunks of the newest checkpoint, to restore the application from.
  const stored_checkpoint* newest_checkpoint() const { return checkpoints_.empty() ? nullptr : &checkpoints_.back(); }
  const image& testifies() const { return image_; }
  std::uint64_t torn_records() const { return torn_; }

private:
  struct element {
    protocol::persist_op op;               ///< position 0: a checkpoint of our own
    std::vector<std::byte> record;         ///< as production writes it; empty for chunks, trims and own checkpoints
    std::optional<stored_checkpoint> own;
  };
  void settle(element& e);

  std::uint64_t identity_;
  bool durable_;
  protocol::checksum_fn sum_;
  bool saw_group_ = false;
  std::deque<element> pending_;
  std::deque<std::pair<protocol::journal_position, std::vector<std::byte>>> records_;
  std::vector<std::byte> state_record_;
  protocol::journal_position state_position_ = 0;
  protocol::journal_position synced_to_ = 0;
  std::deque<stored_checkpoint> checkpoints_;  ///< newest last, at most two
  std::map<log_index, std::map<std::uint32_t, protocol::payload>> received_;  ///< chunks not yet installed
  std::vector<std::pair<log_index, std::uint32_t>> stored_now_;
  image image_;
  std::uint64_t torn_ = 0;
};

/// A payload of one message with a copy of `bytes`.
protocol::payload one_message(std::span<const std::byte> bytes);

}  // namespace cohort::sim
