#pragma once

#include <cohort/node.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

/// Where buyers come: a line protocol on a port of its own, one thread for each of at most 64 of them.
///
///   BUY ORDER   SEAT n NUMBER SOLD-AT | SOLD-OUT | REFUSED why (nothing was sold) | UNKNOWN (ask again with the same ORDER)
///   SOLD        SOLD n SEAT:ORDER ...: everything that was sold when it was asked | REFUSED why
///   PRIMARY     PRIMARY member-number office executes-here(0/1) accepted dropped
class counter_hall {
public:
  static constexpr std::size_t line_max = 200;
  static constexpr int buyers_max = 64;

  /// Listens on 127.0.0.1. Throws `cohort::node_error` if that fails.
  counter_hall(cohort::node& where, std::string group, std::uint16_t tcp_port);
  ~counter_hall();

private:
  void accept_all();
  void serve(int buyer);
  std::string answer_to(const std::string& line, cohort::group_port& port, cohort::completion_batch& done);

  cohort::node& where_;
  const std::string group_;
  int listener_ = -1;
  std::atomic<bool> closing_{false};
  std::atomic<int> buyers_{0};
  std::thread acceptor_;
};
