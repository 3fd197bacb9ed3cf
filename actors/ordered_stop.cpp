#include "actors/supervision_parts.hpp"

#include <set>

namespace cohort::detail {

using namespace supervision;

void supervision_host::stop(std::function<void()> done) {
  if (!root_) return done();
  stopped_ = std::move(done);
  root_->machine.stop(instant_now());
  settle(*root_);
}

void supervision_host::carry_out(branch& b, const stop_child& what) {
  auto& l = *b.leaves.at(what.child);
  show(l, "stopping");
  if (l.nested) {
    l.nested->machine.stop(instant_now());
    settle(*l.nested);
  } else if (l.actor) {
    caf::anon_send_exit(l.actor, what.kill ? caf::exit_reason::kill : caf::exit_reason::user_shutdown);
  } else {
    b.machine.ended(instant_now(), l.id, what.number, death::shutdown);
  }
}

void supervision_host::carry_out(branch& b, const finished& what) {
  std::set<std::string> declared;
  for (const auto& c : b.spec->children) declared.insert(c.name);
  while (!b.leaves.empty()) {
    auto& l = *b.leaves.begin()->second;
    forget(l, !b.of || !declared.contains(l.spec.name));
  }
  branches_.erase(&b);
  if (!b.of) {
    if (what.gave_up) calls_.gave_up(b.gave_up);
    gone_.push_back(std::move(root_));
    if (auto done = std::exchange(stopped_, {})) done();
    return quit();
  }
  auto& l = *b.of;
  gone_.push_back(std::move(l.nested));
  if (what.gave_up) {
    l.cause = b.gave_up;
    l.message.clear();
    l.frames.clear();
  }
  auto* parent = l.in;
  parent->machine.ended(instant_now(), l.id, b.number, what.gave_up ? death::failed : death::shutdown);
  settle(*parent);
}

/// The child is no more. For good: its address ends, and who waits for an answer is told. One that its supervisor will start
/// again with itself keeps both.
void supervision_host::forget(leaf& l, bool for_good) {
  show(l, for_good ? "ended" : "waiting");
  if (!l.spec.hidden) {
    paths_.erase(l.path);
    if (for_good) end_mail(l.path);
  }
  leaves_.erase(l.key);
  const auto at = l.in->leaves.find(l.id);
  gone_leaves_.push_back(std::move(at->second));
  l.in->leaves.erase(at);
}

/// Of the child and all below it.
void supervision_host::end_mail(const std::string& path) {
  const auto is_concerned = [&](const std::string& other) { return other == path || other.starts_with(path + "/"); };
  for (auto at = mails_.begin(); at != mails_.end();) {
    const auto here = at++;
    if (!is_concerned(here->first)) continue;
    here->second.box->close(caf::exit_reason::user_shutdown);
    if (here->second.front) cc::hand_over(here->second.front, host_tick{});
    mails_.erase(here);
  }
  std::lock_guard guard(board_->mutex);
  std::erase_if(board_->children, [&](auto& row) { return is_concerned(row.first); });
}

}  // namespace cohort::detail
