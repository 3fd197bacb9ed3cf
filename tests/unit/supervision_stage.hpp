#pragma once

#include "framework/supervision/supervisor.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace cohort::test {

using namespace supervision;
using namespace std::chrono_literals;

/// A supervisor whose children obey at once unless they are told to do otherwise. Children are a, b, c ... in their order.
/// What it does is written down: `+a` start, `-a` ask to stop, `!a` kill, `up` all are up, `^a` gave up because of a, `.`
/// stopped.
struct supervision_stage {
  supervisor it;
  instant now{0};
  std::string trace;
  std::map<child_id, life> living;
  std::set<child_id> dies_starting;   ///< at each start
  std::set<child_id> slow_to_start, deaf, immortal;
  std::vector<report> reports;
  bool ended = false;

  explicit supervision_stage(supervisor_options options, draw random = [] { return std::uint64_t{0}; })
      : it(options, std::move(random)) {}

  static std::string name(child_id id) { return std::string(1, static_cast<char>('a' + id - 1)); }

  void say(const std::string& what) { trace += (trace.empty() ? "" : " ") + what; }

  /// Carries out what is asked, until nothing more is.
  void settle() {
    while (!it.outputs().empty()) {
      auto todo = std::exchange(it.outputs(), {});
      for (auto& each : todo) std::visit([this](auto& what) { does(what); }, each);
    }
  }
  void does(start_child& s) {
    say("+" + name(s.child));
    living[s.child] = s.number;
    if (dies_starting.contains(s.child)) {
      living.erase(s.child);
      it.ended(now, s.child, s.number, death::failed);
    } else if (!slow_to_start.contains(s.child)) {
      it.started(now, s.child, s.number);
    }
  }
  void does(stop_child& s) {
    say((s.kill ? "!" : "-") + name(s.child));
    const bool obeys = s.kill ? !immortal.contains(s.child) : !deaf.contains(s.child) && !immortal.contains(s.child);
    if (!obeys) return;
    living.erase(s.child);
    it.ended(now, s.child, s.number, s.kill ? death::failed : death::shutdown);
  }
  void does(all_up&) { say("up"); }
  void does(finished& f) {
    say(f.gave_up ? "^" + name(f.cause) : ".");
    ended = true;
  }
  void does(report& r) { reports.push_back(r); }

  /// The trace since the last call.
  std::string did() { return std::exchange(trace, {}); }
  unsigned said(report::kind what) const {
    unsigned n = 0;
    for (auto& r : reports) n += r.what == what;
    return n;
  }

  void begin(std::vector<child_rules> children) {
    for (auto& c : children) it.add(now, c);
    it.begin(now);
    settle();
  }
  void dies(child_id id, death how = death::failed) {
    const auto number = living.at(id);
    living.erase(id);
    it.ended(now, id, number, how);
    settle();
  }
  void is_up(child_id id) {
    it.started(now, id, living.at(id));
    settle();
  }
  void passes(instant time) {
    const auto until = now + time;
    while (it.next_deadline() <= until) {
      now = std::max(now, it.next_deadline());
      it.tick(now);
      settle();
    }
    now = until;
  }
};

}  // namespace cohort::test
