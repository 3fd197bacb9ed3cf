#pragma once

#include <cohort/session.hpp>

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace cohort::test {

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }
inline std::string text_of(std::span<const std::byte> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

class text_sink final : public sink {
public:
  void write(std::span<const std::byte> bytes) override { text += text_of(bytes); }
  std::string text;
};

class text_source final : public source {
public:
  explicit text_source(std::string text) : text_(std::move(text)) {}
  void read(std::span<std::byte> out) override {
    if (out.size() > text_.size() - at_) throw truncated_checkpoint("the text ends");
    std::memcpy(out.data(), text_.data() + at_, out.size());
    at_ += out.size();
  }
  std::uint64_t left() const override { return text_.size() - at_; }

private:
  std::string text_;
  std::size_t at_ = 0;
};

/// Counts how often each text was applied; answers "TEXT#how often".
class tally final : public state_machine {
public:
  void apply(const delivery& d, reply& answer) override {
    answer.write("draft");  // what it takes back must not be seen, nor what stands in front of the answer be lost
    answer.clear();
    const auto text = text_of(d.payload);
    answer.write(text + '#' + std::to_string(++times[text]));
  }
  void query(std::span<const std::byte> question, reply& answer) const override {
    const auto known = times.find(text_of(question));
    answer.write(std::to_string(known == times.end() ? 0 : known->second));
  }
  void checkpoint(sink& out) const override {
    out.write_u64(times.size());
    for (auto& [text, count] : times) {
      out.write_bytes(text);
      out.write_u64(count);
    }
  }
  void restore(source& in) override {
    times.clear();
    for (auto left = in.read_u64(); left > 0; --left) {
      auto text = in.read_bytes();
      times[text] = in.read_u64();
    }
  }
  std::map<std::string, std::uint64_t> times;
};

/// A tally with sessions, fed one message after the other.
class sessions_under_test {
public:
  sessions_under_test() { make(); }

  session_reply apply(std::span<const std::byte> message) {
    delivery d;
    d.payload = message;
    d.position = ++position;
    d.index = one_entry ? 11 : 10 + position;
    d.view = 3;
    d.time = now;
    answer_.clear();
    machine_->apply(d, answer_);
    session_reply r;
    if (!read_reply(answer_.bytes(), r)) r.payload = answer_.bytes();
    return r;
  }
  session_name open(std::uint64_t id, session_limits limits = {}, std::uint64_t owner = 0) {
    session_name name{{id, ~id}, 0};
    write_open(message_, name, limits, owner);
    last = apply(message_);
    name.birth = last.birth;
    return name;
  }
  session_outcome renew(const session_name& name) {
    write_open(message_, name, {});
    return (last = apply(message_)).what;
  }
  session_reply call(const session_name& s, std::uint64_t number, const std::string& text, std::uint64_t below = 1) {
    write_call(message_, s, number, below, bytes_of(text));
    return last = apply(message_);
  }
  session_reply cancel(const session_name& s, std::uint64_t number) {
    write_cancel(message_, s, number);
    return last = apply(message_);
  }
  session_outcome close(const session_name& s) {
    write_close(message_, s);
    return (last = apply(message_)).what;
  }
  session_reply ask(const std::string& text, log_index seen = 0, wall_time not_before = {}) {
    write_question(message_, seen, not_before, bytes_of(text));
    answer_.clear();
    machine_->query(message_, answer_);
    session_reply r;
    if (!read_reply(answer_.bytes(), r)) r.payload = answer_.bytes();
    return r;
  }
  std::string checkpoint() const {
    text_sink out;
    machine_->checkpoint(out);
    return out.text;
  }
  void restart_from(std::string checkpoint) {
    make();
    text_source in(std::move(checkpoint));
    machine_->restore(in);
  }
  std::uint64_t times(const std::string& text) const { return tally_->times[text]; }

  std::uint64_t position = 0;
  wall_time now = std::chrono::seconds(1000);
  bool one_entry = false;  ///< one log entry holds all that is applied
  session_reply last;

private:
  void make() {
    auto inside = std::make_unique<tally>();
    tally_ = inside.get();
    machine_ = with_sessions(std::move(inside));
  }
  tally* tally_ = nullptr;
  std::unique_ptr<state_machine> machine_;
  reply answer_;
  std::vector<std::byte> message_;
};

}  // namespace cohort::test
