#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace cohort::transport::admin {

struct answer {
  int code = 0;      ///< 0, or 1: refused or failed, and the text says why
  std::string text;  ///< for people, lines
};

/// What is behind the server. Called on its thread, and must not wait there; `done` is called once, on any thread.
class service {
public:
  virtual void run(std::vector<std::string> words, std::function<void(answer&&)> done) = 0;
  /// In Prometheus' text format.
  virtual void metrics(std::function<void(std::string&&)> done) = 0;

protected:
  ~service() = default;
};

struct server_options {
  std::string socket;   ///< file of the Unix socket; made anew, for its owner alone. Empty: none
  std::string metrics;  ///< "host:port" of GET /metrics; empty: none
  std::size_t connections_max = 32;  ///< of each kind; more are closed at once
};

/// Serves an operator, on a thread of its own.
class server {
public:
  /// Throws `std::runtime_error` saying what it cannot do. `behind` outlives the server; its `done` may be called later, too.
  server(server_options how, service& behind);
  /// Ends the thread and all connections; answers that come later are dropped. Removes the socket.
  ~server();
  server(const server&) = delete;
  server& operator=(const server&) = delete;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

}  // namespace cohort::transport::admin
