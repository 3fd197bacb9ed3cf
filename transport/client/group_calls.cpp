#include "transport/client/engine.hpp"
#include "transport/client/wires.hpp"

#include <algorithm>
#include <utility>

namespace cohort::client_detail {

namespace {

/// Past the deadline the gateway's own answer is on its way.
constexpr auto answer_grace = 300 * kj::MILLISECONDS;

call_report report_of(wire::Collected::Reader in) {
  call_report r;
  r.end = static_cast<call_end>(
      std::min<unsigned>(static_cast<unsigned>(in.getEnd()), static_cast<unsigned>(call_end::undelivered)));
  auto a = in.getAnswer();
  r.view = a.getView();
  r.position = a.getPosition();
  r.index = a.getIndex();
  r.time = std::chrono::microseconds(a.getTimeUs());
  for (auto m : in.getMembers()) {
    const auto bytes = bytes_of(m.getPayload());
    const auto standing =
        std::min<unsigned>(static_cast<unsigned>(m.getStanding()), static_cast<unsigned>(member_standing::late));
    r.members.push_back({m.getMember().cStr(),
                         m.getIncarnation(),
                         static_cast<member_standing>(standing),
                         {bytes.begin(), bytes.end()}});
  }
  return r;
}

judgement judged(const collation& how, const call_report& so_far) {
  try {
    return how.judge ? how.judge(so_far) : judgement::give_up;
  } catch (...) {
    return judgement::give_up;
  }
}

class progress_server final : public wire::Progress::Server {
public:
  explicit progress_server(collation how) : how_(std::move(how)) {}
  kj::Promise<void> changed(ChangedContext context) override {
    context.getResults().setJudgement(
        static_cast<wire::Judgement>(judged(how_, report_of(context.getParams().getSoFar()))));
    return kj::READY_NOW;
  }

private:
  const collation how_;
};

}  // namespace

void engine::send_group_calls(const place_ptr& to) {
  if (!written()) return;
  const auto now = timer_.now();
  for (const auto id : resting_) {
    const auto known = operations_.find(id);
    if (known == operations_.end()) continue;
    auto& o = known->second;
    if (o.all && !o.settle && !o.open_copy && o.retry_at <= now && (!o.deadline || *o.deadline > now)) send_group_call(o, to);
  }
  while (!waiting_.empty() && waiting_.front().all && numbers_left() > 0) {
    give_number(waiting_.front());
    const auto id = waiting_.front().id;
    auto& o = operations_.emplace(id, std::move(waiting_.front())).first->second;
    waiting_.pop_front();
    if (!written()) return;
    send_group_call(o, to);
  }
}

void engine::send_group_call(operation& o, const place_ptr& to) {
  if (!to->open) return;
  const auto left = std::max(*o.deadline - timer_.now(), 1 * kj::MILLISECONDS);
  o.open_copy = true;
  ++o.attempts;
  auto request = to->open->gateway.collectRequest();
  request.setGroup(how_.group.c_str());
  name_session(request.getSession(), session_of(o));
  auto asked = request.getRequest();
  asked.setNumber(o.number);
  asked.setAcknowledgedBelow(acknowledged_below(o));
  asked.setPayload({reinterpret_cast<const kj::byte*>(o.payload.data()), o.payload.size()});
  request.setWithinMs(static_cast<std::uint64_t>(left / kj::MILLISECONDS));
  request.setCollate(static_cast<wire::Collate>(o.all->how));
  request.setCount(o.all->count);
  if (o.all->how == collate::custom) request.setProgress(kj::heap<progress_server>(*o.all));
  const auto id = o.id;
  const auto* through = to->open.get();
  auto answered = request.send().attach(places_.await(*to));
  tasks_.add(timer_.timeoutAfter(left + answer_grace, kj::mv(answered))
                 .then(
                     [this, to, id](::capnp::Response<wire::Gateway::CollectResults>&& r) {
                       places_.worked(*to);
                       auto c = r.getCollected();
                       if (const auto known = operations_.find(id); known != operations_.end()) {
                         auto& mine = known->second;
                         mine.report = report_of(c);
                         // Nothing will change any more, and it is for the caller to say whether that is enough.
                         if (mine.report.end == call_end::unmet && mine.all->how == collate::custom &&
                             judged(*mine.all, mine.report) == judgement::enough)
                           mine.report.end = call_end::met;
                       }
                       take(*to, id, {c.getAnswer()});
                     },
                     [this, to, id, through](kj::Exception&&) {
                       if (to->open.get() == through) places_.failed(to, true);
                       no_answer(id);
                     }));
}

}  // namespace cohort::client_detail
