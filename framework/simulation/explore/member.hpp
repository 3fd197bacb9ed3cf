#pragma once

#include "framework/protocol/inspect.hpp"
#include "framework/simulation/explore/scope.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace cohort::sim::explore {

/// What is on its way to a member.
struct letter {
  enum class kind : std::uint8_t { message, reset, link_up };
  unsigned from = 0, to = 0;
  kind what{};
  protocol::voter_id sender;
  std::shared_ptr<const protocol::message> body;  ///< of a message
};

/// What happens to one member.
struct input {
  enum class kind : std::uint8_t {
    arrive,   ///< `number` is the letter's
    submit,   ///< its next message
    elect,    ///< its election timeout
    suspect,  ///< a leader: a link has been down for E_min
    ended,    ///< a leader: there was time to dial again after a reset
    lapse,    ///< a leader: time passes until silence, or asking others about it, has lasted long enough
    expire,   ///< a leader: T_wedge or T_pull
    beat,     ///< two heartbeat intervals
    sync,     ///< its disk has written everything
    doubt,    ///< it sees its link to member `number` reset
    crash,    ///< of what was not synced the first `number` records remain
    restart,
  };
  kind what{};
  std::uint32_t number = 0;
};

/// What a process told its application, and what else its properties are judged by. Kept over its lives.
struct story {
  enum class kind : std::uint8_t { born, batch, view, lost, restored };
  struct event {
    kind what{};
    bool member = false;               ///< born, view: active in it
    bool safe = false;                 ///< batch: its order or its flag says that no failure loses it
    order cls{};
    /// batch, lost: which submission; those that come before it, in bits. restored: `past` are those that the state holds.
    std::uint8_t message = 0, past = 0;
    view_number view = 0;
    incarnation inc = 0;               ///< born, view: its own; batch: the lane's
    member_id sender = no_member;
    sequence seq = 0;
    std::uint64_t position = 0;
    std::uint64_t hash = 0;            ///< batch: of all that is equal everywhere; view: of the view
    protocol::view_ptr roster;         ///< born, view
  };
  struct commitment {
    std::uint64_t hash = 0;   ///< 0: not known here
    term_number counted = 0;  ///< newest term in its log when it knew
  };
  std::vector<event> events;
  std::vector<commitment> committed;  ///< by index, from 1 on
  std::vector<term_number> led;       ///< once for every election won

  /// What is known of another one's life, in the words of the rules.
  struct evidence {
    bool reset = false;                          ///< the link to it was seen to be reset
    protocol::instant asked = protocol::never;   ///< a leader: others are asked about it since then, and it was not heard
    protocol::instant vouched = protocol::never; ///< one of them has said since that it lives
  };
  struct accusation {
    unsigned of = 0;
    protocol::absence why{};
  };
  std::array<evidence, 4> evident;    ///< by member
  std::vector<accusation> accused;    ///< for these a leader has begun a change
};

/// One member with its disk, its application's memory and its own clock, as it is between two passes.
struct member {
  unsigned node = 0;
  std::uint64_t process = 0;
  bool up = true;
  unsigned life = 0;
  unsigned submitted = 0;
  protocol::instant now{};
  std::optional<protocol::core> core;  ///< of a crashed one: as it died
  story told;
  std::array<std::vector<std::uint8_t>, order_count> open;  ///< submissions not answered yet

  std::map<log_index, protocol::payload> checkpoints;  ///< own and received ones, of one chunk

  // Durable groups. Positions count from what is synced.
  struct disk_image {
    protocol::hard_state promises;
    std::vector<protocol::entry> entries;
    std::map<protocol::lane_name, std::map<sequence, protocol::batch>> batches;

    void write(const protocol::persist_op& op);
    /// Through the production recovery.
    std::shared_ptr<const protocol::recovered_state> recover() const;
  };
  disk_image disk;
  std::vector<protocol::persist_op> unsynced;
  struct held_send {
    protocol::journal_position needs = 0;
    unsigned to = 0;
    std::shared_ptr<const protocol::message> what;
  };
  std::vector<held_send> held;

  const protocol::inspector::inside& inside() const { return protocol::inspector::of(*core); }
  protocol::voter_id id() const { return {member_id(node), process}; }
  /// All is written. Returns up to which position: its core is still to be told.
  protocol::journal_position sync();
  /// When a timer of this kind would fire, if it runs.
  std::optional<protocol::instant> timer(input::kind k, const protocol::core_options& options) const;
};

protocol::core_options options_of(const scope& s);
protocol::core_start start_of(const scope& s, const member& m);

/// `before` after one input, with its driver's work done; letters it sent are appended. Throws `std::logic_error` when an
/// invariant of the core or a property of this member alone is broken.
std::unique_ptr<member> step(const scope& s, const member& before, input what, const letter* arriving,
                             std::vector<letter>& sent);

/// Members of a group that is founded, led by member 0 and quiet, but for what a newcomer brought about: `flight`.
std::vector<std::unique_ptr<member>> settled_group(const scope& s, std::vector<letter>& flight);

protocol::fingerprint digest(const member& m);
protocol::fingerprint digest(const letter& l);

}  // namespace cohort::sim::explore
