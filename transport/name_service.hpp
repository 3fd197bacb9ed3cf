#pragma once

// Inside transport/ only: questions to name servers.

#include "transport/address.hpp"
#include "transport/loop.hpp"
#include "transport/resolver.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

struct ares_channeldata;

namespace cohort::transport {

/// c-ares on a loop. Loop's thread only, `~name_service` too (after the loop has ended).
class name_service {
public:
  name_service(loop& where, std::vector<address> servers);
  ~name_service();
  name_service(const name_service&) = delete;
  name_service& operator=(const name_service&) = delete;

  void look_up(const place& what, resolver::answer done);

private:
  struct question;
  struct service_question;
  class socket_watch;

  bool ready(std::string& why);
  void close();
  void hosts(const address& what, resolver::answer done);
  void services(const place& what, resolver::answer done);
  void plan();
  void watch(int fd, bool readable, bool writable);
  void socket_ready(int fd, std::uint32_t events);
  void ended(int status);

  loop& loop_;
  const std::vector<address> servers_;
  ares_channeldata* channel_ = nullptr;
  std::map<int, std::unique_ptr<socket_watch>> watches_;
  std::vector<std::unique_ptr<socket_watch>> retired_;  // may still be on the call stack
  timer timer_;
  std::size_t open_ = 0;   // questions without an answer
  bool stale_ = false;     // no server answered: the system may have others by now
  bool closing_ = false;
};

}  // namespace cohort::transport
