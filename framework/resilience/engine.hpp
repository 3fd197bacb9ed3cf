#pragma once

#include <cohort/resilient.hpp>
#include <cohort/stable_store.hpp>

#include <deque>
#include <map>
#include <string>
#include <vector>

/// What a resilient process journals, when its effects may leave, and how it comes back. No clock, no thread: the
/// storage is handed in.
namespace cohort::resilience {

/// What comes in. Tagged ones (`from` not empty) are numbered by their sender, from 1 without gaps, for each receiver.
struct message {
  std::string_view from;
  std::uint64_t number = 0;
  std::string_view body;
};

enum class verdict : std::uint8_t {
  taken,      ///< applied; its ticket is answered when it is on stable storage
  answered,   ///< it changed nothing; the same
  duplicate,  ///< known already; its ticket is answered as the first time
  outdated,   ///< known already, with newer ones behind it: its ticket is answered, but the reply is not kept any more
  gap,        ///< one before it is missing: not taken, the sender will send both again
  full,       ///< too much waits for its receivers, or for the disk: not taken
};

struct limits {
  checkpoint_policy checkpoints;
  std::size_t outbox_max = 100'000;      ///< messages not yet taken by their receivers
  std::size_t pending_max = 100'000;     ///< events not yet on stable storage
  std::size_t senders_max = 100'000;     ///< tagged senders, of each of which the newest number and reply are kept
  std::size_t piece_bytes = 256u << 10;  ///< of checkpoints
  std::size_t batch_bytes = 4u << 20;    ///< of checkpoint pieces in one commit
};

/// An effect that may leave, or an answer to a ticket.
struct effect {
  std::string to;
  std::uint64_t number = 0;
  std::string body;
};
struct answer {
  std::uint64_t ticket = 0;
  std::string body;
};

/// What coming back took, and what was wrong on the way.
struct recovery_report {
  std::uint64_t checkpoint = 0;         ///< position of the one it started from; 0: from the beginning
  std::uint64_t redone = 0;             ///< events
  std::vector<std::string> unreadable;  ///< checkpoints that were passed over, each with its reason
};

/// The state cannot be had back: what, where, what to do. Also when a newer life has claimed the process.
struct unrecoverable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// One life of a resilient process.
///
/// R1  A message of the outbox, and an answer, leaves only when every event up to the one that caused it is durable.
/// R2  Events are journaled in the order in which they were applied, and redone in that order.
/// R3  The number of a message to a receiver depends on nothing but the events: redo gives the same ones.
/// R4  A sender's message is applied once: its newest number is part of the state.
/// R5  The journal is trimmed only below a checkpoint that is durable, and that has a durable one behind it.
/// R6  A life begins with claiming the next token, which ends the writing of all before it; only then it reads.
class engine {
public:
  /// `name`  also that of its store; 1 to 64 bytes.
  engine(std::string name, resilient_factory make, limits how = {});

  /// Claims the process and brings its state back. Throws `unrecoverable`, what `apply` throws, and `stable_damage`.
  recovery_report recover(stable_store& from);

  /// What the machine throws passes through; this object is then of use for `next_batch` ... `take_answers` only, which
  /// bring out what was applied before.
  verdict receive(const message& in, wall_time now, std::uint64_t ticket);
  /// The receiver has all up to `number` on stable storage.
  void acknowledged(std::string_view to, std::uint64_t number);

  /// Whether there is something to commit; never while a batch is being committed.
  bool wants_commit(wall_time now) const;
  stable_batch next_batch(wall_time now);
  /// The batch is done.
  void committed();

  /// What may leave and has not left in this life, since it was asked last.
  std::vector<effect> take_effects();
  std::vector<answer> take_answers();
  /// All to this receiver that it has not acknowledged leave once more.
  void resend(std::string_view to);
  /// Receivers with messages that have left and were not acknowledged.
  std::vector<std::string> waiting_for() const;
  /// Number of the oldest message to this receiver that it has not acknowledged, 0: none.
  std::uint64_t oldest(std::string_view to) const;

  const std::string& name() const { return name_; }
  const resilient_machine& machine() const { return *machine_; }
  std::uint64_t applied() const { return applied_; }
  std::uint64_t durable() const { return durable_; }
  std::uint64_t token() const { return token_; }
  std::size_t outbox() const { return outbox_; }

private:
  struct sender {
    std::uint64_t number = 0;
    std::uint64_t position = 0;
    std::string reply;
  };
  struct waiting {
    std::uint64_t number = 0, position = 0;
    std::string body;
  };
  struct lane {
    std::uint64_t next = 1;        ///< number of the next message
    std::uint64_t left = 0;        ///< newest number that has left in this life
    std::deque<waiting> messages;  ///< not acknowledged
  };
  struct pending_answer {
    std::uint64_t position = 0;
    answer what;
  };
  struct kept_checkpoint {
    std::uint64_t position = 0, pieces = 0;
  };
  struct record;

  void claim(stable_store& in);
  bool restore(stable_store& from, const kept_checkpoint& c, std::string& why);
  std::uint64_t redo(stable_store& from);
  std::string apply(const record& r, std::uint64_t position);
  bool checkpoint_due(wall_time now) const;
  void begin_checkpoint();
  void add_pieces(stable_batch& to);
  void reset();

  const std::string name_;
  const resilient_factory make_;
  const limits limits_;
  std::unique_ptr<resilient_machine> machine_;
  std::uint64_t token_ = 0;
  std::uint64_t applied_ = 0, batched_ = 0, durable_ = 0;
  std::map<std::string, sender, std::less<>> senders_;
  std::map<std::string, lane, std::less<>> lanes_;
  std::size_t outbox_ = 0;
  std::deque<std::string> pending_;  ///< records of `batched_` + 1 to `applied_`
  std::deque<pending_answer> answers_;
  bool committing_ = false;
  bool sound_ = true;  ///< false in and after a call of the machine that threw

  std::vector<kept_checkpoint> kept_;                 ///< durable ones, oldest first
  std::vector<kept_checkpoint> unwanted_;             ///< to be erased when the next is complete
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
