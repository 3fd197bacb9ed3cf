#include "transport/admin/server.hpp"

#include "admin.capnp.h"

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kj/compat/http.h>

#include <sys/stat.h>
#include <unistd.h>

#include <future>
#include <stdexcept>
#include <thread>

namespace cohort::transport::admin {
namespace {

/// A promise for this thread, and how any other one keeps it. (On the heap: compilers see ghosts in KJ's moves of strings.)
template <class T>
std::pair<kj::Promise<kj::Own<T>>, std::function<void(T&&)>> awaited() {
  auto pair = kj::newPromiseAndCrossThreadFulfiller<kj::Own<T>>();
  auto keep = std::make_shared<kj::Own<kj::CrossThreadPromiseFulfiller<kj::Own<T>>>>(kj::mv(pair.fulfiller));
  return {kj::mv(pair.promise), [keep](T&& value) { (*keep)->fulfill(kj::heap<T>(kj::mv(value))); }};
}

class admin_object final : public wire::Admin::Server {
public:
  explicit admin_object(service& behind) : behind_(behind) {}
  kj::Promise<void> run(RunContext context) override {
    std::vector<std::string> words;
    for (const auto word : context.getParams().getWords()) words.emplace_back(word.cStr(), word.size());
    auto [promise, done] = awaited<answer>();
    behind_.run(std::move(words), std::move(done));
    return promise.then([context](kj::Own<answer>&& a) mutable {
      auto out = context.getResults();
      out.setCode(a->code);
      out.setText(a->text.c_str());
    });
  }

private:
  service& behind_;
};

class metrics_page final : public kj::HttpService {
public:
  metrics_page(service& behind, const kj::HttpHeaderTable& table) : behind_(behind), table_(table) {}
  kj::Promise<void> request(kj::HttpMethod method, kj::StringPtr url, const kj::HttpHeaders&, kj::AsyncInputStream&,
                            Response& response) override {
    if (url != "/metrics" && !url.startsWith("/metrics?")) return response.sendError(404, "Not Found", table_);
    if (method != kj::HttpMethod::GET && method != kj::HttpMethod::HEAD) return response.sendError(405, "Method Not Allowed", table_);
    auto [promise, done] = awaited<std::string>();
    behind_.metrics(std::move(done));
    return promise.then([this, method, &response](kj::Own<std::string>&& text) {
      kj::HttpHeaders headers(table_);
      headers.set(kj::HttpHeaderId::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
      auto stream = response.send(200, "OK", headers, text->size());
      if (method == kj::HttpMethod::HEAD) return kj::Promise<void>(kj::READY_NOW);
      auto written = stream->write(text->data(), text->size());
      return written.attach(kj::mv(stream), kj::mv(text));
    });
  }

private:
  service& behind_;
  const kj::HttpHeaderTable& table_;
};

struct quiet final : kj::TaskSet::ErrorHandler {
  void taskFailed(kj::Exception&&) override {}  // a connection broke: nobody is left to be told
};

using serve_one = std::function<kj::Promise<void>(kj::Own<kj::AsyncIoStream>)>;

/// Accepts for ever, and lets no more than `most` be served at a time.
class acceptor {
public:
  acceptor(kj::Own<kj::ConnectionReceiver> listener, kj::Timer& timer, std::size_t most, serve_one serve)
      : listener_(kj::mv(listener)), timer_(timer), most_(most), serve_(std::move(serve)), tasks_(ignore_), accepting_(next().eagerlyEvaluate(nullptr)) {}

private:
  kj::Promise<void> next() {
    return listener_->accept().then([this](kj::Own<kj::AsyncIoStream>&& stream) {
      if (open_ < most_) {
        ++open_;
        tasks_.add(serve_(kj::mv(stream)).then([this] { --open_; }, [this](kj::Exception&&) { --open_; }));
      }
      return next();
    }, [this](kj::Exception&&) {  // out of file descriptors, mostly: others may be closed meanwhile
      return timer_.afterDelay(100 * kj::MILLISECONDS).then([this] { return next(); });
    });
  }

  kj::Own<kj::ConnectionReceiver> listener_;
  kj::Timer& timer_;
  const std::size_t most_;
  serve_one serve_;
  std::size_t open_ = 0;
  quiet ignore_;
  kj::TaskSet tasks_;
  kj::Promise<void> accepting_;
};

}  // namespace

struct server::impl {
  impl(server_options o, service& s) : how(std::move(o)), behind(s) {
    std::promise<std::string> started;
    auto ready = started.get_future();
    thread = std::thread([this, &started] { run(started); });
    if (auto trouble = ready.get(); !trouble.empty()) {
      thread.join();
      throw std::runtime_error(trouble);
    }
  }
  ~impl() {
    stop->fulfill();
    thread.join();
    if (!how.socket.empty()) ::unlink(how.socket.c_str());
  }

  void run(std::promise<std::string>& started) {
    bool told = false;
    std::string at;
    try {
      auto io = kj::setupAsyncIo();
      auto ending = kj::newPromiseAndCrossThreadFulfiller<void>();
      stop = kj::mv(ending.fulfiller);
      auto& network = io.provider->getNetwork();
      auto& timer = io.provider->getTimer();
      const auto listen = [&](const std::string& where) {
        at = where;
        return network.parseAddress(where.c_str()).wait(io.waitScope)->listen();
      };
      capnp::TwoPartyServer rpc(kj::heap<admin_object>(behind));
      kj::Own<acceptor> commands, pages;
      if (!how.socket.empty()) {
        ::unlink(how.socket.c_str());  // what a killed process left; the directory's lock says that no other one lives
        auto listener = listen("unix:" + how.socket);
        if (::chmod(how.socket.c_str(), S_IRUSR | S_IWUSR) != 0) throw std::runtime_error("its rights cannot be set");
        commands = kj::heap<acceptor>(kj::mv(listener), timer, how.connections_max, [&rpc](kj::Own<kj::AsyncIoStream> stream) {
          auto served = rpc.accept(*stream);
          return served.attach(kj::mv(stream));
        });
      }
      kj::HttpHeaderTable::Builder headers;
      auto table = headers.build();
      metrics_page page(behind, *table);
      kj::HttpServer http(timer, *table, page);
      if (!how.metrics.empty())
        pages = kj::heap<acceptor>(listen(how.metrics), timer, how.connections_max,
                                   [&http](kj::Own<kj::AsyncIoStream> stream) { return http.listenHttp(kj::mv(stream)); });
      told = true;
      started.set_value("");
      ending.promise.wait(io.waitScope);
    } catch (const kj::Exception& e) {
      if (!told) started.set_value("cannot serve at " + at + ": " + e.getDescription().cStr());
    } catch (const std::exception& e) {
      if (!told) started.set_value("cannot serve at " + at + ": " + e.what());
    }
  }

  const server_options how;
  service& behind;
  kj::Own<kj::CrossThreadPromiseFulfiller<void>> stop;
  std::thread thread;
};

server::server(server_options how, service& behind) : impl_(std::make_unique<impl>(std::move(how), behind)) {}
server::~server() = default;

}  // namespace cohort::transport::admin
