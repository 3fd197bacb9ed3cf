#pragma once

#include "samples/kv/message.hpp"
#include "samples/kv/reply_writer.hpp"

#include <cohort/group_port.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kv {

/// What a connection has said about itself.
struct session {
  std::uint64_t id = 0;
  std::string address, local_address, name;
  int protocol = 2;
  bool quit = false;  ///< close once everything is answered
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now(), last = since;
  std::string_view last_command;
};

/// What session commands may ask of the server.
class session_services {
public:
  virtual cohort::group_status status() const = 0;
  virtual const std::vector<std::pair<std::string, std::string>>& parameters() const = 0;
  /// Text of INFO. `sections` as named by the client; `summary` is the replica's answer to `command_id::summary`.
  virtual std::string info(std::span<const std::string> sections, std::string_view summary) const = 0;

protected:
  ~session_services() = default;
};

/// Answers a command of kind `session` but those around transactions and INFO: PING ECHO SELECT QUIT HELLO CLIENT
/// COMMAND CONFIG TIME WAIT. `argv` has the right number of words.
void run_session_command(session& who, const session_services& services, std::span<const std::string_view> argv,
                         reply_writer& out);

/// "ERR unknown command ..." as Redis words it.
std::string unknown_command(std::span<const std::string_view> argv);

/// INFO's section about the group.
std::string cohort_section(const cohort::group_status& s, std::string_view state_digest);

}  // namespace kv
