#include "actors/ledger.hpp"

#include <algorithm>

namespace cohort::detail {
namespace {

void answer(const own_run& run, outcome what) {
  if (run.answered) return;
  completion_batch done;
  for (std::uint32_t i = 0; i < run.count; ++i) done.add(run.first_tag + i, what);
  run.port->complete(done);
}

}  // namespace

void ledger::add(const std::shared_ptr<port_state>& port, std::uint64_t first_tag, std::uint32_t count,
                 protocol::instant deadline) {
  messages_ += count;
  if (!runs_.empty() && answered_ < runs_.size()) {
    auto& last = runs_.back();
    // Merging keeps the older deadline: at most one pass early, and far below the bound.
    if (last.port == port && last.first_tag + last.count == first_tag &&
        deadline - last.deadline < std::chrono::milliseconds(1))
      return void(last.count += count);
  }
  runs_.push_back({port, first_tag, count, deadline, false});
}

bool ledger::take(std::uint64_t count, std::vector<own_run>& into) {
  if (count > messages_) return false;
  messages_ -= count;
  while (count > 0) {
    auto& oldest = runs_.front();
    if (oldest.count <= count) {
      count -= oldest.count;
      into.push_back(std::move(oldest));
      runs_.pop_front();
      if (answered_ > 0) --answered_;
    } else {
      auto part = oldest;
      part.count = static_cast<std::uint32_t>(count);
      oldest.first_tag += count;
      oldest.count -= part.count;
      count = 0;
      into.push_back(std::move(part));
    }
  }
  return true;
}

std::uint64_t ledger::expire(protocol::instant now) {
  std::uint64_t expired = 0;
  for (; answered_ < runs_.size() && runs_[answered_].deadline <= now; ++answered_) {
    auto& run = runs_[answered_];
    answer(run, outcome::unknown);
    run.answered = true;
    expired += run.count;
  }
  return expired;
}

protocol::instant ledger::next_deadline() const {
  return answered_ < runs_.size() ? runs_[answered_].deadline : protocol::never;
}

void answer_all(std::vector<own_run>& runs, outcome what) {
  for (auto& run : runs) answer(run, what);
  runs.clear();
}

}  // namespace cohort::detail
