#include "framework/resilience/engine.hpp"

#include "framework/resilience/records.hpp"

#include <utility>

namespace cohort::resilience {

engine::engine(std::string name, resilient_factory make, limits how)
    : name_(std::move(name)), make_(std::move(make)), limits_(how), machine_(make_()) {}

// ---- in -------------------------------------------------------------------------------------------------------------

verdict engine::receive(const message& in, wall_time now, std::uint64_t ticket) {
  if (!in.from.empty()) {
    const auto known = senders_.find(in.from);
    const std::uint64_t newest = known == senders_.end() ? 0 : known->second.number;
    if (in.number <= newest) {
      if (ticket != 0)
        answers_.push_back(
            {known->second.position, {ticket, in.number == newest ? known->second.reply : std::string()}});
      return in.number == newest ? verdict::duplicate : verdict::outdated;
    }
    if (in.number != newest + 1) return verdict::gap;
    if (known == senders_.end() && senders_.size() >= limits_.senders_max) return verdict::full;
  }
  if (outbox_ >= limits_.outbox_max || pending_.size() >= limits_.pending_max) return verdict::full;
  // What throws in the machine may leave it half changed: this life takes no checkpoint any more.
  const bool was_sound = std::exchange(sound_, false);
  std::string reply;
  auto event = machine_->decide({in.body, in.from, now}, reply);
  if (!event && in.from.empty()) {
    sound_ = was_sound;
    // It may tell of events that are not durable yet (R1).
    if (ticket != 0) answers_.push_back({applied_, {ticket, std::move(reply)}});
    return verdict::answered;
  }
  record r;
  r.version = machine_->version();
  r.time = now;
  r.from = in.from;
  r.number = in.number;
  r.changes = event.has_value();
  r.body = event ? std::move(*event) : std::move(reply);
  auto bytes = encode(r);
  if (bytes.size() > stable_value_bytes_max)
    throw std::length_error("an event of " + std::to_string(bytes.size()) + " bytes; the journal takes up to " +
                            std::to_string(stable_value_bytes_max));
  auto answered = apply(r, applied_ + 1);
  sound_ = was_sound;
  if (ticket != 0) answers_.push_back({applied_, {ticket, std::move(answered)}});
  if (events_since_++ == 0) oldest_since_ = now;
  pending_.push_back(std::move(bytes));
  bytes_since_ += pending_.back().size();
  return r.changes ? verdict::taken : verdict::answered;
}

/// Returns the reply.
std::string engine::apply(const record& r, std::uint64_t position) {
  resilient_output out;
  if (r.changes)
    machine_->apply({r.body, r.from, r.time, position, r.version}, out);
  else
    out.reply(r.body);  // a question that has a number is remembered with its answer
  applied_ = position;
  for (const auto& s : out.sends()) {
    auto& lane = lanes_[s.to];
    lane.messages.push_back({lane.next++, position, s.body});
    ++outbox_;
  }
  if (!r.from.empty()) senders_[r.from] = {r.number, position, out.reply()};
  return out.reply();
}

void engine::acknowledged(std::string_view to, std::uint64_t number) {
  const auto lane = lanes_.find(to);
  if (lane == lanes_.end()) return;
  auto& messages = lane->second.messages;
  // Never more than has left: a receiver that says so is wrong.
  while (!messages.empty() && messages.front().number <= std::min(number, lane->second.left)) {
    messages.pop_front();
    --outbox_;
  }
}

// ---- to the disk ----------------------------------------------------------------------------------------------------

bool engine::wants_commit(wall_time now) const {
  return !committing_ && (!pending_.empty() || making_.under_way || checkpoint_due(now));
}

stable_batch engine::next_batch(wall_time now) {
  stable_batch batch;
  batch.fence(name_, token_);
  for (auto& r : pending_) batch.append(name_, journal_log, r);
  batched_ = applied_;
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

/// The state at `applied_`, all of which is in this batch or an earlier one.
void engine::begin_checkpoint() {
  string_sink out;
  out.write_u64(checkpoint_format);
  out.write_u64(machine_->version());
  out.write_u64(applied_);
  out.write_u64(senders_.size());
  for (const auto& [from, s] : senders_) {
    out.write_bytes(from);
    out.write_u64(s.number);
    out.write_u64(s.position);
    out.write_bytes(s.reply);
  }
  out.write_u64(lanes_.size());
  for (const auto& [to, lane] : lanes_) {
    out.write_bytes(to);
    out.write_u64(lane.next);
    out.write_u64(lane.messages.size());
    for (const auto& m : lane.messages) {
      out.write_u64(m.position);
      out.write_bytes(m.body);
    }
  }
  machine_->checkpoint(out);
  making_.bytes = std::move(out.bytes);
  making_.at = {applied_, (making_.bytes.size() + limits_.piece_bytes - 1) / limits_.piece_bytes};
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

std::vector<effect> engine::take_effects() {
  std::vector<effect> out;
  for (auto& [to, lane] : lanes_) {
    if (lane.messages.empty() || lane.left + 1 >= lane.next) continue;
    const auto first = lane.messages.front().number;
    for (std::size_t i = lane.left < first ? 0 : lane.left + 1 - first; i < lane.messages.size(); ++i) {
      const auto& m = lane.messages[i];
      if (m.position > durable_) break;  // R1
      out.push_back({to, m.number, m.body});
      lane.left = m.number;
    }
  }
  return out;
}

std::vector<answer> engine::take_answers() {
  std::vector<answer> out;
  while (!answers_.empty() && answers_.front().position <= durable_) {
    out.push_back(std::move(answers_.front().what));
    answers_.pop_front();
  }
  return out;
}

void engine::resend(std::string_view to) {
  if (const auto lane = lanes_.find(to); lane != lanes_.end() && !lane->second.messages.empty())
    lane->second.left = std::min(lane->second.left, lane->second.messages.front().number - 1);
}

std::uint64_t engine::oldest(std::string_view to) const {
  const auto lane = lanes_.find(to);
  return lane == lanes_.end() || lane->second.messages.empty() ? 0 : lane->second.messages.front().number;
}

std::vector<std::string> engine::waiting_for() const {
  std::vector<std::string> out;
  for (const auto& [to, lane] : lanes_)
    if (!lane.messages.empty() && lane.messages.front().number <= lane.left) out.push_back(to);
  return out;
}

}  // namespace cohort::resilience
