#pragma once

#include <cohort/fence.hpp>
#include <cohort/resilient.hpp>

#include <deque>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What a resilient process journals, when its effects may leave, and how it comes back. No clock, no thread: the
/// storage is handed in.
namespace cohort::resilience {

/// What comes in. Tagged ones (`from` not empty) are numbered by their sender, from 1 without gaps, for each receiver.
struct message {
  std::string_view from;
  std::uint64_t number = 0;
  std::string_view body;
  std::uint64_t low = 0;  ///< the sender has the answers to all its numbers below this one; 0: it does not say
  bool replayed = false;  ///< somebody wants it applied although its sender has gone on without it
};

enum class verdict : std::uint8_t {
  taken,      ///< applied; its ticket is answered when it is on stable storage
  answered,   ///< it changed nothing; the same
  duplicate,  ///< known already; its ticket is answered as the first time
  outdated,   ///< known already, with newer ones behind it: its ticket is answered, but the reply is not kept any more
  gap,        ///< one before it is missing: not taken, the sender will send both again
  passed,     ///< refused for good before, and its sender has gone on without it: not taken, unless replayed
  full,       ///< too much waits for its receivers, or for the disk: not taken
};

/// How much one process may hold, and for how long.
struct memory_limits {
  std::size_t outbox_max = 100'000;   ///< messages not yet taken by their receivers
  std::size_t senders_max = 100'000;  ///< tagged senders, of each of which the newest number and reply are kept
  /// A sender of whom nothing came for so long, by the events' times, is forgotten; 0: never. What it sends again after
  /// that is not recognised.
  std::chrono::seconds senders_age = std::chrono::hours(24 * 30);
};

/// An effect that may leave.
struct effect {
  std::string to;
  std::uint64_t number = 0;
  std::string body;
  std::uint64_t low = 0;  ///< the oldest number that the receiver has not acknowledged
};

/// A receiver has all up to `number`.
struct acknowledgement {
  std::string to;
  std::uint64_t number = 0;
  bool operator==(const acknowledgement&) const = default;
};

/// One entry of a process's journal: all that changes its state at one position.
struct record {
  std::uint32_t version = 0;  ///< of the application that decided it
  wall_time time{0};
  std::string from;
  std::uint64_t number = 0;
  bool changes = true;        ///< false: `body` is the answer to a numbered question
  std::string body;
  wall_time forget_before{0};  ///< senders of whom nothing came since are forgotten
  std::vector<acknowledgement> acks;
  bool acks_only = false;      ///< there is no event
  bool replayed = false;       ///< the number is one of those passed over: the sender's newest one stays what it is
};

std::string encode(const record& r);
/// Throws `truncated_checkpoint` for what is no record, `std::runtime_error` for an unknown format.
record decode(std::string_view bytes);

/// The state of a resilient process: the application's machine, what it has taken from whom, and what waits for its
/// receivers. A function of its records alone, so it is the same wherever they are applied; only what has left is a
/// matter of each copy.
///
/// R3  The number of a message to a receiver depends on nothing but the records: redo gives the same ones.
/// R4  A sender's message is applied once: its newest number is part of the state.
/// R10 A number that its sender says is answered (`low`), and that was not applied, was refused for good. It is passed over, which
///     is part of the state, too: so that it is applied once or never, whoever sends it again, and applied only when replayed.
class process_state {
public:
  /// Numbers of one sender that are remembered as passed over; of more, the oldest count as applied.
  static constexpr std::size_t passed_max = 16;
  /// Of checkpoints: the first with these numbers.
  static constexpr std::uint64_t passed_format = 3;

  struct sender {
    std::string name;
    std::uint64_t number = 0;
    std::uint64_t position = 0;
    wall_time time{0};
    std::string reply;
    std::vector<std::uint64_t> passed;  ///< by growing numbers
  };

  explicit process_state(const resilient_factory& make) : machine_(make()) {}

  /// What `in` is to this state: `taken` if it is new. `known` is set if it was applied before.
  verdict look(const message& in, const memory_limits& how, const sender*& known) const;
  /// What the machine makes of it. Nothing for a question without a number: then `answer` is the reply.
  std::optional<record> decide(const message& in, wall_time now, fencing_token activation, const memory_limits& how,
                               std::string& answer) const;
  /// Returns the reply. What the machine throws passes through, and leaves this object of use for `take_effects` only.
  std::string apply(const record& r, std::uint64_t position);
  /// The receiver has this number, which has left this copy; those before it may still be on their way. Returns the number
  /// up to which it has all, if that has grown, else 0: that is what a record says.
  std::uint64_t received(std::string_view to, std::uint64_t number);

  /// What may leave, caused at positions up to `durable`, and has not left this copy since `rewind`. Nothing to whom is not
  /// `reachable`, so that it stays in order.
  std::vector<effect> take_effects(std::uint64_t durable, const std::function<bool(const std::string&)>& reachable = {});
  /// All to this receiver that it has not acknowledged leave once more.
  void rewind(std::string_view to);
  void rewind();
  /// Receivers with messages that have left and were not acknowledged.
  std::vector<std::string> waiting_for() const;
  /// Number of the oldest message to this receiver that it has not acknowledged, 0: none.
  std::uint64_t oldest(std::string_view to) const;
  /// The receiver has not acknowledged this one.
  bool waits_for(std::string_view to, std::uint64_t number) const;

  void checkpoint(sink& out) const;
  /// What has changed since `checkpoint_taken`. False if the machine does not offer that.
  bool checkpoint_changes(sink& out) const;
  void restore_changes(source& in, std::uint32_t written_by, std::uint64_t format);
  void checkpoint_taken();
  /// On an object that has just been made. Formats before `passed_format` know nothing of numbers passed over.
  void restore(source& in, std::uint32_t written_by, std::uint64_t format);

  const resilient_machine& machine() const { return *machine_; }
  std::uint64_t applied() const { return applied_; }
  std::size_t outbox() const { return outbox_; }
  std::size_t senders() const { return by_age_.size(); }

private:
  struct waiting {
    std::uint64_t number = 0, position = 0;
    std::string body;
    bool received = false;         ///< by what this copy has heard; one before it was not
  };
  struct lane {
    std::uint64_t next = 1;        ///< number of the next message
    std::uint64_t left = 0;        ///< newest number that has left this copy
    std::deque<waiting> messages;  ///< not acknowledged
  };
  void acknowledged(std::string_view to, std::uint64_t number);
  sender& remember(const std::string& name);
  void forget(wall_time before);
  void write_outbox(sink& out) const;
  void read_outbox(source& in);
  void read_senders(source& in, std::uint64_t format);
  /// It would be out of its order: its number is passed over, or its sender is not known any more.
  bool is_late(const message& in) const;
  void pass_over(sender& s, std::uint64_t upto);

  std::unique_ptr<resilient_machine> machine_;
  std::uint64_t applied_ = 0;
  std::list<sender> by_age_;  ///< who was heard last comes last
  std::map<std::string_view, std::list<sender>::iterator> senders_;
  std::map<std::string, lane, std::less<>> lanes_;
  std::size_t outbox_ = 0;
  std::uint64_t taken_at_ = 0;       ///< position of the last checkpoint ...
  bool forgot_since_taken_ = false;  ///< ... and whether a sender was forgotten behind it
};

}  // namespace cohort::resilience
