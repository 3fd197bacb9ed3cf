#include "framework/supervision/supervisor.hpp"

#include <algorithm>

namespace cohort::supervision {
namespace {

instant after(instant now, instant limit) { return limit >= never - now ? never : now + limit; }

}  // namespace

supervisor::supervisor(const supervisor_options& options, draw random)
    : options_(options), random_(std::move(random)), window_(options.limits) {}

// ---- inputs ---------------------------------------------------------------------------------------------------------

child_id supervisor::add(instant now, const child_rules& rules) {
  if (phase_ >= phase::stopping) return 0;
  const auto id = next_++;
  auto& c = children_[id];
  c.rules = rules;
  c.ordered = phase_ == phase::prepared;
  c.not_before = now;
  settle(now, id);
  return id;
}

void supervisor::begin(instant now) {
  if (phase_ != phase::prepared) return;
  phase_ = phase::running;
  settle(now, 0);
}

void supervisor::remove(instant now, child_id id) {
  const auto at = children_.find(id);
  if (at == children_.end()) return;
  auto& c = at->second;
  if (!lives(c)) {
    forget(at);
    return settle(now, 0);
  }
  c.removing = true;
  if (c.at == state::starting || c.at == state::up) ask_to_stop(now, id, c);
}

bool supervisor::start_again(instant now, child_id id) {
  const auto at = children_.find(id);
  if (at == children_.end() || at->second.at != state::is_final || phase_ != phase::running) return false;
  at->second.ordered = false;
  await_turn(id, at->second, now);
  settle(now, id);
  return true;
}

void supervisor::started(instant now, child_id id, life number) {
  const auto at = children_.find(id);
  if (at == children_.end() || at->second.number != number || at->second.at != state::starting) return;  // SU2
  auto& c = at->second;
  c.at = state::up;
  c.ordered = false;
  set_deadline(id, c, never);
  tell(report::started, now, id, c);
  settle(now, id);
}

void supervisor::ended(instant now, child_id id, life number, death how) {
  const auto at = children_.find(id);
  if (at == children_.end() || at->second.number != number || !lives(at->second)) return;  // SU2
  auto& c = at->second;
  const bool late = std::exchange(c.overdue, false);
  const bool failed = how == death::failed || late;
  c.at = state::down;
  set_deadline(id, c, never);
  if (c.removing || phase_ == phase::stopping) {
    tell(report::ended, now, id, c, how);
    if (c.removing) forget(at);
  } else if (c.doomed) {
    tell(report::ended, now, id, c, how);
    c.doomed = false;
    if (c.rules.type == restart_type::temporary)
      forget(at);
    else
      set_deadline(id, c, c.not_before);
  } else {
    decide(now, at, how, failed);
  }
  settle(now, id);
}

void supervisor::tick(instant now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto id = deadlines_.begin()->second;
    auto& c = children_.at(id);
    set_deadline(id, c, never);
    late(now, id, c);
    settle(now, id);
  }
}

void supervisor::stop(instant now) {
  if (phase_ >= phase::stopping) return;
  phase_ = phase::stopping;
  for (auto& [id, c] : children_) {
    c.doomed = true;
    if (!lives(c)) set_deadline(id, c, never);
  }
  settle(now, 0);
}

// ---- decisions ------------------------------------------------------------------------------------------------------

void supervisor::late(instant now, child_id id, child& c) {
  switch (c.at) {
    case state::starting:
      tell(report::start_late, now, id, c);
      c.overdue = true;
      return kill(now, id, c);
    case state::stopping:
      tell(report::stop_late, now, id, c);
      return kill(now, id, c);
    case state::killing: {
      tell(report::is_stuck, now, id, c);
      c.at = state::is_stuck;
      const bool for_good = c.removing || phase_ == phase::stopping;
      if (c.removing) return forget(children_.find(id));
      if (!for_good) give_up(now, id);  // SU7
      return;
    }
    default: return;  // down: its back-off is over, `settle` starts it
  }
}

void supervisor::decide(instant now, place at, death how, bool failed) {
  auto& [id, c] = *at;
  const auto type = c.rules.type;
  if (type == restart_type::temporary || (type == restart_type::transient && !failed)) {
    tell(report::is_final, now, id, c, how);
    c.at = state::is_final;
    c.ordered = false;
    if (type == restart_type::temporary) forget(at);
    return;
  }
  if (!window_.failed(now)) {
    tell(report::one_too_many, now, id, c, how);
    return give_up(now, id);
  }
  if (c.in_a_row > 0 && now - c.last_failure > options_.limits.window) c.in_a_row = 0;
  c.last_failure = now;
  const auto delay = restart_delay(options_.limits, ++c.in_a_row, random_);
  tell(report::restarts, now, id, c, how, delay);
  const auto resume = after(now, delay);
  switch (options_.strategy) {
    case restart_strategy::one_for_one:
    case restart_strategy::dynamic: return await_turn(id, c, resume);
    case restart_strategy::one_for_all: return start_group(children_.begin(), at, resume);
    case restart_strategy::rest_for_one: return start_group(at, at, resume);
  }
}

/// All from `from` on stop and start again together, not before `resume`.
void supervisor::start_group(place from, place failed, instant resume) {
  for (auto at = from; at != children_.end();) {
    const auto here = at++;
    auto& [id, c] = *here;
    if (c.removing || c.at == state::is_stuck) continue;
    c.ordered = true;
    if (lives(c) && here != failed) {
      c.doomed = true;
      c.not_before = resume;
    } else {
      await_turn(id, c, resume);
    }
  }
}

void supervisor::await_turn(child_id id, child& c, instant not_before) {
  c.at = state::down;
  c.not_before = not_before;
  set_deadline(id, c, not_before);
}

void supervisor::give_up(instant now, child_id cause) {
  gave_up_ = true;
  cause_ = cause;
  stop(now);
}

// ---- what follows ---------------------------------------------------------------------------------------------------

void supervisor::settle(instant now, child_id touched) {
  if (phase_ == phase::prepared || phase_ == phase::finished) return;
  if (is_ordered() || (phase_ == phase::stopping && touched == 0)) {
    settle_stops(now);
    settle_starts(now);
  } else if (touched == 0) {
    settle_starts(now);
  } else if (phase_ == phase::stopping) {  // all were asked to stop
  } else if (const auto at = children_.find(touched); at != children_.end()) {
    auto& [id, c] = *at;  // no other child's turn depends on this one: a supervisor of many stays fast
    if (c.at == state::down && c.not_before <= now) start(now, id, c);
  }
  if (phase_ == phase::stopping) {
    if (some_child(witness_, [](const child& c) { return lives(c); })) return;
    phase_ = phase::finished;
    children_.clear();
    deadlines_.clear();
    outputs_.push_back(finished{gave_up_, cause_});
  } else if (!said_up_) {
    say_whether_all_up();
  }
}

void supervisor::settle_stops(instant now) {
  for (auto at = children_.rbegin(); at != children_.rend(); ++at) {
    auto& [id, c] = *at;
    if (!c.doomed || !lives(c)) continue;
    if (c.at == state::starting || c.at == state::up) ask_to_stop(now, id, c);
    if (is_ordered()) return;  // SU4: those before wait for its end
  }
}

void supervisor::settle_starts(instant now) {
  if (phase_ != phase::running) return;  // SU6
  const auto stops_first = [](auto& each) { return each.second.doomed && lives(each.second); };
  bool wait = is_ordered() && std::any_of(children_.begin(), children_.end(), stops_first);
  for (auto& [id, c] : children_) {
    const bool its_turn = !c.ordered || !wait;
    if (c.at == state::down && its_turn && c.not_before <= now) start(now, id, c);
    if (is_ordered() && c.ordered && !c.removing) wait = true;  // SU4
  }
}

void supervisor::say_whether_all_up() {
  if (some_child(witness_, [](const child& c) { return c.at != state::up && c.at != state::is_final; })) return;
  said_up_ = true;
  outputs_.push_back(all_up{});
}

/// Begins with the one of whom it was true the last time, and where it looked last: asked about each of many children that
/// start or end, it does not look at all of them each time.
template <class Predicate>
bool supervisor::some_child(child_id& witness, Predicate is_so) const {
  const auto from = children_.lower_bound(witness);
  const auto matches = [&](const auto& each) { return is_so(each.second); };
  auto found = std::find_if(from, children_.end(), matches);
  if (found == children_.end()) {
    found = std::find_if(children_.begin(), from, matches);
    if (found == from) return false;
  }
  witness = found->first;
  return true;
}

void supervisor::start(instant now, child_id id, child& c) {
  c.at = state::starting;
  ++c.number;
  c.since = now;
  set_deadline(id, c, after(now, c.rules.start_limit));
  outputs_.push_back(start_child{id, c.number});
}

void supervisor::ask_to_stop(instant now, child_id id, child& c) {
  if (c.rules.stop_limit <= instant(0)) return kill(now, id, c);
  c.at = state::stopping;
  set_deadline(id, c, after(now, c.rules.stop_limit));
  outputs_.push_back(stop_child{id, c.number, false});
}

void supervisor::kill(instant now, child_id id, child& c) {
  c.at = state::killing;
  set_deadline(id, c, after(now, options_.kill_limit));
  outputs_.push_back(stop_child{id, c.number, true});
}

void supervisor::set_deadline(child_id id, child& c, instant when) {
  if (c.deadline != never) deadlines_.erase({c.deadline, id});
  c.deadline = when;
  if (when != never) deadlines_.insert({when, id});
}

void supervisor::tell(report::kind what, instant now, child_id id, const child& c, death how, instant delay) {
  outputs_.push_back(report{what, id, c.number, now - c.since, delay, how, window_.failures()});
}

void supervisor::forget(place at) {
  set_deadline(at->first, at->second, never);
  children_.erase(at);
}

}  // namespace cohort::supervision
