#pragma once

// Inside actors/ only: includes CAF.
#include "actors/group_driver.hpp"
#include "actors/pinned.hpp"

#include <memory>
#include <string>
#include <vector>

namespace cohort::detail {

/// A port has flushed.
struct port_flushed {
  std::shared_ptr<port_state> port;
};
/// The replica has caught up: submissions may go on.
struct credit_back {};
struct checkpoint_done {
  log_index index = 0;
  std::uint32_t chunks = 0;  ///< 0 with an error
  std::string error;
};
struct state_restored {
  log_index index = 0;
};
struct chunk_done {
  member_id to = no_member;
  log_index index = 0;
  std::uint32_t number = 0;
  protocol::payload data;
};
/// The state of this side is written, for the merge of that view.
struct offer_done {
  protocol::partition::component_id view;
  std::vector<std::byte> state;
};
/// Answers of this member to calls of `to`.
struct answers_made {
  member_id to = no_member;
  protocol::call_answers what;
};
/// This replica's digest, for the other active members.
struct digest_taken {
  protocol::state_digest what;
};
/// The replica has another state than the majority, and serves no more.
struct replica_differs {
  std::string why;
};
/// Whose states differ from the majority's by the newest comparison; not empty if this replica's does: how.
struct states_judged {
  std::vector<member_id> odd;
  std::string why_odd;
};
/// The state machine's next timer is due at that agreed time.
struct time_wanted {
  wall_time due{};
};
/// Callers gave up calls.
struct calls_changed {};
/// Own submissions which come after this are refused as `stopped`.
struct accept_no_more {
  bool refuse_waiting = false;  ///< also what came before and waits for the core
};
/// Let another member lead, if this one does.
struct lead_no_more {};
/// `change_asked` with its member found by the table of members.
struct change_wanted {
  member_id who = no_member;
  change_asked what;
};
struct actor_stop {};

/// The ordering actor of a group on this node: pinned to the protocol thread, owns the driver and with it the core.
/// What comes from actors and ports reaches the core as messages; bytes from links and the journal's reports reach it
/// by direct calls on the same thread.
caf::actor spawn_ordering(caf::actor_system& system, std::shared_ptr<pinned_unit> unit,
                          std::shared_ptr<group_driver> driver, std::function<void(const std::string&)> trouble);

}  // namespace cohort::detail

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::port_flushed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::credit_back)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::checkpoint_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::state_restored)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::chunk_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::offer_done)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::answers_made)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::digest_taken)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::replica_differs)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::states_judged)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::time_wanted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::calls_changed)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::accept_no_more)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::lead_no_more)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::change_wanted)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(cohort::detail::actor_stop)
