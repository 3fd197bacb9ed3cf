#pragma once

#include "framework/protocol/inspect.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace cohort::trace {

using namespace protocol;
using namespace std::chrono_literals;

/// Plants a mistake for the time of a test.
struct planting {
  explicit planting(mutation m) { planted = m; }
  ~planting() { planted = mutation::none; }
};

/// A message on its way.
struct flying {
  unsigned from = 0, to = 0;
  message what;
};

/// Production cores whose world is the test: no message arrives, no disk is written and no time passes unless it says so.
class stage {
public:
  struct member {
    std::optional<protocol::core> core;
    voter_id id;
    bool up = false;
    bool disk_works = true;                  ///< else what is written stays unsynced
    journal_position durable = 0;
    std::vector<persist_op> records;         ///< in position order, with those not synced yet
    std::vector<std::pair<journal_position, flying>> held;  ///< sends that wait for the disk
    std::optional<std::pair<mark, std::uint32_t>> checkpoint;
    std::vector<std::string> delivered;      ///< since the founding, over all lives
    std::vector<std::string> late;           ///< of these: when their deadline was over
    std::vector<view_number> views;
    std::vector<event> events;
    std::vector<deliver_read> reads;
    std::vector<deliver_time> times;
    std::uint64_t lives = 0;
    std::chrono::microseconds clock_error{};
  };

  stage(unsigned members, core_options options, std::vector<member_id> witnesses = {});
  /// Founded, with a leader, quiet.
  static stage founded(unsigned members, core_options options);

  core_status status(unsigned i) { return members[i].core->status(); }
  const inspector::inside& inside(unsigned i) const { return inspector::of(*members[i].core); }
  int leader() const;

  submit_status submit(unsigned i, std::string text, order how = order::total, wall_time deadline = {});
  void read(unsigned i, std::uint64_t tag);
  /// The replicas of all members that are up have a timer.
  void want_time(wall_time due);
  void hand_over(unsigned i, member_id to = no_member);
  /// All members that are up have found out that these have other states than the majority.
  void states_differ(const std::vector<member_id>& odd);
  void want_checkpoint(unsigned i);
  /// One pass of the driver without input.
  void pass(unsigned i);
  /// Lets time go on by `d` everywhere, in steps of 10 ms, delivering and syncing as usual unless told otherwise.
  void go(duration d, bool deliver = true);
  /// Delivers until nothing flies that passes the filter.
  void settle();
  /// Delivers, in order of sending, what fits and is not cut.
  void deliver(const std::function<bool(const flying&)>& fits);
  void drop(const std::function<bool(const flying&)>& fits);
  void sync(unsigned i);
  void cut(unsigned from, unsigned to) { cuts[from][to] = true; }
  void isolate(unsigned i);
  void heal();
  void link(unsigned a, unsigned b);
  /// The process dies; of what was not synced nothing remains. `evidence`: the others see a reset.
  void crash(unsigned i, bool evidence = true);
  void start(unsigned i);
  void inject(unsigned from, unsigned to, message what) { in_flight.push_back({from, to, std::move(what)}); }

  core_options options;
  std::vector<member_id> witnesses;
  std::uint32_t checkpoint_chunks = 0;       ///< how large checkpoints are; chunks themselves are never answered
  std::vector<member> members;
  std::vector<flying> in_flight;
  std::vector<std::vector<bool>> cuts;
  instant now = 1s;

  wall_time wall(unsigned i) const;

private:
  void feed(unsigned i, const std::function<void(protocol::core&)>& input);
};

template <class Message>
bool is(const flying& f) {
  return std::holds_alternative<Message>(f.what);
}

std::uint64_t simple_sum(std::span<const std::byte> bytes, std::uint64_t seed);

}  // namespace cohort::trace
