#include "framework/resilience/state.hpp"

#include "framework/resilience/records.hpp"

#include <algorithm>
#include <utility>

namespace cohort::resilience {

bool process_state::is_late(const message& in) const {
  const auto found = senders_.find(in.from);
  if (found == senders_.end()) return in.number != 1 && in.number != in.low;
  return std::ranges::binary_search(found->second->passed, in.number);
}

verdict process_state::look(const message& in, const memory_limits& how, const sender*& known) const {
  known = nullptr;
  if (!in.from.empty() && !(in.replayed && is_late(in))) {
    const auto found = senders_.find(in.from);
    if (found != senders_.end()) {
      const auto& s = *found->second;
      if (is_late(in)) return verdict::passed;
      known = &s;
      if (in.number <= s.number) return in.number == s.number ? verdict::duplicate : verdict::outdated;
      known = nullptr;
      if (in.number != s.number + 1 && in.number != in.low) return verdict::gap;
    } else {
      // Whoever was forgotten, or has sent to another one before, begins where it has no answer yet.
      if (in.number != 1 && in.number != in.low) return verdict::gap;
      if (senders_.size() >= how.senders_max) return verdict::full;
    }
  }
  return outbox_ >= how.outbox_max ? verdict::full : verdict::taken;
}

std::optional<record> process_state::decide(const message& in, wall_time now, fencing_token activation,
                                            const memory_limits& how, std::string& answer) const {
  auto event = machine_->decide({in.body, in.from, now, activation}, answer);
  if (!event && in.from.empty()) return std::nullopt;
  record r;
  r.version = machine_->version();
  r.time = now;
  r.from = in.from;
  r.number = in.number;
  r.replayed = in.replayed && !in.from.empty() && is_late(in);
  r.changes = event.has_value();
  r.body = event ? std::move(*event) : std::move(answer);
  if (how.senders_age.count() != 0 && !by_age_.empty() && by_age_.front().time + how.senders_age < now)
    r.forget_before = now - how.senders_age;
  return r;
}

std::string process_state::apply(const record& r, std::uint64_t position) {
  forget(r.forget_before);
  for (const auto& a : r.acks) acknowledged(a.to, a.number);
  resilient_output out;
  if (r.acks_only) {
  } else if (r.changes) {
    machine_->apply({r.body, r.from, r.time, position, r.version}, out);
  } else {
    out.reply(r.body);  // a question that has a number is remembered with its answer
  }
  applied_ = position;
  for (const auto& s : out.sends()) {
    auto& lane = lanes_[s.to];
    lane.messages.push_back({lane.next++, position, s.body, false});
    ++outbox_;
  }
  if (!r.from.empty() && (!r.replayed || senders_.contains(r.from))) {
    auto& s = remember(r.from);
    s.position = position;
    s.time = r.time;
    if (r.replayed) {
      std::erase(s.passed, r.number);
    } else {
      pass_over(s, r.number);
      s.number = r.number;
      s.reply = out.reply();
    }
  }
  return out.reply();
}

/// R10
void process_state::pass_over(sender& s, std::uint64_t upto) {
  auto first = s.number + 1;
  if (upto > passed_max) first = std::max(first, upto - passed_max);
  for (; first < upto; ++first) s.passed.push_back(first);
  if (s.passed.size() > passed_max) s.passed.erase(s.passed.begin(), s.passed.end() - passed_max);
}

process_state::sender& process_state::remember(const std::string& name) {
  if (const auto known = senders_.find(name); known != senders_.end()) {
    by_age_.splice(by_age_.end(), by_age_, known->second);
  } else {
    by_age_.push_back({name, 0, 0, {}, {}, {}});
    senders_.emplace(by_age_.back().name, std::prev(by_age_.end()));
  }
  return by_age_.back();
}

/// Times are those of the records, which need not grow: who was heard last stays behind all others all the same.
void process_state::forget(wall_time before) {
  while (!by_age_.empty() && by_age_.front().time < before) {
    senders_.erase(by_age_.front().name);
    forgot_since_taken_ = true;
    by_age_.pop_front();
  }
}

void process_state::acknowledged(std::string_view to, std::uint64_t number) {
  const auto found = lanes_.find(to);
  if (found == lanes_.end()) return;
  auto& lane = found->second;
  while (!lane.messages.empty() && lane.messages.front().number <= number) {
    lane.messages.pop_front();
    --outbox_;
  }
}

std::uint64_t process_state::received(std::string_view to, std::uint64_t number) {
  const auto found = lanes_.find(to);
  if (found == lanes_.end()) return 0;
  auto& lane = found->second;
  auto& messages = lane.messages;
  if (messages.empty() || number < messages.front().number || number > lane.left) return 0;
  messages[number - messages.front().number].received = true;
  std::uint64_t all = 0;
  for (; !messages.empty() && messages.front().received; messages.pop_front(), --outbox_) all = messages.front().number;
  return all;
}

std::vector<effect> process_state::take_effects(std::uint64_t durable, const std::function<bool(const std::string&)>& reachable) {
  std::vector<effect> out;
  for (auto& [to, lane] : lanes_) {
    if (lane.messages.empty() || lane.left + 1 >= lane.next || (reachable && !reachable(to))) continue;
    const auto first = lane.messages.front().number;
    for (std::size_t i = lane.left < first ? 0 : lane.left + 1 - first; i < lane.messages.size(); ++i) {
      const auto& m = lane.messages[i];
      if (m.position > durable) break;  // R1
      if (!m.received) out.push_back({to, m.number, m.body, first});
      lane.left = m.number;
    }
  }
  return out;
}

void process_state::rewind(std::string_view to) {
  if (const auto lane = lanes_.find(to); lane != lanes_.end() && !lane->second.messages.empty())
    lane->second.left = std::min(lane->second.left, lane->second.messages.front().number - 1);
}

void process_state::rewind() {
  for (auto& [to, lane] : lanes_) lane.left = 0;
}

std::uint64_t process_state::oldest(std::string_view to) const {
  const auto lane = lanes_.find(to);
  return lane == lanes_.end() || lane->second.messages.empty() ? 0 : lane->second.messages.front().number;
}

bool process_state::waits_for(std::string_view to, std::uint64_t number) const {
  const auto found = lanes_.find(to);
  if (found == lanes_.end() || found->second.messages.empty()) return false;
  const auto& messages = found->second.messages;
  const auto first = messages.front().number;
  return number >= first && number - first < messages.size() && !messages[number - first].received;
}

std::vector<std::string> process_state::waiting_for() const {
  std::vector<std::string> out;
  for (const auto& [to, lane] : lanes_)
    if (!lane.messages.empty() && lane.messages.front().number <= lane.left) out.push_back(to);
  return out;
}

namespace {

void write_sender(sink& out, const process_state::sender& s) {
  out.write_bytes(s.name);
  out.write_u64(s.number);
  out.write_u64(s.position);
  out.write_u64(static_cast<std::uint64_t>(s.time.count()));
  out.write_bytes(s.reply);
  out.write_u64(s.passed.size());
  for (const auto number : s.passed) out.write_u64(number);
}

}  // namespace

void process_state::checkpoint(sink& out) const {
  out.write_u64(applied_);
  out.write_u64(by_age_.size());
  for (const auto& s : by_age_) write_sender(out, s);
  write_outbox(out);
  machine_->checkpoint(out);
}

bool process_state::checkpoint_changes(sink& out) const {
  out.write_u64(applied_);
  // Who was heard since is at the end. Who was forgotten since is not told apart: then all are written.
  auto first = by_age_.begin();
  if (!forgot_since_taken_)
    for (first = by_age_.end(); first != by_age_.begin() && std::prev(first)->position > taken_at_;) --first;
  out.write_u64(forgot_since_taken_);
  out.write_u64(static_cast<std::uint64_t>(std::distance(first, by_age_.end())));
  for (; first != by_age_.end(); ++first) write_sender(out, *first);
  write_outbox(out);
  return machine_->checkpoint_changes(out);
}

void process_state::checkpoint_taken() {
  taken_at_ = applied_;
  forgot_since_taken_ = false;
  machine_->checkpoint_taken();
}

void process_state::write_outbox(sink& out) const {
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
}

void process_state::read_senders(source& in, std::uint64_t format) {
  for (auto n = in.read_u64(); n > 0; --n) {
    auto& s = remember(in.read_bytes());
    s.number = in.read_u64();
    s.position = in.read_u64();
    s.time = wall_time(static_cast<std::int64_t>(in.read_u64()));
    s.reply = in.read_bytes();
    s.passed.clear();
    for (auto count = format < passed_format ? 0 : in.read_u64(); count > 0; --count) s.passed.push_back(in.read_u64());
  }
}

void process_state::read_outbox(source& in) {
  lanes_.clear();
  outbox_ = 0;
  for (auto n = in.read_u64(); n > 0; --n) {
    auto& lane = lanes_[in.read_bytes()];
    lane.next = in.read_u64();
    const auto count = in.read_u64();
    if (count >= lane.next) throw truncated_checkpoint("it has more messages than were ever sent");
    for (auto number = lane.next - count; number < lane.next; ++number) {
      const auto position = in.read_u64();
      lane.messages.push_back({number, position, in.read_bytes(), false});
    }
    outbox_ += count;
  }
}

void process_state::restore(source& in, std::uint32_t written_by, std::uint64_t format) {
  applied_ = in.read_u64();
  read_senders(in, format);
  read_outbox(in);
  machine_->restore(in, written_by);
  checkpoint_taken();
}

void process_state::restore_changes(source& in, std::uint32_t written_by, std::uint64_t format) {
  applied_ = in.read_u64();
  if (in.read_u64() != 0) {
    senders_.clear();
    by_age_.clear();
  }
  read_senders(in, format);
  read_outbox(in);
  machine_->restore_changes(in, written_by);
  checkpoint_taken();
}

}  // namespace cohort::resilience
