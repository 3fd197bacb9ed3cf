#pragma once

#include "framework/session/kept_answer.hpp"

#include <cohort/session.hpp>

#include <map>
#include <unordered_map>
#include <vector>

namespace cohort::session {

/// Where in the total order something was executed.
struct stamp {
  std::uint64_t position = 0;
  log_index index = 0;
  view_number view = 0;
  wall_time time{};
};

/// The sessions of a group (F2): a function of the requests and of agreed time. Invariants:
/// SE1 A number is executed at most once in a session: above `low` its slot tells, below `low` it is refused.
/// SE2 An answer is kept until its number is below `low` or its session has ended.
/// SE3 A session has ended at the first message whose agreed time is not below its last request's by its lifetime.
class session_table {
public:
  static constexpr std::uint32_t open_requests_limit = 65'536;
  static constexpr std::uint64_t answer_overhead = 64;  ///< counted for each kept answer beside its bytes

  /// What to do with a request: `execute`, or answer as `what`. `answer` and `at` are those kept of an earlier one.
  struct verdict {
    session_outcome what = session_outcome::malformed;
    bool execute = false;
    std::span<const std::byte> answer{};
    stamp at{};
  };

  /// Agreed time has come to `now`: ends the sessions that are due (SE3).
  void advance(wall_time now) {
    if (now > now_) end_due(now);
  }
  /// `birth` is completed.
  session_outcome open(session_name& name, const session_limits& limits, std::uint64_t owner, std::uint64_t position);
  session_outcome close(const session_name& name);
  /// A name whose id has its lower half only, from the session of that birth; left as it is, and false, if there is none.
  bool complete(session_name& name) const;
  /// Must be followed by `executed` if it says so.
  verdict begin(const session_name& name, std::uint64_t number, std::uint64_t acknowledged_below);
  void executed(std::span<const std::byte> answer, const stamp& at);
  verdict cancel(const session_name& name, std::uint64_t number, const stamp& at);

  static constexpr std::uint64_t format = 2;
  void checkpoint(sink& out) const;
  /// What was written in this format, or in 1. Throws `truncated_checkpoint`.
  void restore(source& in, std::uint64_t written_in = format);

  std::size_t size() const { return sessions_.size(); }
  std::uint64_t bytes() const { return bytes_; }

private:
  enum class fate : std::uint8_t { open, replied, cancelled };
  /// A line of the processor's cache.
  struct alignas(64) slot {
    stamp at;
    kept_answer answer;
    fate what = fate::open;
  };
  struct one_session {
    std::uint64_t birth = 0;
    std::uint64_t owner = 0;
    session_limits limits;
    wall_time expires{};
    std::uint64_t low = 1;     ///< all numbers below are forgotten
    std::uint64_t bytes = 0;
    std::uint64_t kept = 0;    ///< slots that are not open
    std::vector<slot> slots;   ///< of `low` on, number n at n modulo their count, a power of two
  };
  struct id_hash {
    std::size_t operator()(const session_id& id) const { return static_cast<std::size_t>(id.low ^ (id.high * 0x9e3779b97f4a7c15u)); }
  };
  using sessions = std::unordered_map<session_id, one_session, id_hash>;
  struct due {
    wall_time when{};
    session_id id;
    bool operator>(const due& other) const { return when > other.when; }
  };

  one_session* find(const session_name& name) {
    if (!last_ || last_id_ != name.id) look_up(name.id);
    return last_ && last_->birth == name.birth ? last_ : nullptr;
  }
  void look_up(const session_id& id);
  void checkpoint_answers(class gathering_sink& out, const one_session& s) const;
  void restore_answers(source& in, one_session& s);
  void restore_answers_1(source& in, one_session& s);
  void restore_answer(one_session& s, std::uint64_t number, std::uint64_t what, const stamp& at, std::span<const std::byte> answer);
  one_session* use(const session_name& name);
  void raise(one_session& s, std::uint64_t low) {
    if (low > s.low) forget(s, low);
  }
  void forget(one_session& s, std::uint64_t low);
  /// Of a number that is not below `low`.
  slot& place(one_session& s, std::uint64_t number) {
    if (number - s.low >= s.slots.size()) make_room(s, number);
    return s.slots[number & (s.slots.size() - 1)];
  }
  void make_room(one_session& s, std::uint64_t number);
  void keep(one_session& s, slot& where, fate what, std::span<const std::byte> answer, const stamp& at);
  void end(sessions::iterator which);
  void end_due(wall_time now);
  void watch(const session_id& id, wall_time when);

  sessions sessions_;
  std::unordered_map<std::uint64_t, session_id> births_;  ///< positions: no two sessions of one group have the same
  std::map<std::uint64_t, std::uint32_t> owners_;  ///< with their sessions; not 0
  std::vector<due> due_;         ///< a heap, one entry for each session, never later than its end: looked at again then
  std::uint64_t bytes_ = 0;
  wall_time now_{};
  session_id last_id_;           ///< consecutive requests are mostly of one session
  one_session* last_ = nullptr;
  slot* executing_ = nullptr;
  one_session* executing_in_ = nullptr;
};

}  // namespace cohort::session
