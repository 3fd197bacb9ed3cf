#include "samples/kv/gateway.hpp"

#include <algorithm>
#include <utility>

namespace kv {

namespace {

constexpr std::uint64_t query_tag = std::uint64_t{1} << 63;
/// What is kept beside the bytes of a command that is in flight.
constexpr std::size_t overhead = 128;
constexpr auto retry_pause = std::chrono::milliseconds(10);
constexpr std::size_t spare_max = 1024, spare_bytes_max = 4096;
/// Agreed time may be older than this before a reader's node asks for a newer one.
constexpr std::int64_t stale_us = 1000;

constexpr std::string_view no_quorum =
    "-NOQUORUM this node has no contact with a quorum of its group; the command has no effect, try again or another "
    "node\r\n";
constexpr std::string_view no_quorum_read =
    "-NOQUORUM no quorum confirmed this read in time; try again or another node\r\n";
constexpr std::string_view unknown =
    "-UNKNOWN the command was submitted, but not confirmed in time; it may take effect or not, read before trying "
    "again\r\n";
constexpr std::string_view too_large = "-ERR the command is larger than what the group carries in one message\r\n";
constexpr std::string_view broken_answer = "-ERR internal error: the replica's answer cannot be read\r\n";

std::string_view as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

gateway::gateway(gateway_options options, backend& group, answer_receiver& receiver)
    : options_(options), group_(group), receiver_(receiver), wall_clock_([] {
        return std::chrono::duration_cast<std::chrono::microseconds>(
                   std::chrono::system_clock::now().time_since_epoch())
            .count();
      }) {}

bool gateway::full() const {
  return in_flight_bytes_ >= options_.in_flight_bytes_max || group_.queued_bytes() >= options_.in_flight_bytes_max / 4;
}

bytes& gateway::ordered(command_place place, bool write) {
  auto& added = ordered_.emplace_back();
  added.place = place;
  added.write = write;
  if (!spare_.empty()) {
    added.message = std::move(spare_.back());
    spare_.pop_back();
  }
  return added.message;
}

void gateway::forget_last() { ordered_.pop_back(); }

void gateway::read(command_place place, command_id id, std::span<const std::string_view> args, cohort::reads how) {
  // One query for all reads of a pass that want the same consistency.
  auto found = std::find_if(queries_.begin() + static_cast<std::ptrdiff_t>(flushed_query_ - first_query_),
                            queries_.end(), [&](const query_item& q) { return q.how == how; });
  if (found == queries_.end()) {
    queries_.emplace_back().how = how;
    found = std::prev(queries_.end());
  }
  found->questions.push_back({place, found->text.size()});
  append_command(id, args, found->text);
}

void gateway::flush(instant now) {
  const auto until = now + options_.unknown_after;
  spans_.clear();
  for (auto i = flushed_ordered_ - first_ordered_; i < ordered_.size(); ++i) {
    ordered_[i].deadline = until;
    in_flight_bytes_ += ordered_[i].message.size() + overhead;
    spans_.push_back(ordered_[i].message);
  }
  if (!spans_.empty()) group_.submit(spans_, flushed_ordered_);
  flushed_ordered_ += spans_.size();
  bool asked = false;
  for (auto i = flushed_query_ - first_query_; i < queries_.size(); ++i, ++flushed_query_, asked = true) {
    queries_[i].deadline = until;
    in_flight_bytes_ += queries_[i].text.size() + queries_[i].questions.size() * overhead;
    group_.query(queries_[i].text, queries_[i].how, flushed_query_ | query_tag);
  }
  if (asked || !spans_.empty()) group_.flush();
}

void gateway::collect(instant now) {
  while (group_.take(batch_)) {
    for (std::size_t i = 0; i < batch_.size(); ++i) {
      const auto done = batch_[i];
      const auto number = done.tag & ~query_tag;
      if ((done.tag & query_tag) != 0)
        complete_query(queries_[number - first_query_], done.outcome, done.reply, now);
      else
        complete_ordered(ordered_[number - first_ordered_], done.outcome, as_text(done.reply), now);
    }
    trim();
  }
}

void gateway::finish(item& what, std::string_view reply) {
  if (!what.answered) receiver_.answered(what.place, reply);
  what.answered = true;
  what.at = stage::done;
  in_flight_bytes_ -= what.message.size() + overhead;
  if (what.message.capacity() <= spare_bytes_max && spare_.size() < spare_max) {
    what.message.clear();
    spare_.push_back(std::move(what.message));
  }
  what.message = {};
}

void gateway::complete_ordered(item& what, cohort::outcome outcome, std::string_view reply, instant now) {
  switch (outcome) {
    case cohort::outcome::replied:
      refused_since_ = never;
      if (must_wait(what.place.connection)) give_up(what.place.connection);
      return finish(what, reply);
    case cohort::outcome::unknown:
      if (must_wait(what.place.connection)) give_up(what.place.connection);
      return finish(what, what.write ? unknown : no_quorum_read);
    case cohort::outcome::too_large:
      return finish(what, too_large);
    case cohort::outcome::stopped:  // the replica may be about to start again
    case cohort::outcome::no_quorum:
    case cohort::outcome::busy:
    case cohort::outcome::not_member:
    case cohort::outcome::not_enabled:
    case cohort::outcome::expired:
    case cohort::outcome::lost:
      if (what.answered || what.place.connection == 0) return finish(what, {});  // nobody waits for it
      what.at = stage::refused;
      troubled_.insert(what.place.connection);
      return refused(now);
  }
}

/// A later command of the connection was executed: what was refused before it must not be sent again behind it.
void gateway::give_up(std::uint64_t connection) {
  for (auto& what : ordered_)
    if (what.at == stage::refused && what.place.connection == connection)
      finish(what, what.write ? no_quorum : no_quorum_read);
  troubled_.erase(connection);
}

void gateway::refused(instant now) {
  if (refused_since_ == never) refused_since_ = now;
  if (retry_at_ == never) retry_at_ = now + retry_pause;
}

void gateway::complete_query(query_item& what, cohort::outcome outcome, std::span<const std::byte> reply, instant now) {
  if (outcome == cohort::outcome::replied) {
    if (what.how != cohort::reads::local) refused_since_ = never;
    if (!decode_answers(reply, answers_) || answers_.replies.empty()) fail_questions(what, broken_answer);
    else answer_questions(what);
  } else if (outcome == cohort::outcome::unknown) {
    fail_questions(what, no_quorum_read);
  } else if (outcome == cohort::outcome::too_large) {
    fail_questions(what, too_large);
  } else {
    what.at = stage::refused;
    return refused(now);
  }
  what.at = stage::done;
  in_flight_bytes_ -= what.text.size() + what.questions.size() * overhead;
  what.text = {};
}

void gateway::answer_questions(query_item& q) {
  const bool stale = q.how != cohort::reads::local && wall_clock_() - answers_.agreed_us > stale_us;
  const auto text_of = [&](std::size_t i) {
    const auto end = i + 1 < q.questions.size() ? q.questions[i + 1].offset : q.text.size();
    return std::span(q.text).subspan(q.questions[i].offset, end - q.questions[i].offset);
  };
  for (std::size_t i = 0; i < q.questions.size(); ++i) {
    auto& question = q.questions[i];
    if (question.answered) continue;
    const auto text = text_of(i);
    if (i >= answers_.replies.size()) {
      // The answers grew too large for one: the rest is asked again.
      auto& more = queries_.emplace_back();
      more.how = q.how;
      for (; i < q.questions.size(); ++i) {
        const auto part = text_of(i);
        if (!q.questions[i].answered) more.questions.push_back({q.questions[i].place, more.text.size()});
        if (!q.questions[i].answered) more.text.insert(more.text.end(), part.begin(), part.end());
      }
      return;
    }
    if (stale && answers_.replies[i].needs_time) {
      // Nobody wrote for a while, so agreed time stands still: the log brings a newer one.
      auto& message = ordered(question.place, false);
      message.push_back(static_cast<std::byte>(message_reader::kind::command));
      message.insert(message.end(), text.begin(), text.end());
    } else {
      receiver_.answered(question.place, answers_.replies[i].reply);
    }
  }
}

void gateway::fail_questions(query_item& q, std::string_view why) {
  for (auto& question : q.questions)
    if (!std::exchange(question.answered, true)) receiver_.answered(question.place, why);
}

void gateway::retry_ordered(bool patient) {
  std::unordered_set<std::uint64_t> flying;
  for (const auto& what : ordered_)
    if (what.at == stage::flying) flying.insert(what.place.connection);
  const auto count = ordered_.size();
  for (std::size_t i = 0; i < count; ++i) {
    auto& what = ordered_[i];
    if (what.at != stage::refused) continue;
    if (!patient) {
      finish(what, what.write ? no_quorum : no_quorum_read);
    } else if (!flying.contains(what.place.connection)) {
      // Only when all of the connection's commands are back, else one that is still out would be overtaken.
      item again{what.place, std::move(what.message), {}, stage::flying, what.write, false};
      in_flight_bytes_ -= again.message.size() + overhead;
      what.message = {};
      what.at = stage::done;
      ordered_.push_back(std::move(again));
    }
  }
  troubled_.clear();
  for (const auto& what : ordered_)
    if (what.at == stage::refused) troubled_.insert(what.place.connection);
  if (!troubled_.empty()) retry_at_ = never;
}

void gateway::retry(instant now) {
  const bool patient = refused_since_ != never && now - refused_since_ < options_.quorum_patience;
  retry_at_ = never;
  retry_ordered(patient || refused_since_ == never);
  const auto count = queries_.size();
  for (std::size_t i = 0; i < count; ++i) {
    auto& q = queries_[i];
    if (q.at != stage::refused) continue;
    in_flight_bytes_ -= q.text.size() + q.questions.size() * overhead;
    q.at = stage::done;
    if (!patient && refused_since_ != never) {
      fail_questions(q, no_quorum_read);
      continue;
    }
    query_item again{std::move(q.text), std::move(q.questions), q.how, {}, stage::flying};
    q = {};
    q.at = stage::done;
    queries_.push_back(std::move(again));
  }
  if (!troubled_.empty()) retry_at_ = now + retry_pause;
}

void gateway::tick(instant now) {
  if (retry_at_ <= now) retry(now);
  for (auto& what : ordered_) {
    if (what.at != stage::flying) continue;
    if (what.deadline > now || what.deadline == instant{}) break;
    if (what.answered) continue;
    what.answered = true;
    receiver_.answered(what.place, what.write ? unknown : no_quorum_read);
  }
  for (auto& q : queries_) {
    if (q.at != stage::flying) continue;
    if (q.deadline > now || q.deadline == instant{}) break;
    fail_questions(q, no_quorum_read);
  }
  trim();
}

instant gateway::deadline() const {
  auto earliest = retry_at_;
  for (const auto& what : ordered_)
    if (what.at == stage::flying && !what.answered) {
      if (what.deadline != instant{}) earliest = std::min(earliest, what.deadline);
      break;
    }
  for (const auto& q : queries_)
    if (q.at == stage::flying && q.deadline != instant{} && !q.questions.empty() && !q.questions.back().answered) {
      earliest = std::min(earliest, q.deadline);
      break;
    }
  return earliest;
}

void gateway::trim() {
  for (; !ordered_.empty() && first_ordered_ < flushed_ordered_ && ordered_.front().at == stage::done; ++first_ordered_)
    ordered_.pop_front();
  for (; !queries_.empty() && first_query_ < flushed_query_ && queries_.front().at == stage::done; ++first_query_)
    queries_.pop_front();
}

}  // namespace kv
