#include "framework/session/messages.hpp"

#include <cohort/collation.hpp>

#include <string>
#include <utility>

namespace cohort {
namespace session {
namespace {

/// FNV-1a, of the little that there is beside the machine's own digest.
class digest_of_table final : public sink {
public:
  explicit digest_of_table(std::uint64_t seed) : value_(seed) {}
  void write(std::span<const std::byte> bytes) override {
    for (const auto b : bytes) value_ = (value_ ^ std::to_integer<std::uint64_t>(b)) * 0x100000001b3;
  }
  std::uint64_t value() const { return value_; }

private:
  std::uint64_t value_;
};

/// A state machine with a table of sessions in front of it.
class session_machine final : public state_machine, public call_handler {
public:
  session_machine(std::unique_ptr<state_machine> inner, bool all_answer) : inner_(std::move(inner)), all_answer_(all_answer) {}

  void apply(const delivery& d, reply& answer) override {
    note(d);
    // Most requests follow one of the same session.
    if (!head_.begins(d.payload)) return apply_other(d, answer);
    if (!read_numbers(d.payload.subspan(head_.size()), same_)) return malformed(answer);
    call(d, same_, answer);
  }

  void time_passed(const delivery& at, reply& answer) override {
    note(at);
    inner_->time_passed(at, answer);
  }
  std::optional<wall_time> next_due() const override { return inner_->next_due(); }

  /// Of what is no request: the answers of those are kept and repeated.
  void answer_call(const delivery& d, order how, reply& answer) override {
    auto* inner = dynamic_cast<call_handler*>(inner_.get());
    if (!inner) return;
    if (!is_session_message(d.payload)) return inner->answer_call(d, how, answer);
    request r;
    if (!read_request(d.payload, r) || r.what != kind::plain) return;
    inner->answer_call(inside(d, r.payload), how, answer);
  }

  void query(std::span<const std::byte> question, reply& answer) const override {
    if (!is_session_message(question)) return inner_->query(question, answer);
    request r;
    if (!read_request(question, r) || (r.what != kind::plain && r.what != kind::question))
      return write_reply(answer, session_outcome::malformed, false, newest_, 0, {});
    if (r.what == kind::plain) return inner_->query(r.payload, answer);
    if (newest_.index < r.seen || newest_.time < r.not_before)
      return write_reply(answer, session_outcome::behind, false, newest_, 0, {});
    reply inside;
    inner_->query(r.payload, inside);
    write_reply(answer, session_outcome::replied, false, newest_, 0, inside.bytes());
  }

  void checkpoint(sink& out) const override {
    out.write_u64(session_table::format);
    for (const auto f : {newest_.position, newest_.index, newest_.view, static_cast<std::uint64_t>(newest_.time.count())})
      out.write_u64(f);
    table_.checkpoint(out);
    inner_->checkpoint(out);
  }

  std::optional<std::uint64_t> state_digest() const override {
    const auto inner = inner_->state_digest();
    if (!inner) return {};
    digest_of_table all(*inner);
    table_.checkpoint(all);
    return all.value();
  }

  void restore(source& in) override {
    const auto format = in.read_u64();
    if (format == 0 || format > session_table::format)
      throw truncated_checkpoint("the checkpoint's sessions have format " + std::to_string(format) + ", and this program reads up to " +
                                 std::to_string(session_table::format) + ": it is of a newer program, or of a group without sessions");
    newest_.position = in.read_u64();
    newest_.index = in.read_u64();
    newest_.view = in.read_u64();
    newest_.time = wall_time(static_cast<std::int64_t>(in.read_u64()));
    table_.restore(in, format);
    head_.forget();
    inner_->restore(in);
  }

private:
  // What messages of one batch share is compared, not copied: position and payload were written just before, and reading them back
  // in one go, as copies do, waits until those writes have left the processor.
  void note(const delivery& d) {
    newest_.position = d.position;
    if (newest_.index != d.index || newest_.time != d.time || newest_.view != d.view) {
      newest_.index = d.index;
      newest_.view = d.view;
      newest_.time = d.time;
      table_.advance(d.time);
    }
  }
  /// `d` with what is inside its envelope. Until the next call.
  const delivery& inside(const delivery& d, std::span<const std::byte> payload) {
    auto& p = passed_on_;
    if (p.index != d.index || p.sender != d.sender || p.sender_incarnation != d.sender_incarnation || p.time != d.time || p.view != d.view || p.own != d.own)
      p = d;
    p.position = d.position;
    p.payload = payload;
    return p;
  }

  /// Whatever does not begin as the call before.
  void apply_other(const delivery& d, reply& answer) {
    if (!is_session_message(d.payload)) return inner_->apply(d, answer);
    request r;
    if (!read_request(d.payload, r) || r.what == kind::question) return malformed(answer);
    switch (r.what) {
      case kind::plain: return inner_->apply(inside(d, r.payload), answer);
      case kind::open: {
        const auto what = table_.open(r.name, r.limits, r.owner, d.position);
        return write_reply(answer, what, false, newest_, r.name.birth, {});
      }
      case kind::close: return write_reply(answer, table_.close(r.name), false, newest_, 0, {});
      case kind::call:
        if (r.low_half && table_.complete(r.name)) {
          head_.remember(d.payload.first(r.call_head));
          same_ = r;
        }
        return call(d, r, answer);
      case kind::cancel: {
        const auto v = table_.cancel(r.name, r.number, newest_);
        return write_reply(answer, v.what, v.what == session_outcome::replied, v.at, r.name.birth, v.answer);
      }
      case kind::question: break;
    }
  }
  void malformed(reply& answer) const { write_reply(answer, session_outcome::malformed, false, newest_, 0, {}); }

  void call(const delivery& d, const request& r, reply& answer) {
    const auto v = table_.begin(r.name, r.number, r.acknowledged_below);
    if (!v.execute) return write_reply(answer, v.what, v.what == session_outcome::replied, v.at, r.name.birth, v.answer);
    inside_.clear();
    inner_->apply(inside(d, r.payload), inside_);
    if (inside_.settles())
      inside_.each_settled([&](std::uint64_t position, std::span<const std::byte> bytes) { answer.settle(position, bytes); });
    table_.executed(inside_.bytes(), newest_);
    if (!all_answer_ && !d.own) return;  // nobody hears it here
    write_reply(answer, session_outcome::replied, false, newest_, r.name.birth, inside_.bytes());
  }

  const std::unique_ptr<state_machine> inner_;
  const bool all_answer_;
  session_table table_;
  call_head head_;
  request same_;  ///< of the session whose calls begin so
  stamp newest_;
  delivery passed_on_;
  reply inside_;
};

}  // namespace
}  // namespace session

std::unique_ptr<state_machine> with_sessions(std::unique_ptr<state_machine> machine, bool all_answer) {
  return std::make_unique<session::session_machine>(std::move(machine), all_answer);
}

}  // namespace cohort
