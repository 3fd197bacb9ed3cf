#include "transport/resolver.hpp"

#include "transport/name_service.hpp"

#include <thread>
#include <utility>

namespace cohort::transport {

class resolver::worker {
public:
  explicit worker(std::vector<address> servers)
      : names_(loop_, std::move(servers)), thread_([this] { loop_.run(); }) {}
  ~worker() {
    loop_.stop();
    thread_.join();
  }
  void look_up(place what, answer done) {
    loop_.post([this, what = std::move(what), done = std::move(done)]() mutable { names_.look_up(what, std::move(done)); });
  }

private:
  loop loop_;
  name_service names_;
  std::thread thread_;
};

resolver::resolver(loop& where, std::vector<address> servers) : loop_(where), servers_(std::move(servers)) {}

resolver::~resolver() { *alive_ = false; }

void resolver::resolve(const place& what, answer done) {
  endpoint_address one;
  if (what.service.empty() && literal(what.where, one)) {
    done({{one}, {}, true});
    return;
  }
  if (!worker_) worker_ = std::make_unique<worker>(servers_);
  auto shared = std::make_shared<answer>(std::move(done));
  worker_->look_up(what, [&back = loop_, alive = alive_, shared](resolved&& part) {
    back.post([alive, shared, part = std::move(part)]() mutable {
      if (*alive) (*shared)(std::move(part));
    });
  });
}

}  // namespace cohort::transport
