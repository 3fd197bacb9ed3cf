#pragma once

#include "samples/kv/connection.hpp"
#include "samples/kv/expiry_signal.hpp"
#include "samples/kv/server_options.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>
#include <unordered_map>

namespace kv {

/// The server could not start; `what()` says what, where and what to do.
struct server_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Serves Redis clients on a loop's thread. Construct and destroy it there, or while the loop does not run.
class server final : public connection_owner, public answer_receiver {
public:
  /// Listens at once; throws `server_error`.
  /// `expiry`: when it says that a key is due, the node that leads the group submits a clock message, or, if that seems
  /// not to happen, this one does.
  server(cohort::transport::loop& events, server_options options, const backend_factory& make_backend,
         std::shared_ptr<expiry_signal> expiry);
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

  std::uint16_t port() const { return port_; }
  std::size_t clients() const { return connections_.size(); }

  /// No more clients; those that are there are closed at the end of the pass.
  void stop();

private:
  class acceptor final : public cohort::transport::fd_handler {
  public:
    explicit acceptor(server& owner) : owner_(owner) {}
    void on_ready(std::uint32_t) override { owner_.accept_some(); }

  private:
    server& owner_;
  };

  void listen();
  void accept_some();
  void admit(int fd, const std::string& address, const std::string& local);
  void collect();
  void end_of_pass();
  void bury_dead();
  void limit_memory();
  void housekeeping();
  void expiry_changed();
  void expiry_due();

  // For connections.
  gateway& group() override { return *gateway_; }
  const server_options& options() const override { return options_; }
  cohort::transport::loop& events() override { return events_; }
  void touched(connection& c) override;
  void count_command() override { ++commands_; }
  cohort::group_status status() const override { return backend_->status(); }
  const std::vector<std::pair<std::string, std::string>>& parameters() const override { return options_.parameters; }
  std::string info(std::span<const std::string> sections, std::string_view summary) const override;
  // For the gateway.
  void answered(command_place place, std::string_view reply) override;

  cohort::transport::loop& events_;
  server_options options_;
  std::unique_ptr<backend> backend_;
  std::unique_ptr<gateway> gateway_;
  acceptor acceptor_{*this};
  int listener_ = -1;
  std::uint16_t port_ = 0;
  bool accepting_ = false, stopping_ = false;
  std::unordered_map<std::uint64_t, std::unique_ptr<connection>> connections_;
  std::uint64_t next_id_ = 1;
  std::size_t total_bytes_ = 0;  ///< held for connections
  std::vector<connection*> touched_, touched_now_;
  bool was_full_ = false, was_troubled_ = false;
  std::uint64_t commands_ = 0, accepted_ = 0, rejected_ = 0;
  std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  cohort::transport::timer gateway_timer_, housekeeping_timer_, expiry_timer_, accept_timer_;
  std::uint64_t hook_ = 0;

  /// Posted functions may still run, or be destroyed, when the server is gone.
  struct mailbox {
    bool alive = true;  // loop's thread only
    std::atomic<bool> due_posted{false};
  };
  std::shared_ptr<mailbox> mailbox_ = std::make_shared<mailbox>();
  std::shared_ptr<expiry_signal> expiry_;
  std::int64_t overdue_ms_ = 0;  ///< an expiry which another node was expected to bring about
};

}  // namespace kv
