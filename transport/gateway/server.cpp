#include "transport/gateway/connection.hpp"

#include <kj/async-unix.h>

#include <sys/socket.h>
#include <netdb.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

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

struct quiet final : kj::TaskSet::ErrorHandler {
  void taskFailed(kj::Exception&&) override {}  // a connection broke: nobody is left to be told
};

}  // namespace

struct server::impl {
  impl(std::string where, const limits& l, service& s, wake_up& w) : bounds(l), behind(s), wakes(w) {
    std::promise<std::string> started;
    auto ready = started.get_future();
    thread = std::thread([this, where = std::move(where), &started] { run(where, started); });
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

  void run(const std::string& where, std::promise<std::string>& started) {
    bool told = false;
    try {
      auto io = kj::setupAsyncIo();
      auto listener = io.provider->getNetwork().parseAddress(where.c_str()).wait(io.waitScope)->listen();
      kj::UnixEventPort::FdObserver woken(io.unixEventPort, wakes.readable(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
      auto state = std::make_shared<shared_state>(bounds, behind, io);
      quiet ignore;
      kj::TaskSet tasks(ignore);
      state->tasks = &tasks;
      auto accepting = accept_all(*listener, state, tasks).eagerlyEvaluate([](kj::Exception&&) {});
      told = true;
      started.set_value("");
      for (;;) {
        woken.whenBecomesReadable().wait(io.waitScope);
        wakes.taken();
        if (stopping.load(std::memory_order_acquire)) break;
        behind.collect();
        std::vector<std::weak_ptr<stream_state>> waiting;
        waiting.swap(state->waiting);
        for (auto& each : waiting)
          if (auto stream = each.lock()) stream->ready->fulfill();
      }
    } catch (const kj::Exception& e) {
      if (!told) started.set_value("gateway " + where + ": " + e.getDescription().cStr());
    } catch (const std::exception& e) {
      if (!told) started.set_value("gateway " + where + ": " + e.what());
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
      return;  // closes it
    }
    if (share.connections++ == 0 && share.tokens <= 0) share.tokens = bounds.requests_per_second_max;
    ++state->connections;
    auto over = [state, address] {
      --state->connections;
      auto& mine = state->addresses[address];
      // An address that comes again at once gets no fresh rate.
      if (--mine.connections == 0 && state->addresses.size() > 4096) state->addresses.erase(address);
    };
    tasks.add(serve(state, kj::mv(stream), address).then([over] { over(); }, [over](kj::Exception&&) { over(); }));
  }

  const limits bounds;
  service& behind;
  wake_up& wakes;
  std::atomic<bool> stopping{false};
  std::thread thread;
};

server::server(const std::string& listen, const limits& bounds, service& behind, wake_up& wakes)
    : impl_(std::make_unique<impl>(listen, bounds, behind, wakes)) {}

server::~server() = default;

}  // namespace cohort::transport::gateway
