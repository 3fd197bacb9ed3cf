#include "actors/supervision_parts.hpp"

#include "actors/throw_stack.hpp"

namespace cohort::detail {

using namespace supervision;

namespace {

constexpr std::size_t events_max = 256;

wall_time wall_clock() {
  return std::chrono::duration_cast<wall_time>(std::chrono::system_clock::now().time_since_epoch());
}

}  // namespace

void supervision_host::notice(branch& b, const report& what) {
  const auto known = b.leaves.find(what.child);
  if (known == b.leaves.end()) return;
  auto& l = *known->second;
  if (what.what == report::restarts) ++l.restarts;
  if (what.what == report::start_late) {
    l.late = true;
    l.cause = "not up within " + in_ms(l.spec.how.start_limit);
    l.message.clear();
    l.frames.clear();
  }
  b.untold.push_back({what, l.cause, l.message, l.frames, l.restarts});
}

void supervision_host::tell(branch& b, const told& t) {
  const auto& what = t.what;
  const auto known = b.leaves.find(what.child);
  if (known == b.leaves.end()) return;
  auto& l = *known->second;
  if (what.what == report::started) return show(l, l.down ? "down" : "up");
  supervision_event e;
  e.path = l.path;
  e.age = what.age;
  e.delay = what.delay;
  e.restarts = t.restarts;
  const auto& limits = b.spec->how.limits;
  const auto within = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(limits.window).count()) + " s";
  const bool by_failure = what.how == death::failed || l.late;
  if (what.what == report::restarts || what.what == report::one_too_many || what.what == report::is_final) {
    e.cause = by_failure ? t.cause : "it ended";
    if (by_failure) e.message = t.message;
    if (by_failure) e.stack = throw_stack::describe(t.frames);
  }
  const auto line = [&](const char* event) {
    return "child=" + l.path + " event=" + event + " age=" + in_ms(what.age) + " restarts=" + std::to_string(t.restarts);
  };
  const bool is_newest = l.number == what.number && !l.spec.hidden;
  if (what.what == report::is_final)
    if (const auto mail = mails_.find(l.path); mail != mails_.end()) mail->second.box->vacate(caf::exit_reason::unreachable);
  std::lock_guard guard(board_->mutex);
  auto& counters = board_->counters;
  switch (what.what) {
    case report::restarts: {
      ++counters.restarts;
      e.what = "restarts";
      auto text = line("restarts") + " in " + in_ms(what.delay) + ", failure " + std::to_string(what.failures_in_window) +
                  " of at most " + std::to_string(limits.failures_max) + " within " + within + ": " + e.cause;
      if (!e.message.empty()) text += "; handled " + e.message;
      for (auto& frame : e.stack) text += "\n    " + frame;
      if (!l.spec.hidden) {
        auto& row = board_->children[l.path];
        row.status.restarts = t.restarts;
        row.status.last_cause = e.cause;
        row.status.last_stack = e.stack;
        if (is_newest) row.status.state = "waiting";
      }
      return tell(std::move(e), log_level::error, text);
    }
    case report::one_too_many:
      ++counters.gave_up;
      e.what = "gave_up";
      b.gave_up = limits.failures_max == 0 ? e.cause
                                           : l.path + " failed " + std::to_string(what.failures_in_window) + " times within " +
                                               within + ", so it is not started again; last failure: " + e.cause;
      return tell(std::move(e), log_level::error, line("gave_up") + " " + b.gave_up);
    case report::start_late:
      ++counters.start_late;
      e.what = "start_late";
      return tell(std::move(e), log_level::error, line("start_late") + " not up within its start limit: killed");
    case report::stop_late:
      ++counters.stop_late;
      e.what = "stop_late";
      return tell(std::move(e), log_level::warn, line("stop_late") + " not ended within its stop limit: killed");
    case report::is_stuck:
      ++counters.stuck;
      if (!l.spec.hidden) board_->children[l.path].status.state = "stuck";
      e.what = "stuck";
      b.gave_up = l.path + " does not come back from a handler, so nothing can end it but the end of its process";
      return tell(std::move(e), log_level::error, line("stuck") + " " + b.gave_up);
    case report::is_final:
      if (!l.spec.hidden) {
        auto& row = board_->children[l.path];
        row.status.state = "ended";
        if (by_failure) row.status.last_cause = e.cause;
      }
      e.what = "ended";
      return tell(std::move(e), by_failure ? log_level::error : log_level::info,
                  line("ended") + (by_failure ? " by a failure, is not started again: " + e.cause : ""));
    case report::ended:
      if (is_newest) board_->children[l.path].status.state = "waiting";
      return;
    case report::started: return;
  }
}

/// With the board locked.
void supervision_host::tell(supervision_event e, log_level level, const std::string& line) {
  e.time = wall_clock();
  board_->events.push_back(std::move(e));
  if (board_->events.size() > events_max) board_->events.pop_front();
  calls_.log(level, line);
}

void supervision_host::show(leaf& l, const char* state) {
  if (l.spec.hidden) return;
  std::lock_guard guard(board_->mutex);
  const auto row = board_->children.find(l.path);
  if (row == board_->children.end()) return;
  auto& s = row->second.status;
  s.state = state;
  if (s.lives != l.number) row->second.since = std::chrono::steady_clock::now();
  s.lives = l.number;
  if (const auto mail = mails_.find(l.path); mail != mails_.end()) row->second.mail = mail->second;
}

}  // namespace cohort::detail
