#include "transport/client/places.hpp"

#include "transport/client/wires.hpp"

#include <algorithm>
#include <utility>

namespace cohort::client_detail {

namespace {
constexpr auto look_again = 200 * kj::MILLISECONDS;
constexpr std::size_t places_max = 256;
constexpr std::size_t message_bytes_max = 64u << 20;
}  // namespace

places::places(const client_options& how, kj::AsyncIoContext& io, std::mt19937_64& random)
    : how_(how), network_(io.provider->getNetwork()), timer_(io.provider->getTimer()), random_(random), tasks_(quiet_) {
  for (const auto& g : how.gateways) add(g);
  turn_ = random_();  // so that many clients do not all begin with the same member
}

void places::add(const std::string& address) {
  if (all_.size() >= places_max || std::ranges::any_of(all_, [&](auto& p) { return p->address == address; })) return;
  auto p = std::make_shared<place>();
  p->address = address;
  all_.push_back(std::move(p));
}

place_ptr places::choose(const place* but) {
  const auto now = timer_.now();
  place_ptr best, to_connect, outside;
  bool may_come = false;  // somebody who has a part, or perhaps
  for (std::size_t i = 0; i < all_.size(); ++i) {
    auto& p = all_[(turn_ + i) % all_.size()];
    if (p.get() == but) continue;
    if (p->of_group == part::none) {
      if (!outside || p->open) outside = p;
      continue;
    }
    may_come = may_come || p->connecting || p->of_group == part::has;
    if (p->closed_until > now) continue;
    if (!p->open) {
      if (!p->connecting && (!to_connect || p->node == leader_)) to_connect = p;
      continue;
    }
    if (!best || (!leader_.empty() && p->node == leader_)) best = p;
  }
  const bool have_leader = best && best->node == leader_;
  if (to_connect && !have_leader) connect(to_connect);
  if (best && (doubtful_ || !have_leader) && now - looked_ > look_again) {
    looked_ = now;
    doubtful_ = false;
    tasks_.add(look(best));
  }
  if (best || !outside) return best;
  if (outside->open && now - looked_ > look_again) tasks_.add(look(outside));  // it may have a part by now, or know of others
  if (!outside->open && !outside->connecting && outside->closed_until <= now) connect(outside);
  return may_come || to_connect || !outside->open ? nullptr : outside;
}

bool places::has_no_part(place& p) {
  const bool is_news = std::exchange(p.of_group, part::none) != part::none;
  return is_news || std::ranges::any_of(all_, [](const place_ptr& other) {
    return other->of_group == part::has || (other->of_group == part::unknown && other->failures == 0);
  });
}

kj::Promise<void> places::changed() {
  auto paf = kj::newPromiseAndFulfiller<void>();
  waiting_.push_back(kj::mv(paf.fulfiller));
  return kj::mv(paf.promise);
}

void places::tell() {
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& w : waiting) w->fulfill();
}

void places::failed(const place_ptr& p, bool disconnect) {
  ++p->failures;
  if (leader_ == p->node) leader_.clear();
  if (p->failures >= how_.breaker_failures || disconnect) {
    // Doubles with every failure, up to the longest back-off; half of it by chance, so that clients do not come back together.
    const auto least = std::max<std::int64_t>(1, how_.back_off_min.count());
    const auto most = std::max(least, how_.back_off_max.count());
    const auto pause = std::min(most, least << std::min(p->failures, 16u));
    const auto part = pause / 2 + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(pause / 2 + 1));
    p->closed_until = timer_.now() + part * kj::MILLISECONDS;
  }
  if (disconnect && p->open) {
    // Not at once: the promise that found the failure may be one of its own.
    tasks_.add(kj::evalLater([gone = std::move(p->open)] {}));
    p->open = nullptr;
  }
  ++turn_;
  tell();
}

void places::connect(const place_ptr& p) {
  p->connecting = true;
  tasks_.add(timer_.timeoutAfter(duration_of(how_.connect_timeout), greet(p)).then(
    [this, p] {
      p->connecting = false;
      tell();
    },
    [this, p](kj::Exception&&) {
      p->connecting = false;
      failed(p, true);
    }));
}

kj::Promise<void> places::greet(place_ptr p) {
  return network_.parseAddress(p->address.c_str())
    .then([](kj::Own<kj::NetworkAddress>&& a) {
      auto connecting = a->connect();
      return connecting.attach(kj::mv(a));
    })
    .then([this, p](kj::Own<kj::AsyncIoStream>&& stream) {
      const int on = 1;
      stream->setsockopt(6 /* IPPROTO_TCP */, 1 /* TCP_NODELAY */, &on, sizeof on);
      ::capnp::ReaderOptions options;
      options.traversalLimitInWords = message_bytes_max / sizeof(::capnp::word);
      p->open = std::make_shared<wires>(kj::mv(stream), std::make_shared<line_use>(timer_), options);
      std::weak_ptr<wires> mine = p->open;
      tasks_.add(p->open->network.onDisconnect().then([this, p, mine] {
        if (auto still = mine.lock(); still && p->open == still) failed(p, true);
      }));
      return look(p);
    });
}

awaiting places::await(place& p) {
  keep_listening();
  return awaiting(p.open->use);
}

/// Nothing runs while nothing is awaited.
void places::keep_listening() {
  if (std::exchange(listening_, true)) return;
  listened_ = timer_.now();
  listen();
}

void places::listen() {
  const auto bound = duration_of(how_.silence_max), turn = std::max(bound / 4, 1 * kj::MILLISECONDS);
  tasks_.add(timer_.afterDelay(turn).then([this, bound, turn] {
    const auto now = timer_.now();
    const bool slept = now - listened_ > 2 * turn + 50 * kj::MILLISECONDS;  // this process: what came meanwhile is read next
    listened_ = now;
    bool any = false;
    for (const auto& p : std::vector<place_ptr>(all_)) {
      if (!p->open || p->open->use->awaited == 0) continue;
      any = true;
      auto& use = *p->open->use;
      if (slept) use.heard = now;
      // Behind what it has not taken yet no question can come to it: then it has the time of an attempt.
      const auto most = use.writes > 0 ? std::max(bound, duration_of(how_.attempt_timeout)) : bound;
      if (now - use.heard >= most)
        failed(p, true);
      else if (now - use.heard >= bound / 4 && !use.pinging)
        ping(p);
    }
    listening_ = any;
    if (any) listen();
  }));
}

/// Any answer will do, also that it knows no such question.
void places::ping(const place_ptr& p) {
  auto use = p->open->use;
  use->pinging = true;
  tasks_.add(p->open->gateway.pingRequest().send().then([use](::capnp::Response<wire::Gateway::PingResults>&&) { use->pinging = false; },
                                                        [use](kj::Exception&&) { use->pinging = false; }));
}

kj::Promise<void> places::look(place_ptr p) {
  if (!p->open) return kj::READY_NOW;
  looked_ = timer_.now();
  return p->open->gateway.discoverRequest().send().then([this, p](::capnp::Response<wire::Gateway::DiscoverResults>&& r) {
    p->node = r.getNode().cStr();
    p->of_group = part::none;
    for (auto g : r.getGroups()) {
      if (g.getName() != how_.group.c_str()) continue;
      p->of_group = part::has;
      if (g.getPrimary()) leader_ = g.getLeader().cStr();
    }
    for (auto g : r.getGateways()) add(g.getAddress().cStr());
    for (auto g : r.getGateways())
      for (auto& known : all_)
        if (known->address == g.getAddress().cStr()) known->node = g.getName().cStr();
  });
}

}  // namespace cohort::client_detail
