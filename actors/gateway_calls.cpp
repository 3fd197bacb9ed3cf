#include "actors/gateway.hpp"
#include "actors/gateway_answers.hpp"

#include <utility>

namespace cohort::detail {

using namespace transport::gateway;

namespace {

constexpr std::size_t report_bytes_max = 32u << 20;  ///< of answers, to one client at once

/// What would be more than a client is sent is left out, member by member.
void bound_answers(call_report& r) {
  std::size_t bytes = 0;
  for (auto& m : r.members) {
    if (m.what != member_standing::answered) continue;
    if (bytes + m.answer.size() > report_bytes_max) {
      m.what = member_standing::too_large;
      m.answer = {};
    }
    bytes += m.answer.size();
  }
}

/// In a session's group the members' answers are those of the session, which says the same at all of them.
void open_envelopes(collected& c) {
  bool told = false;
  for (auto& m : c.report.members) {
    if (m.what != member_standing::answered) continue;
    session_reply r;
    if (!read_reply(m.answer, r)) {
      c.what = refused_as(reason::other, false,
                          "the group's answer is none of a session: do all members run the same program?");
      continue;
    }
    if (!std::exchange(told, true)) take_reply(c.what, r);
    m.answer.assign(r.payload.begin(), r.payload.end());
  }
  c.what.payload.clear();
  if (told || c.what.what != verdict::replied) return;
  c.what.what = verdict::unknown;  // delivered, and nobody has said what the session made of it
  c.what.because = reason::unresolved;
  c.what.retry = true;
  c.what.why = "no member answered in time";
}

collected told_of(answer what, call_report report, bool session) {
  collected c{std::move(what), std::move(report)};
  c.what.position = c.report.position;
  c.what.index = c.report.index;
  c.what.view = c.report.view;
  c.what.time_us = c.report.time.count();
  if (session && c.report.end != call_end::undelivered) open_envelopes(c);
  bound_answers(c.report);
  return c;
}

}  // namespace

class gateway::asking_call final : public open_call {
public:
  asking_call(gateway& owner, std::string group, std::uint64_t tag)
      : owner_(owner), group_(std::move(group)), tag_(tag) {}
  ~asking_call() override { owner_.end_call(group_, tag_, {}); }
  void decide(judgement what) override { owner_.end_call(group_, tag_, what); }

private:
  gateway& owner_;
  const std::string group_;
  const std::uint64_t tag_;
};

std::unique_ptr<open_call> gateway::ask_all(const request& what, collate how, unsigned count,
                                            std::function<void(collected&&)> done,
                                            std::function<void(const collected&)> changed) {
  const auto refuse = [&](answer why) {
    done({std::move(why), {}});
    return nullptr;
  };
  auto* const known = serving(what.group);
  if (!known) return refuse(no_such_group(what.group));
  auto& g = *known;
  if (what.what == request::kind::call && !g.entry->how.sessions) return refuse(no_sessions(what.group, g.entry->make_service != nullptr));
  collation c;
  c.how = how;
  c.count = count;
  if (what.within.count() > 0) c.within = what.within;
  c.session_request = what.what == request::kind::call;
  std::span<const std::byte> message = what.payload;
  if (c.session_request) {
    // Only an answer tells what the session made of it; the one of this node comes with the delivery.
    if (how == collate::none) c.how = collate::first;
    write_call(message_, {{what.session.id_high, what.session.id_low}, what.session.birth}, what.number,
               what.acknowledged_below, what.payload);
    message = message_;
  } else if (!what.order.empty()) {
    c.in_order = order_named(what.order);
    if (!c.in_order) return refuse(refused_as(reason::not_enabled, false, "there is no order \"" + what.order + '"'));
  }
  const auto tag = g.next_tag++;
  if (how == collate::custom)
    c.judge = [so_far = so_far_, group = what.group, tag](const call_report& report) {
      std::lock_guard guard(so_far->mutex);
      if (!so_far->wake) return judgement::give_up;  // the gateway is gone
      so_far->waiting.emplace_back(group, tag, report);
      so_far->wake();
      return judgement::wait;
    };
  g.calls.emplace(tag, asking{std::move(done), std::move(changed), c.session_request, {}});
  g.port.call(message, tag, c);
  g.asked = true;
  return std::make_unique<asking_call>(*this, what.group, tag);
}

/// By the client's judgement, or because it is gone.
void gateway::end_call(const std::string& group, std::uint64_t tag, std::optional<judgement> decided) {
  const auto of = groups_.find(group);
  if (of == groups_.end()) return;  // deleted, and with it all its calls
  auto& g = of->second;
  const auto open = g.calls.find(tag);
  if (open == g.calls.end()) return;
  if (decided)
    open->second.decided = decided;
  else
    g.calls.erase(open);
  g.port.cancel(tag);
}

void gateway::finish(group&, asking a, const completion& c) {
  call_report report;
  if (!read_report(c.reply, report)) report.end = call_end::undelivered;
  // Of a call whose client judges, the collator itself ends only what nothing can change any more.
  if (a.decided && report.end == call_end::cancelled)
    report.end = *a.decided == judgement::enough ? call_end::met : call_end::unmet;
  a.done(told_of(answer_of(c.outcome), std::move(report), a.session));
}

void gateway::tell_judges() {
  std::vector<std::tuple<std::string, std::uint64_t, call_report>> now;
  {
    std::lock_guard guard(so_far_->mutex);
    now.swap(so_far_->waiting);
  }
  for (auto& [group, tag, report] : now) {
    const auto of = groups_.find(group);
    if (of == groups_.end()) continue;
    auto& g = of->second;
    const auto open = g.calls.find(tag);
    if (open == g.calls.end() || !open->second.changed || open->second.decided) continue;
    open->second.changed(told_of(answer_of(outcome::replied), std::move(report), open->second.session));
  }
}

}  // namespace cohort::detail
