#pragma once

#include "framework/protocol/outputs.hpp"

#include <cohort/stream.hpp>

#include <vector>

namespace cohort::protocol {

/// Makes large messages of their parts (rules L10, L11), where deliveries leave the core for the application. Its state is a
/// function of what was delivered, and belongs to every checkpoint: parts below a checkpoint's cut never come again.
///
/// One thread at a time. What cannot come from a core that keeps the rules (a part that continues nothing, a message above
/// the bound) is a message that nobody delivers.
class assembler {
public:
  /// `bytes_max`: of a message, as long as no view says more.
  explicit assembler(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}

  /// The rules of a view that is installed, or that a checkpoint or journal begins with, before anything else of it. Alike at all
  /// members, however long they are with the group, so that they agree on every message.
  void bound_by(const view& v);

  /// Takes a part of a large message. True if it was the last one: `b` holds the message then, as if it had come in one batch.
  bool take(deliver_batch& b);
  /// A part that is delivered nowhere, and the message with it.
  void drop(const deliver_void& v);
  /// Lanes that ended deliver nothing more, and what was begun before somebody became active is interrupted.
  void view_installed(const view& v);

  /// No checkpoint will be asked for that lies before `at`.
  void reached(const mark& at);
  /// Writes what the checkpoint `at` needs: the parts below its cut of messages that reach beyond it. The same at all members.
  void checkpoint(const mark& at, sink& out);
  /// Replaces everything by what `checkpoint` wrote. Throws `truncated_checkpoint`.
  void restore(source& in);

  /// Bytes of parts that are kept.
  std::size_t bytes() const;

private:
  struct part {
    sequence seq = 0;
    payload what;
  };
  struct message_so_far {
    lane_name lane;
    order cls = order::total;
    view_number begun = 0;
    std::vector<part> parts;
    std::size_t bytes = 0;
    /// With that batch it was delivered here, or another one begun in its stead; 0: it is open. Live delivery is ahead of cuts: in
    /// checkpoints whose cut lies before, it is still to be found, as at who has not come so far.
    sequence ended = 0;
  };
  message_so_far* open(const lane_name& lane, order cls);

  std::uint64_t bytes_max_;
  std::vector<message_so_far> messages_;
};

}  // namespace cohort::protocol
