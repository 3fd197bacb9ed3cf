#pragma once

#include "framework/protocol/partition/types.hpp"

#include <optional>
#include <span>
#include <variant>

namespace cohort::protocol::partition {

/// What a member holds of its view: to all members of the view, at the end of a pass that changed it. Stability is what
/// all have acknowledged (rule P2).
struct progress {
  component_id view;
  std::uint64_t clock = 0;  ///< no later batch of the sender's has a stamp up to this
  bool merged = false;      ///< the sender holds the view's merged state
  frontier have;            ///< contiguous, by slot; in durable groups on the sender's disk
  sequence sealed[2] = {};  ///< by kind: how far the sender has sealed its own lanes
};

/// Heartbeat, to all processes that are known.
struct standing {
  view_number promised = 0;      ///< newest attempt taken part in (P6)
  member_id leader = no_member;  ///< whom the sender would have form its view
  bool wishes = false;           ///< it has other rules to propose (X8): a view is to be formed for them
  std::vector<process> hears;    ///< heard within `fail_after`
  progress now;
};

/// Forms a view: freeze, and account for what you hold (rule P3).
struct gather {
  component_id attempt;
};

/// Answer to `gather` (rules V4, P3).
struct account {
  component_id attempt;
  component_id view;  ///< installed
  frontier front;     ///< held, in the slots of that view
  frontier stable;    ///< known to be held by all of it
  state_key state;
  component_id descends_from;  ///< as in `side`
  bool blank = false;          ///< as in `side`, when the view was installed
  std::vector<past_view> history;
  primary_mark last_primary;            ///< newest primary view it was in
  std::vector<primary_mark> attempted;  ///< views it prepared as primary and never saw installed
  component_rules rules;                ///< of its view
  std::optional<view_options> wish;     ///< rules that its operator asks for
  bool founder = false;                 ///< counts in the founders' table: no earlier life of it took part in the group
};

/// The view that shall be, to all who accounted (rules P4 to P7).
struct proposal {
  component_ptr what;
};
/// The sender holds all that it has to deliver before `attempt` (P6).
struct prepared {
  component_id attempt;
};
struct install {
  component_id attempt;
};

/// A part of one side's state, to the members of the view that merges it (P7).
struct offer {
  component_id view;
  std::uint16_t side = 0;
  std::uint32_t number = 0;  ///< counted from 0
  std::uint32_t count = 0;   ///< at least 1
  std::vector<std::byte> data;
};
inline constexpr std::size_t offer_bytes = 64 * 1024;  ///< per part
inline constexpr std::uint32_t offer_parts_max = 1u << 14;
/// Asks the side's first member for parts from `from` on.
struct offer_wanted {
  component_id view;
  std::uint16_t side = 0;
  std::uint32_t from = 0;
};

using control_body =
    std::variant<progress, standing, gather, account, proposal, prepared, install, offer, offer_wanted>;

/// What members of a partitionable group say to each other beside batches and pulls.
struct control {
  incarnation inc = 0;  ///< of the sender
  control_body body;
};

std::vector<std::byte> encode(const control& what);
std::vector<std::byte> encode(const memory& what);
std::vector<std::byte> encode(const place& what);
bool decode(std::span<const std::byte> bytes, memory& out);
bool decode(std::span<const std::byte> bytes, place& out);
/// False if the bytes are none of ours; `out` is then unspecified. Takes any bytes; counts are checked before memory is
/// spent.
bool decode(std::span<const std::byte> bytes, control& out);

}  // namespace cohort::protocol::partition
