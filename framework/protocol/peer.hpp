#pragma once

#include "framework/protocol/detector.hpp"
#include "framework/protocol/frontier.hpp"
#include "framework/protocol/pulse.hpp"
#include "framework/protocol/types.hpp"

#include <array>
#include <vector>

namespace cohort::protocol {

/// What is known of another process of the group.
struct peer {
  voter_id id;
  bool heard = false;              ///< any ack of this identity has arrived
  std::uint64_t heard_order = 0;   ///< grows with every message; tells which identity of a member is the newer

  // From its acks. Monotone within (match_term) and within (inc, view).
  incarnation inc = 0;
  term_number match_term = 0;
  log_index match = 0;
  log_index applied = 0;
  log_index base = 0;
  view_number view = 0;
  frontier have;
  bool no_state = false;

  // For a leader.
  instant match_progress{};        ///< when its match last grew, or was complete
  instant echo{};                  ///< newest of my send times it has echoed in my term (PA7)
  instant lease_echo{};            ///< the same, while it was known to have installed the view in force (X2)
  log_index next = 1;              ///< next entry to send
  bool probing = true;             ///< the point of agreement is not known: one APPEND at a time
  instant append_sent{};
  instant went_back{};             ///< when a rejection last made us send from an earlier entry
  instant offer_sent{};
  instant chunk_asked{};           ///< it pulled a chunk of a checkpoint
  log_index match_below = 0;       ///< where its log and ours may agree, as it said when it refused
  instant unservable_since = never;///< active, but the log begins above what it needs (S3)
  bool refused_our_clock = false;
  instant told{};                  ///< newest of my APPENDs that it has echoed; `echo` may be a pulse's

  // Evidence of life (V20).
  instant heard_at{};              ///< any message came
  detector rhythm;                 ///< of its answers to my heartbeats
  bool watched = false;            ///< active in the installed view: its pauses are a rhythm, not an absence
  duration patience{};             ///< silence from which on it is suspected
  instant watched_from{};          ///< silence before this does not count: not active yet, not led yet, or we stood still
  instant suspected_since = never;
  instant probe_sent{};
  instant asked_since = never;     ///< others are asked about it
  instant vouched_at = never;      ///< another member has told that it answers ...
  member_id vouched_by = no_member;
  std::uint32_t voucher_deaf = 0;  ///< ... and how many that one does not hear itself
  bool lag_told = false;

  // As the owner of a lane.
  instant lane_progress{};         ///< when its ack of our lane last moved, or we resent
  std::array<sequence, 2> served_from{};  ///< by kind: a learner is sent our batches from here on; 0: it is not (W6)

  // Wants to be active (S7).
  incarnation join_inc = 0;
  instant join_heard{};
  bool join_has_state = false;

  // The link.
  bool linked = false;
  node_contact node;               ///< what its node says of it (Q4)
  bool blank = false;              ///< HELLO: its directory never saw the group
  instant reset_at = never;        ///< its end of the link was reset, and it has not come back
  std::vector<member_id> reset_elsewhere;  ///< who has told since then that the same happened to its link (V24)
};

}  // namespace cohort::protocol
