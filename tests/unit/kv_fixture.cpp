#include "kv_fixture.hpp"

#include <future>

namespace kv_test {

using cohort::outcome;

memory_group::memory_group() : machine_([signal = expiry](std::int64_t ms) { signal->set(ms); }) {}

std::uint64_t memory_group::digest() {
  const std::lock_guard guard(mutex_);
  return machine_.digest();
}

std::uint64_t memory_group::size() {
  const std::lock_guard guard(mutex_);
  return machine_.size();
}

class memory_group::port final : public kv::backend {
public:
  port(memory_group& group, cohort::port_wake wake) : group_(group), wake_(std::move(wake)) {}

  void submit(std::span<const std::span<const std::byte>> messages, std::uint64_t first_tag) override {
    for (const auto message : messages) {
      ++group_.submitted;
      auto what = group_.writes.load();
      if (auto left = group_.execute_only.load(); left >= 0) {
        what = left > 0 ? outcome::replied : outcome::no_quorum;
        if (left > 0) group_.execute_only = left - 1;
      }
      if (group_.refuse_next > 0) {
        --group_.refuse_next;
        what = outcome::no_quorum;
      }
      if (what == outcome::replied) execute(message, first_tag);
      else if (!group_.silent) ready_.add(first_tag, what);
      ++first_tag;
    }
  }

  void query(std::span<const std::byte> question, cohort::reads how, std::uint64_t tag) override {
    ++group_.queried;
    const auto what = how == cohort::reads::local ? outcome::replied : group_.reads.load();
    if (group_.silent && how != cohort::reads::local) return;
    if (what != outcome::replied) return ready_.add(tag, what);
    cohort::reply answer;
    const std::lock_guard guard(group_.mutex_);
    group_.machine_.query(question, answer);
    ready_.add(tag, outcome::replied, answer.bytes());
  }

  void flush() override {
    if (!ready_.empty()) wake_();
  }
  bool take(cohort::completion_batch& into) override {
    into.clear();
    std::swap(into, ready_);
    return !into.empty();
  }
  std::size_t queued_bytes() const override { return 0; }
  cohort::group_status status() const override {
    cohort::group_status s;
    s.group = "kv";
    s.self = s.leader = "n1";
    s.role = group_.leads ? "leader" : "follower";
    s.durability = "volatile";
    for (const auto* name : {"n1", "n2", "n3"}) s.members.push_back({name, "127.0.0.1:1", 1, true, true});
    const std::lock_guard guard(group_.mutex_);
    s.last = s.commit = s.applied = group_.position_;
    return s;
  }

private:
  void execute(std::span<const std::byte> message, std::uint64_t tag) {
    const std::lock_guard guard(group_.mutex_);
    cohort::delivery d;
    d.payload = message;
    d.position = ++group_.position_;
    d.time =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()) +
        std::chrono::microseconds(group_.ahead_us.load());
    cohort::reply answer;
    group_.machine_.apply(d, answer);
    ++group_.executed;
    if (!group_.silent) ready_.add(tag, outcome::replied, answer.bytes());
  }

  memory_group& group_;
  cohort::port_wake wake_;
  cohort::completion_batch ready_;
};

kv::backend_factory memory_group::factory() {
  return [this](cohort::port_wake wake) -> std::unique_ptr<kv::backend> {
    return std::make_unique<port>(*this, std::move(wake));
  };
}

running_server::running_server(memory_group& group, kv::server_options options) {
  options.listen = "127.0.0.1:0";
  server_ = std::make_unique<kv::server>(loop_, options, group.factory(), group.expiry);
  port_ = server_->port();
  thread_ = std::thread([this] { loop_.run(); });
}

running_server::~running_server() {
  loop_.stop();
  thread_.join();
  server_.reset();
}

void running_server::inside(std::function<void(kv::server&)> what) {
  std::promise<void> done;
  loop_.post([&] {
    what(*server_);
    done.set_value();
  });
  done.get_future().wait();
}

std::size_t running_server::clients() {
  std::size_t count = 0;
  inside([&](kv::server& s) { count = s.clients(); });
  return count;
}

}  // namespace kv_test
