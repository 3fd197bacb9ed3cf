#include "actors/deferred_answers.hpp"

#include <algorithm>
#include <utility>

namespace cohort::detail {

void deferred_answers::add(std::uint64_t position, std::shared_ptr<port_state> port, std::uint64_t tag,
                           protocol::instant deadline) {
  waiting_.push_back({position, {std::move(port), tag}, deadline});
}

std::optional<deferred_answers::caller> deferred_answers::take(std::uint64_t position) {
  const auto at = std::ranges::lower_bound(waiting_, position, {}, &waiting::position);
  if (at == waiting_.end() || at->position != position || !at->who.port) return {};
  auto who = std::exchange(at->who, {});
  drop_answered();
  return who;
}

void deferred_answers::expire(protocol::instant now) {
  for (auto& w : waiting_) {
    if (w.deadline > now) break;  // deadlines grow with positions, but for a millisecond within a merged run
    if (auto who = std::exchange(w.who, {}); who.port) who.port->complete_one(who.tag, outcome::unknown);
  }
  drop_answered();
}

void deferred_answers::give_up() {
  for (auto& w : waiting_)
    if (w.who.port) w.who.port->complete_one(w.who.tag, outcome::unknown);
  waiting_.clear();
}

void deferred_answers::drop_answered() {
  while (!waiting_.empty() && !waiting_.front().who.port) waiting_.pop_front();
}

}  // namespace cohort::detail
