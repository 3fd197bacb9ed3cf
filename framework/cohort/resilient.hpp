#pragma once

#include <cohort/fence.hpp>
#include <cohort/stream.hpp>
#include <cohort/types.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// What a resilient machine is given.
struct resilient_input {
  std::string_view body;
  std::string_view from;  ///< name of the resilient process that sent it; empty: of an ordinary sender
  wall_time time{0};      ///< when it was accepted; journaled, so the same at each redo
  fencing_token activation = 0;  ///< who decides: grows with each life, or each node that takes a replicated process over
};

/// A decided input, as it is applied now and at each redo.
struct resilient_event {
  std::string_view body;       ///< the input's, or what `decide` made of it
  std::string_view from;       ///< as in `resilient_input`
  wall_time time{0};           ///< as in `resilient_input`
  std::uint64_t position = 0;  ///< in the process's journal; counts from 1
  std::uint32_t version = 0;   ///< `version()` of the program that decided it
};

/// Takes what an event causes. Nothing of it leaves before the event is on stable storage.
class resilient_output {
public:
  /// To a receiver by its name, once and in the order of the sends (to this receiver).
  void send(std::string_view to, std::string_view body) { sends_.push_back({std::string(to), std::string(body)}); }
  /// To who sent the input, if it waits for an answer.
  void reply(std::string_view body) { reply_ = body; }

  struct sent {
    std::string to, body;
  };
  const std::vector<sent>& sends() const { return sends_; }
  const std::string& reply() const { return reply_; }

private:
  std::vector<sent> sends_;
  std::string reply_;
};

/// The application in a resilient process: its state is what its events made of it, and survives exception, `kill -9`
/// and power failure (Elnozahy et al., "A Survey of Rollback-Recovery Protocols in Message-Passing Systems", 2002; the
/// outbox is that of pessimistic logging, committed in groups).
///
/// *Command sourcing*: override `apply` only. Inputs are the events; `apply` must depend on nothing but state and
/// event, since it is redone: no clock (use the event's time), no randomness. *Event sourcing*: override `decide`, too.
/// It may look at clock, chance and the world, and writes down what it decided; that is the event. It must change
/// nothing.
///
/// Threads: one call at a time. An exception ends this life; what was applied before it is kept, the input itself is
/// not.
class resilient_machine {
public:
  virtual ~resilient_machine() = default;

  /// The event that an input becomes; nothing if it changes nothing: then `answer` is the reply. The reply leaves when
  /// all that it may tell of is on stable storage.
  virtual std::optional<std::string> decide(const resilient_input& in, std::string& answer) const {
    (void)answer;
    return std::string(in.body);
  }
  virtual void apply(const resilient_event& event, resilient_output& out) = 0;

  /// Writes the whole state, deterministically.
  virtual void checkpoint(sink& out) const = 0;
  /// Takes over what `checkpoint` wrote, in this or an older program: `written_by` is its `version()`. On an object
  /// that has just been made. Throw to say that it cannot be read: then the one before is tried.
  virtual void restore(source& in, std::uint32_t written_by) = 0;

  /// Incremental checkpoints, where writing the whole state each time is too much: writes what has changed since
  /// `checkpoint_taken` was called last. False: not offered, or not worth while; what was written is dropped, and the whole
  /// state is asked for. Not used where a group holds the process.
  virtual bool checkpoint_changes(sink& out) const {
    (void)out;
    return false;
  }
  /// Takes over what `checkpoint_changes` wrote, on the state that it was written behind.
  virtual void restore_changes(source& in, std::uint32_t written_by) {
    (void)in, (void)written_by;
    throw std::logic_error("the machine reads no changes");
  }
  /// The state is in a checkpoint now, or was just taken from one: changes count from here on.
  virtual void checkpoint_taken() {}

  /// Of the format of checkpoints and events. Raised when it changes; older ones must still be understood. Newer ones
  /// are refused without asking.
  virtual std::uint32_t version() const { return 1; }
};

using resilient_factory = std::function<std::unique_ptr<resilient_machine>()>;

/// When a checkpoint is taken: at the first of these; 0 = never for that reason.
struct checkpoint_policy {
  std::uint64_t events = 10'000;
  std::uint64_t bytes = 4u << 20;  ///< of journal
  std::chrono::seconds age{600};   ///< of the oldest event behind the newest checkpoint
  /// At the most so many checkpoints of changes follow one of the whole state, and not more than its bytes.
  unsigned changes = 8;
};

}  // namespace cohort
