#pragma once

#include "framework/supervision/restart_window.hpp"

#include <map>
#include <set>
#include <utility>
#include <variant>
#include <vector>

namespace cohort::supervision {

/// A child's number in its supervisor, counted from 1 in the order of addition, never used again; 0 = none.
using child_id = std::uint64_t;
/// Counts a child's starts, from 1; 0 = never started. What is said of an older life is ignored (SU2).
using life = std::uint64_t;

inline constexpr instant never = instant::max();

/// How a life ended.
enum class death : std::uint8_t {
  normal,    ///< by itself, with its work done
  shutdown,  ///< because it was asked to
  failed,    ///< anything else
};

struct child_rules {
  restart_type type = restart_type::permanent;
  instant start_limit = std::chrono::seconds(5);  ///< from start to `started`; then it is killed, which is a failure
  instant stop_limit = std::chrono::seconds(5);   ///< from `stop_child` to its end; then it is killed. 0: killed at once
};

struct supervisor_options {
  restart_strategy strategy = restart_strategy::one_for_one;
  restart_limits limits;
  instant kill_limit = std::chrono::seconds(10);  ///< a killed child that is still there after this is stuck (SU7)
};

// ---- what the driver must do, in the order given ----

struct start_child {
  child_id child = 0;
  life number = 0;
};
struct stop_child {
  child_id child = 0;
  life number = 0;
  bool kill = false;  ///< without asking
};
/// Every child is up, or has come to an end that is final: said once.
struct all_up {};
/// Nothing runs any more: said once, last. After that every input is ignored.
struct finished {
  bool gave_up = false;  ///< escalate: the supervisor is a failed child of its parent
  child_id cause = 0;    ///< the child that failed once too often, or is stuck
};
/// What happened, for logs, figures and queries.
struct report {
  enum kind : std::uint8_t {
    started,      ///< the child says it is up
    ended,        ///< as it should, or while it was being stopped
    restarts,     ///< it failed, or is permanent and ended: starts again after `delay`
    is_final,     ///< it ended, and its type says that this is final
    start_late,   ///< not up within its start limit: killed
    stop_late,    ///< not ended within its stop limit: killed
    is_stuck,     ///< it outlived its kill limit
    one_too_many  ///< it failed, and the supervisor gives up
  } what = started;
  child_id child = 0;
  life number = 0;
  instant age{0};    ///< since its start
  instant delay{0};  ///< of `restarts`
  death how = death::normal;
  unsigned failures_in_window = 0;  ///< of the supervisor
};
using output = std::variant<start_child, stop_child, all_up, finished, report>;

/// The decisions of one supervisor: which child to start and to stop, when, and when to give up. A nested supervisor is a
/// child like any other: its `all_up` is `started`, its `finished` is `ended`.
///
/// SU1  At most one life of a child exists: none is started before the end of the one before was reported.
/// SU2  A report about another than the newest life changes nothing.
/// SU3  No child is lost: one that is not final, removed or stopped lives or has a start ahead, also if it died while
///      starting or while its siblings were stopped.
/// SU4  Children that start together start in their order, each when the one before is up; they stop in the reverse order,
///      each when the one behind has ended. (Not with `dynamic`.)
/// SU5  More failures than failures_max within any window end the supervisor; fewer never do. Children's ends that it asked
///      for do not count.
/// SU6  Nothing starts once it stops or gives up.
/// SU7  A child which neither ends when killed is never replaced: the supervisor gives up, and its process is what remains
///      to be restarted.
///
/// One point is not OTP's: a child that dies at its first start is tried again within the limits like any other, where
/// OTP would give up at once. Pure; one owner.
class supervisor {
public:
  supervisor(const supervisor_options& options, draw random);

  /// Adds a child behind all others. Before `begin` it waits for that and for its turn; later it starts at once. 0 if stopped.
  child_id add(instant now, const child_rules& rules);
  void begin(instant now);
  /// Stops the child, if it lives, and forgets it.
  void remove(instant now, child_id child);
  /// Starts a transient child whose end was final once more; false if there is none such.
  bool start_again(instant now, child_id child);
  void started(instant now, child_id child, life number);
  void ended(instant now, child_id child, life number, death how);
  void tick(instant now);
  void stop(instant now);

  /// When to call `tick`, if nothing happens before; `never` = not at all.
  instant next_deadline() const { return deadlines_.empty() ? never : deadlines_.begin()->first; }
  /// To be carried out and cleared after each input.
  std::vector<output>& outputs() { return outputs_; }
  std::size_t size() const { return children_.size(); }
  bool knows(child_id child) const { return children_.contains(child); }

private:
  enum class phase : std::uint8_t { prepared, running, stopping, finished };
  enum class state : std::uint8_t { down, starting, up, stopping, killing, is_final, is_stuck };
  struct child {
    child_rules rules;
    state at = state::down;
    life number = 0;
    bool ordered = true;    ///< its next start is one of a sequence (SU4)
    bool doomed = false;    ///< stops because of others
    bool removing = false;  ///< stops for good
    bool overdue = false;   ///< killed because it was late: its end is a failure
    unsigned in_a_row = 0;
    instant since{0};        ///< of its start
    instant last_failure{0};
    instant not_before{0};   ///< its next start
    instant deadline = never;
  };
  using place = std::map<child_id, child>::iterator;

  static bool lives(const child& c) { return c.at != state::down && c.at != state::is_final && c.at != state::is_stuck; }
  bool is_ordered() const { return options_.strategy != restart_strategy::dynamic; }
  void set_deadline(child_id id, child& c, instant when);
  void start(instant now, child_id id, child& c);
  void ask_to_stop(instant now, child_id id, child& c);
  void kill(instant now, child_id id, child& c);
  void late(instant now, child_id id, child& c);
  void decide(instant now, place at, death how, bool failed);
  void start_group(place from, place failed, instant resume);
  void await_turn(child_id id, child& c, instant not_before);
  void give_up(instant now, child_id cause);
  void settle(instant now, child_id touched);
  void settle_stops(instant now);
  void settle_starts(instant now);
  void say_whether_all_up();
  template <class Predicate>
  bool some_child(child_id& witness, Predicate is_so) const;
  void tell(report::kind what, instant now, child_id id, const child& c, death how = death::normal, instant delay = instant(0));
  void forget(place at);

  const supervisor_options options_;
  draw random_;
  restart_window window_;
  phase phase_ = phase::prepared;
  bool said_up_ = false;
  bool gave_up_ = false;
  child_id cause_ = 0;
  child_id next_ = 1;
  child_id witness_ = 0;  ///< that not all are up; stopping: that not all have ended
  std::map<child_id, child> children_;
  std::set<std::pair<instant, child_id>> deadlines_;
  std::vector<output> outputs_;
};

}  // namespace cohort::supervision
