#pragma once

#include "framework/protocol/view.hpp"

#include <cohort/order.hpp>

#include <compare>
#include <cstdint>
#include <memory>
#include <vector>

namespace cohort::protocol::partition {

/// One life of a member's process. A restarted process is another one: in a partitionable group nothing is inherited
/// but what the merge gives it.
struct process {
  member_id member = no_member;
  incarnation inc = 0;
  auto operator<=>(const process&) const = default;
};

/// Name of a component's view and of the attempt that forms it (rule P1). Several may be current at once, in different
/// components. A process takes part in at most one attempt for each counter, and its counters only grow: so (process,
/// counter) tells a view, too.
struct component_id {
  view_number counter = 0;
  member_id coordinator = no_member;
  incarnation inc = 0;  ///< of the coordinator
  auto operator<=>(const component_id&) const = default;
};

/// Which application state a process holds: that of one side of a merge, or the merged one. Processes with equal keys
/// hold equal states once they have delivered the same messages (rule P7).
struct state_key {
  component_id at;         ///< view at whose installation the sides were told apart
  std::uint16_t side = 0;  ///< in the constituent order of that view, or `merged_side`
  auto operator<=>(const state_key&) const = default;
};
inline constexpr std::uint16_t merged_side = 0xffff;

/// A view that lies behind a side, and what its total order came to (rule P8).
struct past_view {
  component_id view;
  std::uint64_t digest = 0;    ///< of the total order since the last merge, up to that view's end
  std::uint64_t messages = 0;  ///< of total order in that view
  bool operator==(const past_view&) const = default;
};
inline constexpr std::size_t history_max = 32;

/// A view that called itself primary, or set out to (rule P9). The view of the founders, before any, has no members
/// here: it is the founders' table.
struct primary_mark {
  component_id view;
  std::vector<process> members;
  bool operator==(const primary_mark&) const = default;
};
inline constexpr std::size_t attempts_max = 16;

/// Members of one old view that come together into a new one, and what they deliver of it (rules P4, P5).
struct flush {
  component_id view;                   ///< the old one
  std::vector<process> together;       ///< its transitional set, ascending
  frontier want;                       ///< what at least one of them holds, by slot
  frontier stable;                     ///< what all members of the old view are known to hold
  std::vector<std::uint16_t> holders;  ///< by slot: who of `together` holds what is wanted
  bool operator==(const flush&) const = default;
};

/// A constituent of a new view: processes that hold one state (rule P7).
struct side {
  state_key state;
  std::vector<process> members;    ///< ascending; the first one sends the state
  std::vector<past_view> history;  ///< oldest first, at most `history_max`
  component_id descends_from;      ///< newest primary view whose state went into this one; counter 0: none
  bool blank = false;              ///< nothing was ever delivered into it: its processes have just begun
  bool operator==(const side&) const = default;
};

/// By which rules a component runs (rules X1, X8). Where components with different ones meet, those that were changed
/// last win.
struct component_rules {
  view_options options;
  component_id since;                 ///< the view that brought them; counter 0: members were started with them
  std::uint64_t largest_message = 0;  ///< under these rules or any before them: parts of such a one may be under way
  bool operator==(const component_rules&) const = default;
};

/// A component's view. Immutable once proposed.
struct component_view {
  component_id id;
  component_rules rules;
  std::vector<process> members;  ///< ascending
  std::vector<flush> flushes;    ///< by old view, ascending
  std::vector<side> sides;       ///< by state, ascending: the constituent order
  bool primary = false;          ///< holds a majority of the last primary view (P9)
  bool operator==(const component_view&) const = default;
};
using component_ptr = std::shared_ptr<const component_view>;

/// The view in the words of views with one history: all members are active voters, and who is in it was admitted by it.
/// Its slots are those of the component's view.
view_ptr as_view(const component_view& v);

/// What a process of a durable group is and has promised, as it stands on its disk (rules D9, P6). Its batches are
/// beside it: those of `view` follow the memory that named this view first.
struct memory {
  incarnation inc = 0;
  bool founder = false;
  view_number promised = 0;  ///< newest attempt taken part in
  component_ptr view;        ///< installed
  primary_mark last_primary;
  std::vector<primary_mark> attempted;
};

/// Where in its view a process was when its application wrote its state down.
struct place {
  memory is;
  component_id descends_from;
  bool blank = false;
  std::vector<past_view> history;
  std::uint64_t digest = 0, delivered = 0, clock = 0;
  log_index totals_delivered = 0;
  /// By slot: passed by deliveries; U delivered up to; T delivered up to; held by all; not kept any more up to.
  frontier passed, unordered, totals, stable, trimmed;
};

/// Rank of `who` in the view; `no_slot`: not a member.
std::uint16_t rank_of(const component_view& v, process who);

}  // namespace cohort::protocol::partition
