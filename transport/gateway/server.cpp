#include "transport/gateway/connection.hpp"

#include <kj/async-unix.h>

#include <sys/socket.h>
#include <netdb.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>
#include <utility>

namespace cohort::transport::gateway {
namespace {

/// Host of the other end, without its port.
std::string peer_of(kj::AsyncIoStream& stream) {
  sockaddr_storage storage{};
  kj::uint length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  stream.getpeername(address, &length);
  char host[NI_MAXHOST] = "?";
  ::getnameinfo(address, length, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
  return host;
}

/// Tasks whose failure is no client's: something of ours is wrong.
struct noticed final : kj::TaskSet::ErrorHandler {
  explicit noticed(wake_up& w) : wakes(w) {}
  void taskFailed(kj::Exception&& e) override { fail(e); }
  void fail(const kj::Exception& e) {
    if (e.getType() == kj::Exception::Type::DISCONNECTED) return;  // a connection broke: nobody is left to be told
    why = e.getDescription().cStr();
    wakes.tell();
  }
  wake_up& wakes;
  std::string why;
};

}  // namespace

struct server::impl {
  impl(std::string where, const limits& l, service& s, wake_up& w, server_trouble t)
      : bounds(l), behind(s), wakes(w), trouble(std::move(t)) {
    std::promise<std::string> started;
    auto ready = started.get_future();
    thread = std::thread([this, where = std::move(where), &started] { run(where, &started); });
    if (auto trouble = ready.get(); !trouble.empty()) {
      thread.join();
      throw std::runtime_error(trouble);
    }
  }
  ~impl() {
    stopping.store(true, std::memory_order_release);
    wakes.tell();
    thread.join();
  }

  void run(const std::string& where, std::promise<std::string>* started) {
    for (unsigned failures = 0;;) {
      const auto began = std::chrono::steady_clock::now();
      const auto why = serve_clients(where, started);
      if (started) return started->set_value("gateway " + where + ": " + why);
      if (why.empty()) return;
      behind.forget();
      add(counts.failures_total);
      for (auto* now : {&counts.connections, &counts.streams, &counts.open_requests}) now->store(0, std::memory_order_relaxed);
      failures = std::chrono::steady_clock::now() - began < std::chrono::minutes(1) ? failures + 1 : 1;
      trouble(why, failures >= failures_max);
      if (failures >= failures_max || !pause(std::chrono::milliseconds(50u << failures))) return;
    }
  }

  /// False if the server is to end.
  bool pause(std::chrono::milliseconds span) {
    const auto end = std::chrono::steady_clock::now() + span;
    while (std::chrono::steady_clock::now() < end) {
      if (stopping.load(std::memory_order_acquire)) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  /// Until the server ends: empty; or until it failed: why. `started` is told, and null then, once clients can come.
  std::string serve_clients(const std::string& where, std::promise<std::string>*& started) {
    try {
      auto io = kj::setupAsyncIo();
      auto listener = io.provider->getNetwork().parseAddress(where.c_str()).wait(io.waitScope)->listen();
      kj::UnixEventPort::FdObserver woken(io.unixEventPort, wakes.readable(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
      auto state = std::make_shared<shared_state>(bounds, behind, counts, io);
      noticed failed(wakes);
      kj::TaskSet tasks(failed);
      state->tasks = &tasks;
      auto accepting = accept_all(*listener, state, tasks).eagerlyEvaluate([&failed](kj::Exception&& e) { failed.fail(e); });
      if (started) std::exchange(started, nullptr)->set_value("");
      for (;;) {
        woken.whenBecomesReadable().wait(io.waitScope);
        wakes.taken();
        if (stopping.load(std::memory_order_acquire)) return {};
        if (!failed.why.empty()) return failed.why;
        behind.collect();
        std::vector<std::weak_ptr<stream_state>> waiting;
        waiting.swap(state->waiting);
        for (auto& each : waiting)
          if (auto stream = each.lock()) stream->ready->fulfill();
      }
    } catch (const kj::Exception& e) {
      return e.getDescription().cStr();
    } catch (const std::exception& e) {
      return e.what();
    } catch (...) {
      return "an exception that is no std::exception";
    }
  }

  kj::Promise<void> accept_all(kj::ConnectionReceiver& listener, std::shared_ptr<shared_state> state, kj::TaskSet& tasks) {
    return listener.accept().then([this, &listener, state, &tasks](kj::Own<kj::AsyncIoStream>&& stream) {
      admit(kj::mv(stream), state, tasks);
      return accept_all(listener, state, tasks);
    }, [this, &listener, state, &tasks](kj::Exception&&) {  // out of file descriptors, mostly: others may be closed meanwhile
      return state->timer.afterDelay(100 * kj::MILLISECONDS).then([this, &listener, state, &tasks] {
        return accept_all(listener, state, tasks);
      });
    });
  }

  void admit(kj::Own<kj::AsyncIoStream> stream, const std::shared_ptr<shared_state>& state, kj::TaskSet& tasks) {
    const int on = 1;
    stream->setsockopt(6 /* IPPROTO_TCP */, 1 /* TCP_NODELAY */, &on, sizeof on);
    const auto address = peer_of(*stream);
    auto& share = state->addresses[address];
    if (state->connections >= bounds.connections_max || share.connections >= bounds.connections_per_address_max) {
      return add(counts.turned_away_total);  // closes it
    }
    if (share.connections++ == 0 && share.tokens <= 0) share.tokens = bounds.requests_per_second_max;
    ++state->connections;
    add(counts.connections_total);
    add(counts.connections);
    auto over = [state, address] {
      --state->connections;
      drop(state->counts.connections);
      auto& mine = state->addresses[address];
      // An address that comes again at once gets no fresh rate.
      if (--mine.connections == 0 && state->addresses.size() > 4096) state->addresses.erase(address);
    };
    tasks.add(serve(state, kj::mv(stream), address).then([over] { over(); }, [over](kj::Exception&&) { over(); }));
  }

  const limits bounds;
  service& behind;
  wake_up& wakes;
  const server_trouble trouble;
  counters counts;
  std::atomic<bool> stopping{false};
  std::thread thread;
};

server::server(const std::string& listen, const limits& bounds, service& behind, wake_up& wakes, server_trouble trouble)
    : impl_(std::make_unique<impl>(listen, bounds, behind, wakes, std::move(trouble))) {}

const counters& server::figures() const { return impl_->counts; }

server::~server() = default;

}  // namespace cohort::transport::gateway
