#pragma once

#include "kv_support.hpp"

#include "samples/kv/server.hpp"

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

namespace kv_test {

/// A group of one replica in memory, which can be made to misbehave. Shared by the server's thread and the test's.
class memory_group {
public:
  memory_group();

  /// What becomes of submissions and linearizable queries from now on; `replied` = they are executed.
  std::atomic<cohort::outcome> writes{cohort::outcome::replied};
  std::atomic<cohort::outcome> reads{cohort::outcome::replied};
  /// While true, nothing is answered.
  std::atomic<bool> silent{false};
  std::atomic<bool> leads{true};
  std::atomic<std::uint64_t> submitted{0}, executed{0}, queried{0};
  /// Agreed time goes with the wall clock, plus this.
  std::atomic<std::int64_t> ahead_us{0};

  /// Lets the next `count` submissions be executed, those after them be refused.
  std::atomic<std::int64_t> execute_only{-1};
  /// Lets the next `count` submissions be refused.
  std::atomic<std::int64_t> refuse_next{0};

  kv::backend_factory factory();
  std::shared_ptr<kv::expiry_signal> expiry = std::make_shared<kv::expiry_signal>();
  std::uint64_t digest();
  std::uint64_t size();

private:
  class port;
  std::mutex mutex_;
  kv::store machine_;
  std::uint64_t position_ = 0;
};

/// A server on a thread of its own.
class running_server {
public:
  explicit running_server(memory_group& group, kv::server_options options = {});
  ~running_server();
  client connect() const { return client(port_); }
  std::uint16_t port() const { return port_; }
  /// Runs `what` on the server's thread and waits for it.
  void inside(std::function<void(kv::server&)> what);
  std::size_t clients();

private:
  cohort::transport::loop loop_;
  std::unique_ptr<kv::server> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace kv_test
