#include "samples/kv/server.hpp"

#include "samples/kv/keyspace.hpp"

#include "transport/address.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace kv {

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds clock_pause =
    100ms;                               ///< between clock messages: what expires in between goes together
constexpr auto clock_patience = 1000;    ///< ms until a follower submits one itself
constexpr std::int64_t longest_sleep = 3'600'000;  ///< ms; wall clocks jump
constexpr int accepts_per_pass = 64;

std::string text_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = {};
  cohort::transport::address result;
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    result.port = ntohs(in.sin_port);
  } else if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    result.port = ntohs(in.sin6_port);
  }
  result.host = text;
  return to_string(result);
}

std::int64_t wall_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

server::server(cohort::transport::loop& events, server_options options, const backend_factory& make_backend,
               std::shared_ptr<expiry_signal> expiry)
    : events_(events), options_(std::move(options)),
      gateway_timer_(events, [this] { gateway_->tick(events_.now()); }),
      housekeeping_timer_(events, [this] { housekeeping(); }), expiry_timer_(events, [this] { expiry_due(); }),
      accept_timer_(events, [this] {
        if (!accepting_ && listener_ >= 0) events_.modify(listener_, EPOLLIN), accepting_ = true;
      }),
      expiry_(std::move(expiry)) {
  auto& known = options_.parameters;
  known.insert(known.end(), {{"databases", "1"},
                             {"maxclients", std::to_string(options_.clients_max)},
                             {"maxmemory", "0"},
                             {"proto-max-bulk-len", std::to_string(options_.gateway.message_bytes_max)},
                             {"save", ""},
                             {"timeout", "0"}});
  std::sort(known.begin(), known.end());
  listen();
  backend_ = make_backend([loop = &events_, box = mailbox_, this] {
    loop->post([box, this] {
      if (box->alive) collect();
    });
  });
  gateway_ = std::make_unique<gateway>(options_.gateway, *backend_, *this);
  hook_ = events_.add_pass_hook(cohort::transport::loop::order_drain, [this] { end_of_pass(); });
  expiry_->attach([loop = &events_, box = mailbox_, this] {
    if (box->due_posted.exchange(true)) return;
    loop->post([box, this] {
      box->due_posted = false;
      if (box->alive) expiry_changed();
    });
  });
  expiry_changed();
}

server::~server() {
  expiry_->detach();
  mailbox_->alive = false;
  events_.remove_pass_hook(hook_);
  connections_.clear();
  if (listener_ >= 0) {
    events_.remove(listener_);
    close(listener_);
  }
  backend_.reset();
}

// ---- listening ------------------------------------------------------------------------------------------------------

void server::listen() {
  const auto fail = [&](const std::string& why) {
    throw server_error("cannot listen on " + options_.listen + " for Redis clients: " + why);
  };
  cohort::transport::address where;
  if (const auto problem = parse_address(options_.listen, where); !problem.empty()) fail(problem);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int code = getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found); code != 0)
    fail("the host name cannot be resolved (" + std::string(gai_strerror(code)) + "); use an address of this machine");
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> release(found, &freeaddrinfo);
  listener_ = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int one = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (listener_ < 0 || bind(listener_, found->ai_addr, found->ai_addrlen) != 0 || ::listen(listener_, 1024) != 0) {
    const int code = errno;
    if (listener_ >= 0) close(std::exchange(listener_, -1));
    fail(std::string(strerror(code)) +
         (code == EADDRINUSE ? "; another program uses this port: stop it, or choose another `redis` in [kv]"
                             : "; choose an address of this machine for `redis` in [kv]"));
  }
  sockaddr_storage bound{};
  socklen_t size = sizeof bound;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size);
  port_ = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(bound).sin6_port
                                            : reinterpret_cast<sockaddr_in&>(bound).sin_port);
  events_.add(listener_, EPOLLIN, acceptor_);
  accepting_ = true;
}

void server::accept_some() {
  for (int i = 0; i < accepts_per_pass; ++i) {
    sockaddr_storage peer{}, own{};
    socklen_t size = sizeof peer;
    const int fd = accept4(listener_, reinterpret_cast<sockaddr*>(&peer), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        // The client stays in the queue; asking again at once would only burn the processor.
        events_.modify(listener_, 0);
        accepting_ = false;
        accept_timer_.set_after(100ms);
      }
      return;
    }
    size = sizeof own;
    getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
    admit(fd, text_of(peer), text_of(own));
  }
}

void server::admit(int fd, const std::string& address, const std::string& local) {
  if (connections_.size() >= options_.clients_max || stopping_) {
    ++rejected_;
    constexpr std::string_view text = "-ERR max number of clients reached\r\n";
    [[maybe_unused]] const auto ignored = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    close(fd);
    return;
  }
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  ++accepted_;
  const auto id = next_id_++;
  connections_.emplace(id, std::make_unique<connection>(fd, id, address, local, *this));
  if (!housekeeping_timer_.armed()) housekeeping_timer_.set_after(1s);
}

void server::stop() {
  stopping_ = true;
  for (auto& [id, c] : connections_) {
    c->abandon();
    touched(*c);
  }
}

// ---- a pass ---------------------------------------------------------------------------------------------------------

void server::touched(connection& c) {
  if (std::exchange(c.touched, true)) return;
  touched_.push_back(&c);
}

void server::collect() { gateway_->collect(events_.now()); }

void server::answered(command_place place, std::string_view reply) {
  if (place.connection == 0) return;
  if (const auto found = connections_.find(place.connection); found != connections_.end())
    found->second->answered(place.slot, reply);
}

void server::end_of_pass() {
  // What could not be taken because too much was in flight, or had to be sent again, goes on when that is over.
  const bool full = gateway_->full(), troubled = gateway_->troubled();
  if ((was_full_ && !full) || (was_troubled_ && !troubled))
    for (auto& [id, c] : connections_) touched(*c);
  std::swap(touched_, touched_now_);
  for (auto* c : touched_now_) {
    c->touched = false;
    c->proceed();
    total_bytes_ += c->memory() - std::exchange(c->accounted, c->memory());
  }
  if (total_bytes_ > options_.total_bytes_max) limit_memory();
  was_full_ = gateway_->full();
  was_troubled_ = gateway_->troubled();
  gateway_->flush(events_.now());
  if (!touched_now_.empty()) bury_dead();
  touched_now_.clear();
  gateway_timer_.set(was_full_ ? std::min(gateway_->deadline(), events_.now() + 5ms) : gateway_->deadline());
}

void server::bury_dead() {
  for (auto*& c : touched_now_)
    if (c->dead()) {
      total_bytes_ -= c->accounted;
      std::erase(touched_, c);
      connections_.erase(c->id());
      c = nullptr;
    }
}

/// The connection that holds most is closed: better one client than the node, and with it all of them.
void server::limit_memory() {
  connection* largest = nullptr;
  for (auto& [id, c] : connections_)
    if (!c->dead() && (largest == nullptr || c->memory() > largest->memory())) largest = c.get();
  if (largest == nullptr) return;
  largest->abandon();
  touched(*largest);
}

void server::housekeeping() {
  for (auto& [id, c] : connections_) {
    c->shrink();
    total_bytes_ += c->memory() - std::exchange(c->accounted, c->memory());
  }
  if (!connections_.empty()) housekeeping_timer_.set_after(1s);
}

// ---- expiry ---------------------------------------------------------------------------------------------------------

void server::expiry_changed() {
  const auto due = expiry_->due_ms();
  if (due == never_due) return expiry_timer_.cancel();
  // A millisecond later, because a key is gone when its time has passed, not when it has come.
  const auto left = std::clamp<std::int64_t>(due - std::min(due, wall_ms()) + 1, clock_pause.count(), longest_sleep);
  expiry_timer_.set_after(std::chrono::milliseconds(left));
}

void server::expiry_due() {
  const auto due = expiry_->due_ms();
  const auto now = wall_ms();
  if (due == never_due || stopping_) return;
  if (due >= now) return expiry_changed();
  if (backend_->status().role == "leader" || (overdue_ms_ == due && now - due > clock_patience)) {
    encode_clock(gateway_->ordered({}, true));
    expiry_timer_.set_after(clock_pause);
  } else {
    overdue_ms_ = due;
    expiry_timer_.set_after(std::chrono::milliseconds(clock_patience));
  }
}

}  // namespace kv
