#pragma once

#include "framework/resilience/state.hpp"

#include <cohort/stable_store.hpp>

#include <string>
#include <vector>

namespace cohort::resilience {

struct limits : memory_limits {
  checkpoint_policy checkpoints;
  std::size_t pending_max = 100'000;         ///< events not yet on stable storage
  std::size_t piece_bytes = 256u << 10;      ///< of checkpoints
  std::size_t batch_bytes = 4u << 20;        ///< of checkpoint pieces in one commit
  std::chrono::milliseconds acks_late{1000};  ///< an acknowledgement is journaled with the next event, or after so long
};

/// An answer to a ticket.
struct answer {
  std::uint64_t ticket = 0;
  std::string body;
};

/// What coming back took, and what was wrong on the way.
struct recovery_report {
  std::uint64_t checkpoint = 0;         ///< position of the one it started from; 0: from the beginning
  std::uint64_t changes = 0;            ///< checkpoints of changes behind a whole one that made it up
  std::uint64_t redone = 0;             ///< events
  std::vector<std::string> unreadable;  ///< checkpoints that were passed over, each with its reason
};

/// Is told what coming back is about to do and may end the whole process, where that outlives it; and knows what did so before.
class recovery_witness {
public:
  virtual ~recovery_witness() = default;
  /// The checkpoint at this position is about to be read. Why not, if it shall be passed over; empty: it is read.
  virtual std::string restores(std::uint64_t position) = 0;
  /// The events of these positions are about to be redone, one after the other.
  virtual void redoes(std::uint64_t first, std::uint64_t last) = 0;
  /// This one now.
  virtual void at(std::uint64_t position) noexcept = 0;
  /// It is over, by an exception or not.
  virtual void ends() noexcept = 0;
};

/// The state cannot be had back: what, where, what to do. Also when a newer life has claimed the process.
struct unrecoverable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One life of a resilient process.
///
/// R1  A message of the outbox, and an answer, leaves only when every event up to the one that caused it is durable.
/// R2  Events are journaled in the order in which they were applied, and redone in that order.
/// R3, R4: `process_state`.
/// R5  The journal is trimmed only below a checkpoint that is durable, and that has a durable one of the whole state behind
///     it: one that cannot be read is one too few only together with another one.
/// R6  A life begins with claiming the next token, which ends the writing of all before it; only then it reads. Where it is
///     known that none before it writes any more it reads at once, and nothing leaves before the claim is durable.
/// R11 A checkpoint that ended the whole process too often is passed over, as one that cannot be read; an event never is: its
///     effects may have left, and those behind it would be numbered otherwise.
class engine {
public:
  /// `name`  also that of its store; 1 to 64 bytes.
  engine(std::string name, resilient_factory make, limits how = {});

  /// Claims the process and brings its state back. Throws `unrecoverable`, what `apply` throws, and `stable_damage`.
  /// `alone`  no other life of it writes to this store, or ever will but by a claim: then the claim goes with the first
  ///          batch, and does not wait for the disk.
  /// `seen_by`  may be null.
  recovery_report recover(stable_store& from, bool alone = false, recovery_witness* seen_by = nullptr);

  /// What the machine throws passes through; this object is then of use for `next_batch` ... `take_answers` only, which
  /// bring out what was applied before.
  verdict receive(const message& in, wall_time now, std::uint64_t ticket);
  /// Whether `receive` would have the machine execute it.
  bool is_new(const message& in) const {
    const process_state::sender* known = nullptr;
    return state_.look(in, limits_, known) == verdict::taken;
  }
  /// The receiver has this one on stable storage, or done.
  void acknowledged(std::string_view to, std::uint64_t number, wall_time now);

  /// Whether there is something to commit; never while a batch is being committed.
  bool wants_commit(wall_time now) const;
  stable_batch next_batch(wall_time now);
  /// The batch is done.
  void committed();

  /// What may leave and has not left in this life, since it was asked last.
  std::vector<effect> take_effects(const std::function<bool(const std::string&)>& reachable = {}) {
    return claimed_ ? state_.take_effects(durable_, reachable) : std::vector<effect>();  // R1, R6
  }
  std::vector<answer> take_answers();
  /// See `process_state`.
  void resend(std::string_view to) { state_.rewind(to); }
  std::vector<std::string> waiting_for() const { return state_.waiting_for(); }
  std::uint64_t oldest(std::string_view to) const { return state_.oldest(to); }
  bool waits_for(std::string_view to, std::uint64_t number) const { return state_.waits_for(to, number); }
  /// `wants_commit` may become true by the passing of time alone.
  bool waits_for_time() const { return !acks_.empty(); }

  const std::string& name() const { return name_; }
  const resilient_machine& machine() const { return state_.machine(); }
  std::uint64_t applied() const { return state_.applied(); }
  std::uint64_t durable() const { return durable_; }
  std::uint64_t token() const { return token_; }
  std::size_t outbox() const { return state_.outbox(); }
  std::size_t senders() const { return state_.senders(); }
  /// Of the newest durable checkpoint: its position, 0 if there is none, and when it was taken.
  std::uint64_t checkpoint() const { return kept_.empty() ? 0 : kept_.back().position; }
  wall_time checkpoint_taken() const { return kept_.empty() ? wall_time{0} : kept_.back().taken; }

private:
  struct pending_answer {
    std::uint64_t position = 0;
    answer what;
  };
  struct kept_checkpoint {
    std::uint64_t position = 0, pieces = 0, bytes = 0;
    std::uint64_t base = 0;  ///< 0: the whole state, else what changed since the one at that position
    wall_time taken{0};
  };
  void claim(stable_store& in, bool alone);
  void add_claim(stable_batch& to) const;
  void find_checkpoints(stable_store& from);
  /// Of those found up to the newest.
  void restore(stable_store& from, recovery_witness* seen_by);
  void restore_one(stable_store& from, const kept_checkpoint& c, recovery_witness* seen_by);
  std::uint64_t redo(stable_store& from, std::uint64_t last, recovery_witness* seen_by);
  std::string journal(record r);
  void add_answer(std::uint64_t position, answer a);
  bool acks_due(wall_time now) const;
  bool checkpoint_due(wall_time now) const;
  void begin_checkpoint(wall_time now);
  /// Position of the one on which the next may build; 0: it holds the whole state.
  std::uint64_t next_base() const;
  void add_pieces(stable_batch& to);
  void reset();

  const std::string name_;
  const resilient_factory make_;
  const limits limits_;
  process_state state_;
  std::uint64_t token_ = 0;
  std::uint64_t batched_ = 0, durable_ = 0;
  std::vector<acknowledgement> acks_;  ///< not journaled yet
  wall_time acks_since_{0};
  std::vector<std::string> pending_;  ///< records of `batched_` + 1 to `applied()`
  std::vector<pending_answer> answers_;  ///< by growing positions
  bool committing_ = false;
  bool claimed_ = false;
  std::optional<std::string> former_claim_;  ///< what the claim expects
  bool sound_ = true;  ///< false in and after a call of the machine that threw

  std::vector<kept_checkpoint> kept_;                 ///< durable ones, oldest first
  std::vector<kept_checkpoint> unwanted_;             ///< to be erased when the next is complete
  bool trimmed_ = false;                              ///< the journal does not reach back to the beginning
  std::uint64_t events_since_ = 0, bytes_since_ = 0;  ///< the newest checkpoint begun
  wall_time oldest_since_{0};
  struct {
    kept_checkpoint at;
    std::string bytes;
    std::uint64_t written = 0;  ///< pieces
    bool under_way = false, ends = false;
  } making_;
};

}  // namespace cohort::resilience
