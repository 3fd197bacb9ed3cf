#include "actors/call_desk.hpp"

#include "actors/port_state.hpp"

#include <algorithm>
#include <chrono>

namespace cohort::detail {

std::uint64_t call_desk::open(const std::shared_ptr<port_state>& port, std::uint64_t tag, const collation& how) {
  const auto deadline = std::chrono::steady_clock::now().time_since_epoch() + how.within;
  lock guard(mutex_);
  if (next_number_ == 0) ++next_number_;
  const auto number = next_number_++;
  collator_.open(number, how, deadline);
  callers_.emplace(number, caller{port, tag});
  numbers_[{port.get(), tag}] = number;
  port->calls.fetch_add(1, std::memory_order_relaxed);
  return number;
}

bool call_desk::cancel(const port_state& port, std::uint64_t tag) {
  lock guard(mutex_);
  const auto found = numbers_.find({&port, tag});
  if (found == numbers_.end()) return false;
  collator_.cancel(found->second);
  report(std::move(guard));
  return true;
}

void call_desk::resolve(const port_state& port, completion_batch& done) {
  completion_batch others;
  lock guard(mutex_);
  for (std::size_t i = 0; i < done.size(); ++i) {
    const auto c = done[i];
    const auto found = numbers_.find({&port, c.tag});
    if (found == numbers_.end()) {
      others.add(c.tag, c.outcome, c.reply);
      continue;
    }
    const auto at = callers_.find(found->second);
    at->second.resolved = true;
    at->second.what = c.outcome;
    // A message that was delivered has its report from the collator, or will have.
    if (c.outcome != outcome::replied) collator_.undelivered(at->first);
    if (at->second.ended) drop(at);
  }
  std::swap(done, others);
  report(std::move(guard));
}

void call_desk::delivered(std::uint64_t number, const rpc::place& at, const std::vector<rpc::process>& members,
                          std::optional<rpc::collator::answer> own) {
  lock guard(mutex_);
  collator_.delivered(number, at, members, std::move(own));
  report(std::move(guard));
}

void call_desk::answered(std::uint64_t number, rpc::collator::answer&& what) {
  lock guard(mutex_);
  collator_.answered(number, std::move(what));
  report(std::move(guard));
}

void call_desk::view_installed(const std::vector<rpc::process>& active, const std::vector<member_id>& left) {
  lock guard(mutex_);
  collator_.view_installed(active, left);
  report(std::move(guard));
}

bool call_desk::knows(std::uint64_t number) {
  lock guard(mutex_);
  return collator_.knows(number);
}

void call_desk::expire(protocol::instant now) {
  lock guard(mutex_);
  collator_.expire(now);
  report(std::move(guard));
}

protocol::instant call_desk::next_deadline() {
  lock guard(mutex_);
  return collator_.next_deadline();
}

std::vector<std::uint64_t> call_desk::take_given_up() {
  lock guard(mutex_);
  return std::exchange(given_up_, {});
}

void call_desk::stop() {
  lock guard(mutex_);
  collator_.stop();
  report(std::move(guard));
}

void call_desk::report(lock guard) {
  auto& ended = collator_.ended_calls();
  if (ended.empty()) return;
  std::vector<std::pair<std::shared_ptr<port_state>, completion_batch>> out;
  std::vector<std::byte> bytes;
  for (auto& e : ended) {
    const auto at = callers_.find(e.number);
    if (at == callers_.end() || at->second.ended) continue;
    auto& c = at->second;
    c.ended = true;
    const auto what = c.resolved && c.what != outcome::replied ? c.what
                      : e.delivered                            ? outcome::replied
                                                               : outcome::unknown;
    write_report(bytes, e.report);
    auto to = std::ranges::find(out, c.port, [](const auto& o) { return o.first; });
    if (to == out.end()) to = out.insert(out.end(), {c.port, {}});
    to->second.add(c.tag, what, bytes);
    if (e.report.end == call_end::cancelled || e.report.end == call_end::late) given_up_.push_back(e.number);
    if (c.resolved) drop(at);
  }
  ended.clear();
  guard.unlock();
  for (auto& [port, done] : out) port->hand_over(done);
}

void call_desk::drop(callers::iterator at) {
  at->second.port->calls.fetch_sub(1, std::memory_order_relaxed);
  const auto by_tag = numbers_.find({at->second.port.get(), at->second.tag});
  if (by_tag != numbers_.end() && by_tag->second == at->first) numbers_.erase(by_tag);
  callers_.erase(at);
}

}  // namespace cohort::detail
