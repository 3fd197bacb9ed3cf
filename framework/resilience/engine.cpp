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
  // A claim is for what leaves: as long as there is nothing, it can wait.
  const bool claims = !claimed_ && (!answers_.empty() || outbox() > 0);
  return !committing_ && (!pending_.empty() || making_.under_way || claims || checkpoint_due(now) || acks_due(now));
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
  if (!claimed_) add_claim(batch);
  batch.fence(name_, token_);
  for (auto& r : pending_) batch.append(name_, journal_log, r);
  batched_ = applied();
  pending_.clear();
  if (checkpoint_due(now)) begin_checkpoint(now);
  if (making_.under_way) add_pieces(batch);
  committing_ = true;
  return batch;
}

void engine::committed() {
  committing_ = false;
  claimed_ = true;
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

std::uint64_t engine::next_base() const {
  // One whole one, and a journal that does not reach back to the beginning: were it unreadable, all would be lost (R5).
  if (trimmed_ && std::count_if(kept_.begin(), kept_.end(), [](const auto& c) { return c.base == 0; }) < 2) return 0;
  std::uint64_t count = 0, bytes = 0;
  for (auto c = kept_.rbegin(); c != kept_.rend(); ++c) {
    if (c->base == 0) return count < limits_.checkpoints.changes && bytes <= c->bytes ? kept_.back().position : 0;
    ++count;
    bytes += c->bytes;
  }
  return 0;
}

/// The state at `applied()`, all of which is in this batch or an earlier one.
void engine::begin_checkpoint(wall_time now) {
  auto base = next_base();
  string_sink out;
  const auto begin = [&] {
    out.bytes.clear();
    out.write_u64(checkpoint_format);
    out.write_u64(machine().version());
    out.write_u64(base);
  };
  begin();
  if (base != 0 && !state_.checkpoint_changes(out)) {
    base = 0;
    begin();
  }
  if (base == 0) state_.checkpoint(out);
  state_.checkpoint_taken();
  making_.bytes = std::move(out.bytes);
  making_.at = {applied(), (making_.bytes.size() + limits_.piece_bytes - 1) / limits_.piece_bytes, making_.bytes.size(), base, now};
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
  // The head comes last: it is what makes the checkpoint complete. Before a whole one stay the whole one before it and what
  // builds upon that, so that any one of them may turn out unreadable.
  const auto& at = making_.at;
  to.put(name_, head_key(at.position), encode_head(at.pieces, at.bytes, at.base, at.taken));
  making_.ends = true;
  const auto newest_whole = std::find_if(kept_.rbegin(), kept_.rend(), [](const auto& c) { return c.base == 0; });
  if (at.base == 0 && newest_whole != kept_.rend()) {
    const auto first = std::prev(newest_whole.base());
    unwanted_.insert(unwanted_.end(), kept_.begin(), first);
    kept_.erase(kept_.begin(), first);
  }
  for (const auto& c : unwanted_) {
    if (c.position == making_.at.position) continue;
    to.erase(name_, head_key(c.position));
    for (std::uint64_t i = 0; i < c.pieces; ++i) to.erase(name_, piece_key(c.position, i));
  }
  if (at.base != 0 || kept_.empty()) return;
  to.trim(name_, journal_log, kept_.back().position + 1);  // R5
  trimmed_ = true;
}

// ---- out ------------------------------------------------------------------------------------------------------------

std::vector<answer> engine::take_answers() {
  std::vector<answer> out;
  if (!claimed_) return out;
  std::size_t ready = 0;
  for (; ready < answers_.size() && answers_[ready].position <= durable_; ++ready)
    out.push_back(std::move(answers_[ready].what));
  answers_.erase(answers_.begin(), answers_.begin() + static_cast<std::ptrdiff_t>(ready));
  return out;
}

}  // namespace cohort::resilience
