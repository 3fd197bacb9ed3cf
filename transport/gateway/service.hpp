#pragma once

#include <cohort/collation.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace cohort::transport::gateway {

/// In the words and the order of gateway.capnp.
enum class verdict : std::uint8_t { replied, refused, expired, unknown };
enum class reason : std::uint8_t {
  none, other, no_quorum, busy, not_member, lost, stopped, too_large, not_enabled, expired, unresolved, no_session, forgotten,
  too_far, answers_full, sessions_full, cancelled, malformed, no_group, over_limit,
};
enum class read_kind : std::uint8_t { linearizable, lease, session, bounded, local };

struct session_key {
  std::uint64_t id_high = 0;
  std::uint64_t id_low = 0;
  std::uint64_t birth = 0;
};

struct answer {
  verdict what = verdict::refused;
  reason because = reason::none;
  bool retry = false;
  std::string why;
  std::vector<std::byte> payload;
  bool repeated = false;
  std::uint64_t position = 0;
  std::uint64_t index = 0;
  std::uint64_t view = 0;
  std::int64_t time_us = 0;
  std::uint64_t birth = 0;
  read_kind read = read_kind::linearizable;
};

/// What a client asks for. Spans and strings are valid during the call only.
struct request {
  enum class kind : std::uint8_t { open, close, call, cancel, submit, query } what = kind::call;
  std::string group;
  session_key session;
  std::uint64_t owner = 0;              ///< stands for the client's address
  std::chrono::milliseconds lifetime{0};
  std::uint64_t number = 0;
  std::uint64_t acknowledged_below = 0;
  std::span<const std::byte> payload;
  std::string order;
  std::chrono::milliseconds within{0};
  read_kind how = read_kind::linearizable;
  std::uint64_t seen = 0;
  std::chrono::milliseconds max_age{0};
};

/// What a call of all members brought: of the message, whose payload is empty, and of the members, without their sessions' words.
struct collected {
  answer what;
  call_report report;
};

/// A call of all members that is open. Dropped: given up.
class open_call {
public:
  virtual ~open_call() = default;
  /// What the client makes of the answers so far, where it judges itself. Not `wait`.
  virtual void decide(judgement what) = 0;
};

struct member {
  std::string name;
  bool active = false;
  bool voter = false;
};

struct group {
  std::string name;
  std::string leader;
  std::uint64_t view = 0;
  std::vector<member> members;
  std::uint64_t applied = 0;
  bool primary = false;
  bool sessions = false;
};

struct place {
  std::string name;
  std::string address;
};

struct picture {
  std::string node;
  std::string cluster;
  std::vector<group> groups;
  std::vector<place> gateways;
};

struct delivery_event {
  std::vector<std::byte> payload;
  std::string order;
  std::uint64_t position = 0, index = 0, view = 0;
  std::string sender;
  std::int64_t time_us = 0;
  bool late = false;
  bool request = false;
};

struct view_event {
  std::uint64_t number = 0, index = 0;
  std::int64_t time_us = 0;
  std::vector<member> members;
  std::vector<std::string> changes;
};

struct missed_event {
  std::uint64_t count = 0;
};

using event = std::variant<delivery_event, view_event, missed_event>;
using event_ptr = std::shared_ptr<const event>;

/// One client's way through a group's events.
class subscription {
public:
  virtual ~subscription() = default;
  /// What came since, up to about `bytes_max`; empty if nothing did.
  virtual std::vector<event_ptr> take(std::size_t bytes_max) = 0;
};

/// What stands behind a gateway. All of it is called on the gateway's thread, and must not block.
class service {
public:
  virtual ~service() = default;
  /// `done` is called once, in this call or in `collect`.
  virtual void ask(const request& what, std::function<void(answer&&)> done) = 0;
  /// `done` is called once, in this call or in `collect`, unless what it returns is dropped before; `changed`, where the client
  /// judges (`collate::custom`), in `collect`.
  virtual std::unique_ptr<open_call> ask_all(const request& what, collate how, unsigned count, std::function<void(collected&&)> done,
                                             std::function<void(const collected&)> changed) = 0;
  /// Hands over what was asked since the last time.
  virtual void flush() = 0;
  /// Answers what is ready. Called after the server was woken.
  virtual void collect() = 0;
  /// The server failed and begins anew, without its clients: nobody waits for answers any more. The one call that may come while
  /// promises of what was asked are gone.
  virtual void forget() = 0;
  virtual picture look() = 0;
  /// Null if it cannot be: then `why` is the refusal.
  virtual std::unique_ptr<subscription> watch(const std::string& group, answer& why) = 0;
};

}  // namespace cohort::transport::gateway
