#pragma once

#include "samples/kv/backend.hpp"
#include "samples/kv/message.hpp"

#include <chrono>
#include <deque>
#include <functional>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace kv {

using instant = std::chrono::nanoseconds;  ///< monotonic; the time of the server's loop
inline constexpr instant never = instant::max();

struct gateway_options {
  cohort::reads reads = cohort::reads::linearizable;
  /// After this a command that was submitted is answered -UNKNOWN.
  std::chrono::nanoseconds unknown_after = std::chrono::seconds(2);
  /// A command which finds no quorum waits so long for one, counted from the first refusal after the last success; this
  /// bridges the change of a leader. After it, refusals are passed on at once.
  std::chrono::nanoseconds quorum_patience = std::chrono::seconds(1);
  std::size_t message_bytes_max = 16u << 20;
  std::size_t in_flight_bytes_max = 64u << 20;  ///< above it no command is taken from any connection
};

/// Whose command it is, and which.
struct command_place {
  std::uint64_t connection = 0;  ///< 0: nobody's, the answer is dropped
  std::uint64_t slot = 0;
};

/// Who is told the answers: the server. It must not give new commands to the gateway from within the call.
class answer_receiver {
public:
  virtual void answered(command_place place, std::string_view reply) = 0;

protected:
  ~answer_receiver() = default;
};

/// Carries commands to the group and answers back: all writes of a pass in one submission, all reads of a pass in one
/// query. Keeps the order of each connection's ordered commands also when they are refused and sent again.
///
/// A write is answered -NOQUORUM only if it is certain that it has no effect, and -UNKNOWN if that is open. Reads have
/// none: they get -NOQUORUM.
class gateway {
public:
  gateway(gateway_options options, backend& group, answer_receiver& receiver);

  /// Where the message of an ordered command is to be written; valid until the next call. `write`: it changes
  /// something.
  bytes& ordered(command_place place, bool write);
  /// Takes back the message begun last: it became too large.
  void forget_last();
  void read(command_place place, command_id id, std::span<const std::string_view> args, cohort::reads how);

  /// End of a pass: hands everything over.
  void flush(instant now);
  /// Takes the answers that are ready.
  void collect(instant now);
  /// Times out, sends again. Call when `deadline` has come.
  void tick(instant now);
  instant deadline() const;

  /// No connection may send a command now: too much is in flight.
  bool full() const;
  /// This one may not: its earlier commands have to be sent again first.
  bool must_wait(std::uint64_t connection) const { return !troubled_.empty() && troubled_.contains(connection); }
  /// Some connection must.
  bool troubled() const { return !troubled_.empty(); }
  const gateway_options& options() const { return options_; }
  /// Serving node's wall clock in microseconds; tests set it.
  void set_wall_clock(std::function<std::int64_t()> clock) { wall_clock_ = std::move(clock); }

private:
  enum class stage : std::uint8_t { flying, refused, done };
  struct item {
    command_place place;
    bytes message;
    instant deadline{};
    stage at = stage::flying;
    bool write = false;
    bool answered = false;  ///< timed out: the completion is only waited for
  };
  struct question {
    command_place place;
    std::size_t offset = 0;  ///< in the query's bytes
    bool answered = false;
  };
  struct query_item {
    bytes text;
    std::vector<question> questions;
    cohort::reads how{};
    instant deadline{};
    stage at = stage::flying;
  };
  void finish(item& what, std::string_view reply);
  void complete_ordered(item& what, cohort::outcome outcome, std::string_view reply, instant now);
  void complete_query(query_item& what, cohort::outcome outcome, std::span<const std::byte> reply, instant now);
  void answer_questions(query_item& q);
  void fail_questions(query_item& q, std::string_view why);
  void refused(instant now);
  void give_up(std::uint64_t connection);
  void retry(instant now);
  void retry_ordered(bool patient);
  void trim();

  gateway_options options_;
  backend& group_;
  answer_receiver& receiver_;
  std::function<std::int64_t()> wall_clock_;

  // Numbered from first_*_ on: the tag tells the place. Queries have the highest bit set in their tags.
  std::deque<item> ordered_;
  std::uint64_t first_ordered_ = 0, flushed_ordered_ = 0;
  std::deque<query_item> queries_;
  std::uint64_t first_query_ = 0, flushed_query_ = 0;
  std::size_t in_flight_bytes_ = 0;

  /// Connections with commands that came back refused and wait: empty in good times. Their later commands must wait,
  /// too.
  std::unordered_set<std::uint64_t> troubled_;
  instant refused_since_ = never;
  instant retry_at_ = never;

  cohort::completion_batch batch_;
  std::vector<std::span<const std::byte>> spans_;
  std::vector<bytes> spare_;
  answers answers_;
};

}  // namespace kv
