#include "transport/gateway/connection.hpp"

#include "transport/gateway/collecting.hpp"
#include "transport/gateway/writing.hpp"

#include <capnp/message.h>
#include <capnp/rpc-twoparty.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

namespace cohort::transport::gateway {
namespace {

constexpr std::size_t requests_per_call_max = 1024;

/// Counts what leaves, so that a client that reads nothing is noticed.
class counted_stream final : public kj::AsyncIoStream {
public:
  counted_stream(kj::Own<kj::AsyncIoStream> inner, std::shared_ptr<connection_use> use) : inner_(kj::mv(inner)), use_(std::move(use)) {}
  kj::Promise<size_t> tryRead(void* buffer, size_t min, size_t max) override { return inner_->tryRead(buffer, min, max); }
  kj::Promise<void> write(const void* buffer, size_t size) override {
    ++use_->writes;
    return inner_->write(buffer, size).then([use = use_, size] { use->taken(size); });
  }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override {
    std::size_t size = 0;
    for (auto& p : pieces) size += p.size();
    ++use_->writes;
    return inner_->write(pieces).then([use = use_, size] { use->taken(size); });
  }
  kj::Promise<void> whenWriteDisconnected() override { return inner_->whenWriteDisconnected(); }
  void shutdownWrite() override { inner_->shutdownWrite(); }
  void abortRead() override { inner_->abortRead(); }

private:
  kj::Own<kj::AsyncIoStream> inner_;
  std::shared_ptr<connection_use> use_;
};

answer refusal(reason because, bool retry, std::string why) {
  answer a;
  a.because = because;
  a.retry = retry;
  a.why = std::move(why);
  return a;
}

session_key key_of(wire::Session::Reader s) { return {s.getIdHigh(), s.getIdLow(), s.getBirth()}; }

std::span<const std::byte> bytes_of(::capnp::Data::Reader d) { return {reinterpret_cast<const std::byte*>(d.begin()), d.size()}; }

std::chrono::milliseconds bounded_ms(std::uint64_t value) {
  return std::chrono::milliseconds(std::min<std::uint64_t>(value, 3'600'000ull * 24 * 7));
}

/// The answers of one RPC, which is answered when all are there.
struct gathering {
  gathering(std::size_t count, kj::Own<kj::PromiseFulfiller<void>> f, std::shared_ptr<shared_state> s, std::shared_ptr<connection_use> u,
            std::size_t b)
      : answers(count), left(count), done(kj::mv(f)), shared(std::move(s)), use(std::move(u)), bytes(b), asked(shared->timer.now()) {
    use->requests += count;
    use->bytes += bytes;
    add(shared->counts.open_requests, count);
  }
  ~gathering() {
    use->bytes -= bytes;
    drop(shared->counts.open_requests, left);
  }
  gathering(const gathering&) = delete;
  gathering& operator=(const gathering&) = delete;

  std::vector<answer> answers;
  std::size_t left;
  kj::Own<kj::PromiseFulfiller<void>> done;
  std::shared_ptr<shared_state> shared;
  std::shared_ptr<connection_use> use;
  std::size_t bytes;
  kj::TimePoint asked;

  void take(std::size_t i, answer&& a) {
    count_answer(shared->counts, a, shared->timer.now() - asked);
    answers[i] = std::move(a);
    --use->requests;
    drop(shared->counts.open_requests);
    if (--left == 0) done->fulfill();
  }
};

class stream_server final : public wire::Stream::Server {
public:
  stream_server(std::shared_ptr<shared_state> shared, std::shared_ptr<connection_use> use, std::unique_ptr<subscription> from)
      : shared_(std::move(shared)), use_(std::move(use)), state_(std::make_shared<stream_state>()) {
    state_->from = std::move(from);
    ++use_->subscriptions;
    add(shared_->counts.streams);
  }
  ~stream_server() noexcept {
    --use_->subscriptions;
    drop(shared_->counts.streams);
  }

  kj::Promise<void> next(NextContext context) override {
    const auto most = std::clamp<std::uint64_t>(context.getParams().getBytesMax(), 1, 1u << 20);
    return wait(context, static_cast<std::size_t>(most));
  }

private:
  kj::Promise<void> wait(NextContext context, std::size_t bytes_max) {
    auto events = state_->from->take(bytes_max);
    if (!events.empty()) {
      auto out = context.getResults().initEvents(static_cast<unsigned>(events.size()));
      for (unsigned i = 0; i < events.size(); ++i) {
        put(out[i], *events[i]);
        if (auto* d = std::get_if<delivery_event>(events[i].get())) use_->answered += d->payload.size();
      }
      return kj::READY_NOW;
    }
    if (state_->ready && state_->ready->isWaiting())
      KJ_FAIL_REQUIRE("one `next` at a time: the one before still waits");
    auto paf = kj::newPromiseAndFulfiller<void>();
    state_->ready = kj::mv(paf.fulfiller);
    std::erase_if(shared_->waiting, [&](auto& w) { return w.expired() || w.lock() == state_; });
    shared_->waiting.push_back(state_);
    return paf.promise.then([this, context, bytes_max]() mutable { return wait(context, bytes_max); });
  }

  std::shared_ptr<shared_state> shared_;
  std::shared_ptr<connection_use> use_;
  std::shared_ptr<stream_state> state_;
};

class gateway_server final : public wire::Gateway::Server {
public:
  gateway_server(std::shared_ptr<shared_state> shared, std::shared_ptr<connection_use> use)
      : shared_(std::move(shared)), use_(std::move(use)) {}

  kj::Promise<void> discover(DiscoverContext context) override {
    if (!admit(1, 0)) KJ_FAIL_REQUIRE("more than one client may ask for; wait");
    const auto all = shared_->behind.look();
    auto out = context.getResults();
    out.setNode(all.node.c_str());
    out.setCluster(all.cluster.c_str());
    auto groups = out.initGroups(static_cast<unsigned>(all.groups.size()));
    for (unsigned i = 0; i < all.groups.size(); ++i) {
      auto& g = all.groups[i];
      groups[i].setName(g.name.c_str());
      groups[i].setLeader(g.leader.c_str());
      groups[i].setView(g.view);
      groups[i].setApplied(g.applied);
      groups[i].setPrimary(g.primary);
      groups[i].setSessions(g.sessions);
      put(groups[i].initMembers(static_cast<unsigned>(g.members.size())), g.members);
    }
    auto places = out.initGateways(static_cast<unsigned>(all.gateways.size()));
    for (unsigned i = 0; i < all.gateways.size(); ++i) {
      places[i].setName(all.gateways[i].name.c_str());
      places[i].setAddress(all.gateways[i].address.c_str());
    }
    use_->answered += answer_overhead * (1 + all.groups.size());
    return kj::READY_NOW;
  }

  kj::Promise<void> open(OpenContext context) override {
    auto p = context.getParams();
    request r;
    r.what = request::kind::open;
    r.group = p.getGroup().cStr();
    r.session = key_of(p.getSession());
    r.owner = use_->owner;
    r.lifetime = bounded_ms(p.getLifetimeMs());
    const bool fresh = r.session.birth == 0;
    return one(r, [context, fresh, shared = shared_](const answer& a) mutable {
      if (fresh && a.what == verdict::replied) add(shared->counts.sessions_opened_total);
      put(context.getResults().initAnswer(), a);
    });
  }

  kj::Promise<void> close(CloseContext context) override {
    auto p = context.getParams();
    request r;
    r.what = request::kind::close;
    r.group = p.getGroup().cStr();
    r.session = key_of(p.getSession());
    return one(r, [context, shared = shared_](const answer& a) mutable {
      if (a.what == verdict::replied) add(shared->counts.sessions_closed_total);
      put(context.getResults().initAnswer(), a);
    });
  }

  kj::Promise<void> query(QueryContext context) override {
    auto p = context.getParams();
    request r;
    r.what = request::kind::query;
    r.group = p.getGroup().cStr();
    r.payload = bytes_of(p.getQuestion());
    r.how = static_cast<read_kind>(std::min<unsigned>(static_cast<unsigned>(p.getHow()), static_cast<unsigned>(read_kind::local)));
    r.seen = p.getSeen();
    r.max_age = bounded_ms(p.getMaxAgeMs());
    return one(r, [context](const answer& a) mutable { put(context.getResults().initAnswer(), a); });
  }

  kj::Promise<void> call(CallContext context) override {
    auto p = context.getParams();
    auto list = p.getRequests();
    const std::string group = p.getGroup().cStr(), order = p.getOrder().cStr();
    std::size_t bytes = 0;
    for (auto each : list) bytes += each.getPayload().size();
    KJ_REQUIRE(list.size() <= requests_per_call_max, "more than 1024 requests in one call; send several");
    if (list.size() == 0) return kj::READY_NOW;
    if (!admit(list.size(), bytes)) {
      auto answers = context.getResults().initAnswers(list.size());
      const auto no = over_limit();
      for (auto each : answers) put(each, no);
      use_->answered += list.size() * size_of(no);
      return kj::READY_NOW;
    }
    auto paf = kj::newPromiseAndFulfiller<void>();
    auto all = std::make_shared<gathering>(list.size(), kj::mv(paf.fulfiller), shared_, use_, bytes);
    request r;
    r.group = group;
    r.order = order;
    r.session = key_of(p.getSession());
    r.within = bounded_ms(p.getWithinMs());
    for (unsigned i = 0; i < list.size(); ++i) {
      auto each = list[i];
      r.number = each.getNumber();
      r.acknowledged_below = each.getAcknowledgedBelow();
      r.payload = bytes_of(each.getPayload());
      r.what = r.number == 0 ? request::kind::submit : each.getCancel() ? request::kind::cancel : request::kind::call;
      shared_->behind.ask(r, [all, i](answer&& a) { all->take(i, std::move(a)); });
    }
    shared_->flush_soon();
    return paf.promise.then([context, all, use = use_]() mutable {
      auto answers = context.getResults().initAnswers(static_cast<unsigned>(all->answers.size()));
      for (unsigned i = 0; i < all->answers.size(); ++i) {
        put(answers[i], all->answers[i]);
        use->answered += size_of(all->answers[i]);
      }
    });
  }

  kj::Promise<void> collect(CollectContext context) override {
    auto p = context.getParams();
    auto asked = p.getRequest();
    const auto bytes = asked.getPayload().size();
    if (!admit(1, bytes)) {
      put(context.getResults().initCollected().initAnswer(), over_limit());
      return kj::READY_NOW;
    }
    request r;
    r.group = p.getGroup().cStr();
    r.order = p.getOrder().cStr();
    r.session = key_of(p.getSession());
    r.within = bounded_ms(p.getWithinMs());
    r.number = asked.getNumber();
    r.acknowledged_below = asked.getAcknowledgedBelow();
    r.payload = bytes_of(asked.getPayload());
    r.what = r.number == 0 ? request::kind::submit : request::kind::call;
    const auto how = static_cast<collate>(std::min<unsigned>(static_cast<unsigned>(p.getCollate()), static_cast<unsigned>(collate::custom)));
    auto c = std::make_shared<collecting>(shared_, use_, bytes);
    if (p.hasProgress()) c->progress = p.getProgress();
    auto paf = kj::newPromiseAndFulfiller<void>();
    c->done = kj::mv(paf.fulfiller);
    const std::weak_ptr<collecting> mine = c;
    c->call = shared_->behind.ask_all(
      r, how, p.getCount(),
      [mine](collected&& all) {
        if (auto still = mine.lock()) still->finish(std::move(all));
      },
      [mine](const collected& so_far) {
        if (auto still = mine.lock()) still->tell(so_far, still);
      });
#if CAPNP_VERSION < 1'000'000
    context.allowCancellation();  // by a client that drops it, or is gone: then it is given up
#endif
    shared_->flush_soon();
    return paf.promise.then([context, c]() mutable {
      put(context.getResults().initCollected(), *c->result);
      c->use->answered += size_of(*c->result);
    });
  }

  kj::Promise<void> ping(PingContext) override {
    if (!shared_->take_tokens(use_->address, 1)) KJ_FAIL_REQUIRE("more than one client may ask for; wait");
    return kj::READY_NOW;
  }

  kj::Promise<void> watch(WatchContext context) override {
    answer why;
    std::unique_ptr<subscription> from;
    if (use_->subscriptions < shared_->bounds.subscriptions_per_connection_max)
      from = shared_->behind.watch(context.getParams().getGroup().cStr(), why);
    else
      why = refusal(reason::over_limit, true, "too many streams on this connection; drop one");
    if (from)
      context.getResults().setStream(kj::heap<stream_server>(shared_, use_, std::move(from)));
    else
      put(context.getResults().initAnswer(), why);
    return kj::READY_NOW;
  }

private:
  static answer over_limit() {
    return refusal(reason::over_limit, true, "more requests, or bytes, than one client may have open or send in a second; wait for answers");
  }

  bool admit(std::size_t requests, std::size_t bytes) {
    auto& use = *use_;
    const auto& most = shared_->bounds;
    // What an answer takes on the wire is estimated, and rather too high: where nothing waits to be written, nothing is owed.
    if (use.writes == 0) use.answered = use.written;
    const auto not_taken = use.answered > use.written ? use.answered - use.written : 0;
    if (not_taken > 2 * most.bytes_per_connection_max && use.hang_up && use.hang_up->isWaiting()) {
      use.hang_up->fulfill();
      add(shared_->counts.hung_up_total);
    }
    add(shared_->counts.requests_total, requests);
    const bool fits = use.requests + requests <= most.requests_per_connection_max &&
                      use.bytes + bytes + not_taken <= most.bytes_per_connection_max && shared_->take_tokens(use.address, requests);
    if (!fits) add(shared_->counts.refused[static_cast<std::size_t>(reason::over_limit)], requests);
    return fits;
  }

  kj::Promise<void> one(request& r, std::function<void(const answer&)> reply) {
    if (!admit(1, r.payload.size())) {
      reply(over_limit());
      return kj::READY_NOW;
    }
    auto paf = kj::newPromiseAndFulfiller<void>();
    auto all = std::make_shared<gathering>(1, kj::mv(paf.fulfiller), shared_, use_, r.payload.size());
    shared_->behind.ask(r, [all](answer&& a) { all->take(0, std::move(a)); });
    shared_->flush_soon();
    return paf.promise.then([all, use = use_, reply = std::move(reply)] {
      reply(all->answers[0]);
      use->answered += size_of(all->answers[0]);
    });
  }

  std::shared_ptr<shared_state> shared_;
  std::shared_ptr<connection_use> use_;
};

/// Everything that lives as long as the connection. Members are destroyed the other way round.
struct connection {
  connection(std::shared_ptr<shared_state> shared, kj::Own<kj::AsyncIoStream> inner, std::shared_ptr<connection_use> use,
             const ::capnp::ReaderOptions& options)
      : stream(kj::mv(inner), use), network(stream, ::capnp::rpc::twoparty::Side::SERVER, options),
        rpc(::capnp::makeRpcServer(network, kj::heap<gateway_server>(std::move(shared), std::move(use)))) {}
  counted_stream stream;
  ::capnp::TwoPartyVatNetwork network;
  ::capnp::RpcSystem<::capnp::rpc::twoparty::VatId> rpc;
};

}  // namespace

void count_answer(counters& c, const answer& a, kj::Duration took) {
  switch (a.what) {
    case verdict::replied: add(c.replied_total); break;
    case verdict::expired: add(c.expired_total); break;
    case verdict::unknown: add(c.unknown_total); break;
    case verdict::refused: add(c.refused[std::min(static_cast<std::size_t>(a.because), reason_count - 1)]); break;
  }
  const auto us = static_cast<double>(took / kj::MICROSECONDS);
  add(c.latency_us_total, static_cast<std::uint64_t>(us));
  std::size_t step = 0;
  for (auto most = first_latency_us; us > most && step + 1 < latency_steps; most *= 2) ++step;
  add(c.latency[step]);
}

void shared_state::flush_soon() {
  if (std::exchange(flush_wanted, true)) return;
  tasks->add(kj::evalLast([this] {
    flush_wanted = false;
    behind.flush();
    behind.collect();  // what was refused at once
  }));
}

bool shared_state::take_tokens(const std::string& address, std::size_t wanted) {
  const auto rate = bounds.requests_per_second_max;
  if (rate <= 0) return true;
  auto& share = addresses[address];
  const auto now = timer.now();
  const auto seconds = static_cast<double>((now - share.filled) / kj::MICROSECONDS) * 1e-6;
  share.tokens = std::min(rate, share.tokens + seconds * rate);
  share.filled = now;
  if (share.tokens < static_cast<double>(wanted)) return false;
  share.tokens -= static_cast<double>(wanted);
  return true;
}

kj::Promise<void> serve(std::shared_ptr<shared_state> shared, kj::Own<kj::AsyncIoStream> stream, std::string address) {
  auto use = std::make_shared<connection_use>();
  use->address = address;
  use->owner = std::hash<std::string>()(address) | 1;
  auto paf = kj::newPromiseAndFulfiller<void>();
  use->hang_up = kj::mv(paf.fulfiller);
  ::capnp::ReaderOptions options;
  options.traversalLimitInWords = shared->bounds.message_bytes_max / sizeof(::capnp::word);
  options.nestingLimit = 16;
  auto c = kj::heap<connection>(shared, kj::mv(stream), use, options);
  c->rpc.setFlowLimit(shared->bounds.bytes_per_connection_max / sizeof(::capnp::word));
  auto gone = c->network.onDisconnect();
  return gone.exclusiveJoin(kj::mv(paf.promise)).attach(kj::mv(c));
}

}  // namespace cohort::transport::gateway
