#include "transport/client/engine.hpp"
#include "transport/gateway/wake_up.hpp"

#include <kj/async-unix.h>

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <utility>

namespace cohort {

const char* to_string(call_outcome o) {
  switch (o) {
    case call_outcome::replied: return "replied";
    case call_outcome::refused: return "refused";
    case call_outcome::expired: return "expired";
    case call_outcome::unknown: return "unknown";
  }
  return "?";
}

const char* to_string(freshness f) {
  switch (f) {
    case freshness::linearizable: return "linearizable";
    case freshness::session: return "session";
    case freshness::bounded: return "bounded";
    case freshness::local: return "local";
    case freshness::lease: return "lease";
  }
  return "?";
}

/// The client's thread, and what others want of it.
struct client::impl {
  using task = std::function<void(client_detail::engine&)>;

  explicit impl(client_options options) : how(std::move(options)) {
    if (how.gateways.empty()) throw std::runtime_error("a client needs the gateway of one member at least, as \"host:port\"");
    if (how.group.empty()) throw std::runtime_error("a client needs the name of a group");
    if (!how.session_file.empty()) {
      file = std::make_unique<client_detail::session_file>(how.session_file, how.group);
      left_over = file->unacknowledged();
      next_id = file->next();
    }
    thread = std::thread([this] { run(); });
  }
  ~impl() {
    {
      std::lock_guard guard(mutex);
      stopping = true;
    }
    wakes.tell();
    thread.join();
  }

  std::uint64_t begin(std::span<const std::byte> payload, const call_options& as, std::optional<collation> all, done then);

  void post(task t) {
    {
      std::lock_guard guard(mutex);
      tasks.push_back(std::move(t));
    }
    wakes.tell();
  }

  void run() {
    auto io = kj::setupAsyncIo();
    kj::UnixEventPort::FdObserver woken(io.unixEventPort, wakes.readable(), kj::UnixEventPort::FdObserver::OBSERVE_READ);
    client_detail::engine engine(how, file.get(), io);
    here = &engine;
    for (bool stop = false; !stop;) {
      woken.whenBecomesReadable().wait(io.waitScope);
      wakes.taken();
      std::vector<task> now;
      {
        std::lock_guard guard(mutex);
        now.swap(tasks);
        stop = stopping;
      }
      for (auto& t : now) t(engine);
    }
    engine.end();
  }

  const client_options how;
  client_detail::engine* here = nullptr;  ///< of the client's thread, and for it only
  transport::wake_up wakes;
  std::unique_ptr<client_detail::session_file> file;  ///< the client's thread's, once it runs
  std::vector<std::uint64_t> left_over;
  std::mutex mutex;  // guards all below
  std::uint64_t next_id = 1;
  std::vector<task> tasks;
  bool stopping = false;
  std::thread thread;
};

client::client(client_options options) : impl_(std::make_unique<impl>(std::move(options))) {}
client::~client() = default;

namespace {

/// A callback and the future it makes ready.
std::pair<client::done, std::future<call_result>> promised() {
  auto promise = std::make_shared<std::promise<call_result>>();
  auto future = promise->get_future();
  return {[promise](call_result&& r) { promise->set_value(std::move(r)); }, std::move(future)};
}

}  // namespace

std::uint64_t client::impl::begin(std::span<const std::byte> payload, const call_options& as, std::optional<collation> all, done then) {
  if (as.number != 0 && !file) throw std::invalid_argument("a call has a number of its own in a client with a session file only");
  auto o = std::make_shared<client_detail::operation>();
  o->payload.assign(payload.begin(), payload.end());
  o->then = std::move(then);
  o->all = std::move(all);
  if (as.within.count() > 0) o->deadline = kj::origin<kj::TimePoint>() + as.within.count() * kj::MILLISECONDS;
  std::uint64_t id = as.number;
  {
    // Numbers are given in the order of the calls.
    std::lock_guard guard(mutex);
    if (id == 0) id = next_id;
    next_id = std::max(next_id, id + 1);
    o->id = id;
    tasks.push_back([o](client_detail::engine& e) { e.call(std::move(*o)); });
  }
  wakes.tell();
  return id;
}

std::uint64_t client::call(std::span<const std::byte> payload, const call_options& how, done then) {
  return impl_->begin(payload, how, {}, std::move(then));
}

std::uint64_t client::call_all(std::span<const std::byte> payload, const collation& how, done then) {
  return impl_->begin(payload, {.within = std::max(how.within, std::chrono::milliseconds(1))}, how, std::move(then));
}

std::future<call_result> client::call_all(std::span<const std::byte> payload, const collation& how) {
  auto [then, future] = promised();
  call_all(payload, how, std::move(then));
  return std::move(future);
}

std::future<call_result> client::call(std::span<const std::byte> payload, const call_options& how) {
  auto [then, future] = promised();
  call(payload, how, std::move(then));
  return std::move(future);
}

void client::cancel(std::uint64_t id) {
  impl_->post([id](client_detail::engine& e) { e.cancel(id); });
}

std::future<call_result> client::ask(std::uint64_t id) {
  auto [then, future] = promised();
  impl_->post([id, t = std::move(then)](client_detail::engine& e) { e.ask(id, t); });
  return std::move(future);
}

void client::acknowledge(std::uint64_t id) {
  impl_->post([id](client_detail::engine& e) { e.acknowledge(id); });
}

const std::vector<std::uint64_t>& client::unacknowledged() const { return impl_->left_over; }

std::future<call_result> client::read(std::span<const std::byte> question, const read_options& how) {
  auto [then, future] = promised();
  std::vector<std::byte> bytes(question.begin(), question.end());
  impl_->post([b = std::move(bytes), how, t = std::move(then)](client_detail::engine& e) { e.read(b, how, t); });
  return std::move(future);
}

void client::watch(std::function<void(const watch_event&)> on) {
  impl_->post([on = std::move(on)](client_detail::engine& e) { e.watch(on); });
}

session_state client::session() const {
  if (std::this_thread::get_id() == impl_->thread.get_id()) return impl_->here->state();
  std::promise<session_state> answer;
  auto future = answer.get_future();
  impl_->post([&answer](client_detail::engine& e) { answer.set_value(e.state()); });
  return future.get();
}

}  // namespace cohort
