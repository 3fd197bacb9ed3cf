#include "framework/resilience/engine.hpp"

#include "framework/resilience/records.hpp"

#include <algorithm>
#include <utility>

namespace cohort::resilience {

engine::engine(std::string name, resilient_factory make, limits how)
    : name_(std::move(name)), make_(std::move(make)), limits_(how), state_(make_) {}

// ---- in -------------------------------------------------------------------------------------------------------------

verdict engine::receive(const message& in, wall_time now, std::uint64_t ticket) {
  const process_state::sender* known = nullptr;
  const auto v = state_.look(in, limits_, known);
  if (known && (v == verdict::duplicate || v == verdict::outdated)) {
    if (ticket != 0) add_answer(known->position, {ticket, v == verdict::duplicate ? known->reply : std::string()});
    return v;
  }
  if (v != verdict::taken) return v;
  if (pending_.size() >= limits_.pending_max) return verdict::full;
  // What throws in the machine may leave it half changed: this life takes no checkpoint any more.
  const bool was_sound = std::exchange(sound_, false);
  std::string reply;
  auto event = state_.decide(in, now, token_, limits_, reply);
  const bool changes = event && event->changes;
  // A reply to a question may tell of events that are not durable yet (R1).
  if (event) reply = journal(std::move(*event));
  sound_ = was_sound;
  if (ticket != 0) add_answer(state_.applied(), {ticket, std::move(reply)});
  return changes ? verdict::taken : verdict::answered;
}

/// Applies a new record; returns the reply.
std::string engine::journal(record r) {
  r.acks = std::move(acks_);
  acks_.clear();
  auto bytes = encode(r);
  if (bytes.size() > stable_value_bytes_max) {
    acks_ = std::move(r.acks);
    throw std::length_error("an event of " + std::to_string(bytes.size()) + " bytes; the journal takes up to " +
                            std::to_string(stable_value_bytes_max));
  }
  auto reply = state_.apply(r, state_.applied() + 1);
  if (events_since_++ == 0) oldest_since_ = r.time;
  bytes_since_ += bytes.size();
  pending_.push_back(std::move(bytes));
  return reply;
}

/// Positions grow but for those of what is known already, which is durable before what waits.
void engine::add_answer(std::uint64_t position, answer a) {
  if (!answers_.empty()) position = std::max(position, answers_.back().position);
  answers_.push_back({position, std::move(a)});
}

void engine::acknowledged(std::string_view to, std::uint64_t number, wall_time now) {
  number = state_.received(to, number);
  if (number == 0) return;
  if (acks_.empty()) acks_since_ = now;
  const auto known = std::find_if(acks_.begin(), acks_.end(), [&](const auto& a) { return a.to == to; });
  if (known != acks_.end()) known->number = number;
  else acks_.push_back({std::string(to), number});
}

// ---- to the disk ----------------------------------------------------------------------------------------------------

bool engine::wants_commit(wall_time now) const {
  return !committing_ && (!pending_.empty() || making_.under_way || checkpoint_due(now) || acks_due(now));
}

/// They are journaled at last, so that a receiver may forget what is long past.
bool engine::acks_due(wall_time now) const {
  return !acks_.empty() && sound_ && now - acks_since_ >= limits_.acks_late;
}

stable_batch engine::next_batch(wall_time now) {
  if (acks_due(now)) {
    record r;
    r.version = machine().version();
    r.time = now;
    r.acks_only = true;
    journal(std::move(r));
  }
  stable_batch batch;
  batch.fence(name_, token_);
  for (auto& r : pending_) batch.append(name_, journal_log, r);
  batched_ = applied();
  pending_.clear();
  if (checkpoint_due(now)) begin_checkpoint();
  if (making_.under_way) add_pieces(batch);
  committing_ = true;
  return batch;
}

void engine::committed() {
  committing_ = false;
  durable_ = batched_;
  if (!std::exchange(making_.ends, false)) return;
  making_.under_way = false;
  kept_.push_back(making_.at);
  unwanted_.clear();
  making_.bytes = {};
}

bool engine::checkpoint_due(wall_time now) const {
  const auto& p = limits_.checkpoints;
  if (making_.under_way || events_since_ == 0 || !sound_) return false;
  return (p.events != 0 && events_since_ >= p.events) || (p.bytes != 0 && bytes_since_ >= p.bytes) ||
         (p.age.count() != 0 && now - oldest_since_ >= p.age);
}

/// The state at `applied()`, all of which is in this batch or an earlier one.
void engine::begin_checkpoint() {
  string_sink out;
  out.write_u64(checkpoint_format);
  out.write_u64(machine().version());
  state_.checkpoint(out);
  making_.bytes = std::move(out.bytes);
  making_.at = {applied(), (making_.bytes.size() + limits_.piece_bytes - 1) / limits_.piece_bytes};
  making_.written = 0;
  making_.under_way = true;
  events_since_ = bytes_since_ = 0;
}

void engine::add_pieces(stable_batch& to) {
  const auto before = to.bytes();
  for (; making_.written < making_.at.pieces && to.bytes() - before < limits_.batch_bytes; ++making_.written)
    to.put(name_, piece_key(making_.at.position, making_.written),
           std::string_view(making_.bytes).substr(making_.written * limits_.piece_bytes, limits_.piece_bytes));
  if (making_.written < making_.at.pieces) return;
  // The head comes last: it is what makes the checkpoint complete. Two stay, so that one of them may turn out
  // unreadable.
  to.put(name_, head_key(making_.at.position), encode_head(making_.at.pieces, making_.bytes.size()));
  making_.ends = true;
  while (kept_.size() > 1) {
    unwanted_.push_back(kept_.front());
    kept_.erase(kept_.begin());
  }
  for (const auto& c : unwanted_) {
    if (c.position == making_.at.position) continue;
    to.erase(name_, head_key(c.position));
    for (std::uint64_t i = 0; i < c.pieces; ++i) to.erase(name_, piece_key(c.position, i));
  }
  if (!kept_.empty()) to.trim(name_, journal_log, kept_.back().position + 1);  // R5
}

// ---- out ------------------------------------------------------------------------------------------------------------

std::vector<answer> engine::take_answers() {
  std::vector<answer> out;
  std::size_t ready = 0;
  for (; ready < answers_.size() && answers_[ready].position <= durable_; ++ready)
    out.push_back(std::move(answers_[ready].what));
  answers_.erase(answers_.begin(), answers_.begin() + static_cast<std::ptrdiff_t>(ready));
  return out;
}

}  // namespace cohort::resilience
