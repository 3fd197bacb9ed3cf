#include "actors/call_desk.hpp"
#include "actors/group_entry.hpp"
#include "actors/port_state.hpp"

#include "framework/rpc/messages.hpp"

#include <cohort/session.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace cohort {

const char* to_string(outcome o) {
  switch (o) {
    case outcome::replied: return "replied";
    case outcome::no_quorum: return "no quorum";
    case outcome::busy: return "busy";
    case outcome::not_member: return "not a member";
    case outcome::too_large: return "too large";
    case outcome::lost: return "lost";
    case outcome::unknown: return "unknown";
    case outcome::stopped: return "stopped";
    case outcome::not_enabled: return "order not enabled";
    case outcome::expired: return "expired";
  }
  return "?";
}

namespace detail {

void submission_block::clear() {
  blob.clear();
  sizes.clear();
  runs.clear();
  question_bytes.clear();
  questions.clear();
  next_message = next_byte = next_run = 0;
  next_in_run = 0;
  next_part_byte = 0;
}

question_set::~question_set() {
  if (!port || questions.empty()) return;
  completion_batch done;
  for (auto& q : questions) done.add(q.tag, otherwise);
  port->complete(done);
}

port_state::port_state(std::shared_ptr<group_entry> owner, port_wake on_ready)
    : group(std::move(owner)), wake(std::move(on_ready)) {
  if (group->make_service) frame = primary_backup::frame::request;
}

group_port port_access::open_unframed(const std::shared_ptr<group_entry>& owner, port_wake wake) {
  auto state = std::make_shared<port_state>(owner, std::move(wake));
  state->frame.reset();
  owner->add_port(state);
  return group_port(std::move(state));
}

void port_state::complete(completion_batch& done) {
  if (calls.load(std::memory_order_relaxed) > 0) group->desk->resolve(*this, done);
  hand_over(done);
}

void port_state::hand_over(completion_batch& done) {
  if (done.empty()) return;
  std::lock_guard guard(mutex);
  if (closed.load(std::memory_order_relaxed)) return done.clear();
  if (!ready.empty()) {
    ready.append(done);
    done.clear();
    return;
  }
  std::swap(ready, done);
  // Under the lock, so that no call can come after the port's destructor has returned.
  if (wake) wake();
}

void port_state::complete_one(std::uint64_t tag, outcome what) {
  completion_batch one;
  one.add(tag, what);
  complete(one);
}

void port_state::take_inbox(std::vector<std::unique_ptr<submission_block>>& into) {
  std::lock_guard guard(mutex);
  armed = false;
  for (auto& block : inbox) into.push_back(std::move(block));
  inbox.clear();
}

void port_state::refuse_rest(submission_block& block, outcome why) {
  completion_batch refused;
  std::size_t bytes = 0;
  for (; block.next_message < block.sizes.size(); ++block.next_message)
    bytes += block.sizes[block.next_message] + sizeof(std::uint32_t);
  for (; block.next_run < block.runs.size(); ++block.next_run, block.next_in_run = 0)
    for (auto& run = block.runs[block.next_run]; block.next_in_run < run.count; ++block.next_in_run)
      refused.add(run.first_tag + block.next_in_run, why);
  for (auto& q : block.questions) refused.add(q.tag, why);
  block.questions.clear();
  queued.fetch_sub(bytes, std::memory_order_relaxed);
  complete(refused);
}

std::size_t port_state::refuse_run(submission_block& block, outcome why) {
  completion_batch refused;
  std::size_t bytes = 0;
  for (auto& run = block.runs[block.next_run]; block.next_in_run < run.count; ++block.next_in_run, ++block.next_message) {
    refused.add(run.first_tag + block.next_in_run, why);
    bytes += block.sizes[block.next_message] + sizeof(std::uint32_t);
    block.next_byte += block.sizes[block.next_message];
  }
  ++block.next_run;
  block.next_in_run = 0;
  queued.fetch_sub(bytes, std::memory_order_relaxed);
  complete(refused);
  return bytes;
}

void port_state::refuse_inbox(outcome why) {
  std::vector<std::unique_ptr<submission_block>> blocks;
  take_inbox(blocks);
  for (auto& block : blocks) refuse_rest(*block, why);
}

submission_block& port_state::staged() {
  if (!staging) staging = group->spares->take();
  return *staging;
}

void port_state::recycle(std::unique_ptr<submission_block> block) { group->spares->give(std::move(block)); }

}  // namespace detail

group_port::group_port(group_port&&) noexcept = default;

group_port& group_port::operator=(group_port&& other) noexcept {
  group_port old(std::move(*this));
  state_ = std::move(other.state_);
  return *this;
}

group_port::~group_port() {
  if (!state_) return;
  std::lock_guard guard(state_->mutex);
  state_->closed = true;
  state_->wake = {};
  state_->ready.clear();
}

namespace {

/// Whole milliseconds, so that messages of a while share a batch.
wall_time deadline_after(std::chrono::milliseconds within) {
  return std::chrono::ceil<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch() + within);
}

/// Appends a message to what the next flush takes along, or refuses it. Returns what it adds to `queued`.
std::size_t stage(detail::port_state& s, std::span<const std::byte> message, std::uint64_t tag, std::optional<order> how, wall_time deadline,
                  std::size_t queued) {
  auto& limits = s.group->how;
  const auto size = message.size() + (s.frame ? 1 : 0);
  if (size > s.group->message_bytes_max()) {
    s.refuse(tag, outcome::too_large);
    return 0;
  }
  const auto cost = size + sizeof(std::uint32_t);
  if (queued + cost > limits.queue_bytes && queued > 0) {
    s.refuse(tag, outcome::busy);
    return 0;
  }
  auto& block = s.staged();
  if (s.frame) block.blob.push_back(static_cast<std::byte>(*s.frame));
  block.blob.insert(block.blob.end(), message.begin(), message.end());
  block.sizes.push_back(static_cast<std::uint32_t>(size));
  auto* last = block.runs.empty() ? nullptr : &block.runs.back();
  if (last && last->how == how && last->deadline == deadline && last->first_tag + last->count == tag)
    ++last->count;
  else
    block.runs.push_back({tag, 1, how, deadline});
  return cost;
}

}  // namespace

void group_port::submit(std::span<const std::span<const std::byte>> messages, std::uint64_t first_tag, const submit_options& options) {
  auto& s = *state_;
  auto& limits = s.group->how;
  const auto queued = s.queued.load(std::memory_order_relaxed);
  const auto how = options.session_request ? std::optional(order::total) : options.how;
  const auto deadline = options.within.count() > 0 ? deadline_after(options.within) : wall_time{};
  std::size_t added = 0;
  std::vector<std::byte> marked;
  for (auto message : messages) {
    auto tag = first_tag++;
    if (options.session_request && !limits.sessions) {
      s.refuse(tag, outcome::not_enabled);
      continue;
    }
    if (limits.sessions && !options.session_request && is_session_message(message)) {
      write_plain(marked, message);
      message = marked;
    } else if (limits.calls && rpc::is_call(message)) {
      rpc::write_call(marked, 0, {}, message);
      message = marked;
    }
    added += stage(s, message, tag, how, deadline, queued + added);
  }
  s.queued.fetch_add(added, std::memory_order_relaxed);
}

void group_port::call(std::span<const std::byte> message, std::uint64_t tag, const collation& options) {
  auto& s = *state_;
  auto& limits = s.group->how;
  if (!limits.calls || (options.session_request && !limits.sessions)) return s.refuse(tag, outcome::not_enabled);
  auto how = options;
  how.within = std::clamp<std::chrono::milliseconds>(how.within, std::chrono::milliseconds(1), std::chrono::hours(1));
  const auto deadline = deadline_after(how.within);
  std::vector<std::byte> inside, framed;
  if (limits.sessions && !how.session_request && is_session_message(message)) {
    write_plain(inside, message);
    message = inside;
  }
  rpc::write_call(framed, s.group->desk->open(state_, tag, how), deadline, message);
  const auto in_order = how.session_request ? std::optional(order::total) : how.in_order;
  s.queued.fetch_add(stage(s, framed, tag, in_order, deadline, s.queued.load(std::memory_order_relaxed)), std::memory_order_relaxed);
}

void group_port::cancel(std::uint64_t tag) {
  auto& s = *state_;
  if (!s.group->desk || !s.group->desk->cancel(s, tag)) return;
  if (auto link = s.group->running()) link->calls_changed();
}

void group_port::query(std::span<const std::byte> question, reads how, std::uint64_t tag, bool session_question) {
  auto& s = *state_;
  std::vector<std::byte> marked;
  if (session_question && !s.group->how.sessions) return s.refuse(tag, outcome::not_enabled);
  if (s.group->how.sessions && !session_question && is_session_message(question)) {
    write_plain(marked, question);
    question = marked;
  }
  auto add = [&](std::vector<std::byte>& bytes, std::vector<detail::submission_block::question>& list) {
    list.push_back({tag, bytes.size(), question.size()});
    bytes.insert(bytes.end(), question.begin(), question.end());
  };
  if (how != reads::local) return add(s.staged().question_bytes, s.staged().questions);
  if (!s.local_questions) {
    s.local_questions = std::make_shared<detail::question_set>();
    s.local_questions->port = s.shared_from_this();
    s.local_questions->otherwise = outcome::stopped;
  }
  add(s.local_questions->bytes, s.local_questions->questions);
}

void group_port::flush() {
  auto& s = *state_;
  if (!s.refused_here.empty()) s.complete(s.refused_here);
  if (!s.staging && !s.local_questions) return;
  auto link = s.group->running();
  if (s.local_questions) {
    auto questions = std::move(s.local_questions);
    if (link) link->ask(std::move(questions));
  }
  if (!s.staging) return;
  s.staging->flushed = std::chrono::steady_clock::now().time_since_epoch();
  if (!link) {
    s.refuse_rest(*s.staging, outcome::stopped);
    return s.recycle(std::move(s.staging));
  }
  bool tell = false;
  {
    std::lock_guard guard(s.mutex);
    s.inbox.push_back(std::move(s.staging));
    tell = !std::exchange(s.armed, true);
  }
  if (tell) link->flushed(s.shared_from_this());
}

bool group_port::take(completion_batch& into) {
  into.clear();
  std::lock_guard guard(state_->mutex);
  std::swap(state_->ready, into);
  return !into.empty();
}

std::size_t group_port::queued_bytes() const { return state_->queued.load(std::memory_order_relaxed); }

group_status group_port::status() const {
  if (auto link = state_->group->running()) return link->status();
  group_status none;
  none.group = state_->group->name;
  none.role = "stopped";
  none.durability = state_->group->how.durability == durability::journaled ? "journaled" : "volatile";
  return none;
}

}  // namespace cohort
