#include "transport/client/engine.hpp"
#include "transport/client/wires.hpp"

#include <algorithm>
#include <utility>

namespace cohort::client_detail {

namespace {
constexpr std::uint64_t events_bytes = 256u << 10;

wire::Read wire_of(freshness f) {
  switch (f) {
    case freshness::session: return wire::Read::SESSION;
    case freshness::bounded: return wire::Read::BOUNDED;
    case freshness::local: return wire::Read::LOCAL;
    case freshness::lease: return wire::Read::LEASE;
    case freshness::linearizable: break;
  }
  return wire::Read::LINEARIZABLE;
}

freshness fresh_of(wire::Read r) {
  for (const auto f : {freshness::session, freshness::bounded, freshness::local, freshness::lease})
    if (r == wire_of(f)) return f;
  return freshness::linearizable;
}

}

/// A read and its copies: the first good answer ends it.
struct engine::reading {
  std::vector<std::byte> question;
  read_options how;
  client::done then;
  kj::TimePoint end = kj::origin<kj::TimePoint>();
  unsigned attempts = 0;
  unsigned open = 0;
  std::string why = "no member can be reached";
};

void engine::end_read(reading& r, call_result&& result) {
  result.attempts = r.attempts;
  if (r.then) tell(std::exchange(r.then, {}), std::move(result));
}

void engine::read(std::vector<std::byte> question, const read_options& how, client::done then) {
  auto r = std::make_shared<reading>();
  r->question = std::move(question);
  r->how = how;
  r->then = std::move(then);
  r->end = timer_.now() + duration_of(how.within);
  ask_member(r);
}

void engine::ask_member(const std::shared_ptr<reading>& r) {
  if (!r->then) return;
  if (timer_.now() >= r->end) {
    if (r->open == 0) end_read(*r, {.what = call_outcome::refused, .why = r->why});
    return;
  }
  auto to = places_.choose();
  if (!to) return ask_again(r, 10 * kj::MILLISECONDS);
  send_copy(r, to);
  if (how_.hedge_after.count() <= 0) return;
  tasks_.add(timer_.afterDelay(duration_of(how_.hedge_after)).then([this, r, to] {
    if (!r->then || r->open != 1) return;  // answered, or a second copy is under way already
    if (auto other = places_.choose(to.get())) send_copy(r, other);
  }));
}

void engine::ask_again(const std::shared_ptr<reading>& r, kj::Duration pause) {
  if (r->open > 0) return;  // the other copy goes on
  tasks_.add(timer_.afterDelay(pause).then([this, r] { ask_member(r); }));
}

void engine::send_copy(const std::shared_ptr<reading>& r, const place_ptr& to) {
  ++r->attempts;
  ++r->open;
  auto request = to->open->gateway.queryRequest();
  request.setGroup(how_.group.c_str());
  request.setQuestion({reinterpret_cast<const kj::byte*>(r->question.data()), r->question.size()});
  request.setHow(wire_of(r->how.how));
  request.setSeen(seen_);
  request.setMaxAgeMs(static_cast<std::uint64_t>(r->how.max_age.count()));
  const auto patience = std::min(duration_of(how_.attempt_timeout), std::max(r->end - timer_.now(), 1 * kj::MILLISECONDS));
  const auto* through = to->open.get();
  auto answered = request.send().attach(places_.await(*to));
  tasks_.add(timer_.timeoutAfter(patience, kj::mv(answered)).then(
    [this, r, to](::capnp::Response<wire::Gateway::QueryResults>&& response) {
      --r->open;
      auto a = response.getAnswer();
      if (a.getVerdict() == wire::Verdict::REPLIED) {
        places_.worked(*to);
        call_result result;
        result.what = call_outcome::replied;
        const auto bytes = bytes_of(a.getPayload());
        result.reply.assign(bytes.begin(), bytes.end());
        result.node = to->node;
        result.served = fresh_of(a.getRead());
        result.position = a.getPosition();
        result.index = a.getIndex();
        result.view = a.getView();
        result.time = std::chrono::microseconds(a.getTimeUs());
        seen_ = std::max(seen_, result.index);
        return end_read(*r, std::move(result));
      }
      r->why = a.getWhy().cStr();
      if (a.getReason() == wire::Reason::NO_GROUP && places_.has_no_part(*to)) return ask_again(r, 1 * kj::MILLISECONDS);
      if (!a.getRetry()) return end_read(*r, {.what = call_outcome::refused, .why = r->why, .node = to->node});
      places_.doubt();
      places_.failed(to, false);
      ask_again(r, 20 * kj::MILLISECONDS);
    },
    [this, r, to, through](kj::Exception&& e) {
      --r->open;
      r->why = e.getDescription().cStr();
      if (to->open.get() == through) places_.failed(to, true);
      ask_again(r, 1 * kj::MILLISECONDS);
    }));
}

void engine::watch(std::function<void(const watch_event&)> on) {
  on_event_ = std::move(on);
  const auto generation = ++watch_generation_;
  if (on_event_) tasks_.add(watch_on(generation));
}

/// One member after the other, for as long as it is wanted.
kj::Promise<void> engine::watch_on(std::uint64_t generation) {
  if (generation != watch_generation_) return kj::READY_NOW;
  return watch_once(generation)
    .then([] {}, [](kj::Exception&&) {})
    .then([this] { return timer_.afterDelay(duration_of(how_.back_off_min)); })
    .then([this, generation] { return watch_on(generation); });
}

kj::Promise<void> engine::watch_once(std::uint64_t generation) {
  auto at = places_.choose();
  if (!at) return kj::READY_NOW;
  auto request = at->open->gateway.watchRequest();
  request.setGroup(how_.group.c_str());
  return timer_.timeoutAfter(duration_of(how_.attempt_timeout), request.send())
    .then([this, at, generation](::capnp::Response<wire::Gateway::WatchResults>&& r) -> kj::Promise<void> {
      if (generation != watch_generation_ || !on_event_) return kj::READY_NOW;
      watch_event e;
      e.node = at->node;
      const auto answer = r.getAnswer();
      if (answer.getVerdict() != wire::Verdict::REPLIED) {
        if (answer.getRetry() || (answer.getReason() == wire::Reason::NO_GROUP && places_.has_no_part(*at))) return kj::READY_NOW;
        ++watch_generation_;
        e.what = watch_event::kind::refused;
        e.why = answer.getWhy().cStr();
        tell(std::exchange(on_event_, {}), e);
        return kj::READY_NOW;
      }
      e.what = watch_event::kind::connected;
      tell(on_event_, e);
      return next_events(at, {r.getStream()}, generation);
    });
}

kj::Promise<void> engine::next_events(place_ptr at, gateway_stream stream, std::uint64_t generation) {
  auto request = stream.client.nextRequest();
  request.setBytesMax(events_bytes);
  if (!at->open) return KJ_EXCEPTION(DISCONNECTED, "the connection of the watch broke");
  auto events = request.send().attach(places_.await(*at));
  return events.then([this, at, stream, generation](::capnp::Response<wire::Stream::NextResults>&& r) mutable -> kj::Promise<void> {
    for (auto each : r.getEvents()) {
      if (generation != watch_generation_ || !on_event_) return kj::READY_NOW;
      watch_event e;
      e.node = at->node;
      if (each.isMissed()) {
        e.what = watch_event::kind::missed;
        e.missed = each.getMissed();
      } else if (each.isDelivery()) {
        auto d = each.getDelivery();
        e.what = watch_event::kind::delivery;
        e.payload = bytes_of(d.getPayload());
        e.order = d.getOrder().cStr();
        e.position = d.getPosition();
        e.index = d.getIndex();
        e.view = d.getView();
        e.sender = d.getSender().cStr();
        e.time = std::chrono::microseconds(d.getTimeUs());
      } else if (each.isView()) {
        auto v = each.getView();
        e.what = watch_event::kind::view;
        e.view = v.getNumber();
        e.index = v.getIndex();
        e.time = std::chrono::microseconds(v.getTimeUs());
        for (auto m : v.getMembers())
          if (m.getActive()) e.members.emplace_back(m.getName().cStr());
        for (auto c : v.getChanges()) e.changes.emplace_back(c.cStr());
      }
      tell(on_event_, e);
    }
    return next_events(at, stream, generation);
  });
}

}  // namespace cohort::client_detail
