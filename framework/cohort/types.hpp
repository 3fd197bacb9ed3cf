#pragma once

#include <chrono>
#include <cstdint>

namespace cohort {

/// A member's place in the group's founders' table, counted from 0 in the order of the members' names. It is the
/// stable name of a member (rule D2); which process speaks under it is told by its incarnation.
enum class member_id : std::uint16_t {};

/// No member: the vote that was not given, the leader that is not known.
inline constexpr member_id no_member{0xffff};

/// The member's number, to index arrays with.
constexpr std::size_t to_index(member_id id) { return static_cast<std::size_t>(id); }

/// Number of a view; view 0 is the founders'. Views of a group form one sequence (rule D5).
using view_number = std::uint64_t;

/// Restart number of a member, strictly larger than every one it used before in the group (rule D2); 0 = none.
using incarnation = std::uint64_t;

/// Leader number (rule E4); 0 = before the first election.
using term_number = std::uint64_t;

/// Position in the group's replicated log, counted from 1; 0 = the founding, before the first entry.
using log_index = std::uint64_t;

/// Number of a batch in its lane, counted from 1; 0 = none (rule L1).
using sequence = std::uint64_t;

/// Time of day in microseconds since the Unix epoch. Used for agreed time and to draw incarnations, never for timers.
using wall_time = std::chrono::microseconds;

}  // namespace cohort
