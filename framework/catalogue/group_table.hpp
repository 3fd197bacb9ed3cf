#pragma once

#include "framework/protocol/group_number.hpp"

#include <cohort/stream.hpp>
#include <cohort/types.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::catalogue {

/// A member of a group's first view, under the identity that votes there: its data directory where the group is journaled, its
/// process (0: not known, so it comes later as one that joins) where it is volatile. Written down before the group is there, so that
/// a quorum of the founders can begin with it, whoever of them is away or dies (V19).
struct founder_line {
  member_id member = no_member;
  std::uint64_t directory_id = 0;
  std::uint64_t boot_id = 0;
  bool witness = false;
  bool operator==(const founder_line&) const = default;
};

/// A group that was created while the cluster ran, and is there.
struct group_line {
  std::uint32_t number = 0;   ///< in frames; never used again, so that a name which comes back is another group
  std::string name;
  std::string type;           ///< under which the application registers who gets its messages
  std::string contract;       ///< a line per field, as in a configuration file; of the founding: later changes are in the group's log
  std::vector<founder_line> founders;  ///< ascending
  std::uint64_t request = 0;  ///< drawn by whoever created it: the same request makes one group, however often it is repeated
  std::vector<member_id> hosts;  ///< the nodes that have it, ascending; empty: all, and those that come later as well
  bool operator==(const group_line&) const = default;
};

/// One that was deleted.
struct gone_line {
  std::uint32_t number = 0;
  std::string name;
  std::uint64_t request = 0;
  bool operator==(const gone_line&) const = default;
};

/// The groups that were created and are there. Its size depends on how many they are, not on how many there were: of those that are gone,
/// places remember the number of, and the newest are remembered for commands that are repeated.
struct group_table {
  std::uint64_t version = 0;  ///< changes since the founding
  std::vector<group_line> groups;  ///< in the order of their creation
  std::vector<gone_line> gone;     ///< newest last, `gone_max` at most
  std::vector<std::uint32_t> lives = std::vector<std::uint32_t>(group_places, 0);  ///< by place: groups that had it, or have it

  /// Null: there is none.
  const group_line* find(std::string_view name) const;
  const group_line* find(std::uint32_t number) const;
  /// Whether a group of that number was created, also if it is gone.
  bool ever(std::uint32_t number) const { return life_of(number) < lives[place_of(number)]; }
  /// The number of the next one, its place above `reserved`: the place that was used least, so that what nodes still hold of the group
  /// before it has most time to go. Nothing: all are taken.
  std::optional<std::uint32_t> next_number(std::uint32_t reserved) const;
  bool operator==(const group_table&) const = default;
};

/// Whether that node has a part in the group.
bool is_host(const group_line& of, member_id node);

inline constexpr std::size_t hosts_max = 64;  ///< named for one group
inline constexpr std::size_t gone_max = 1024;
inline constexpr std::size_t contract_bytes_max = 16u << 10;

void write(sink& out, const group_table& what);
/// Throws `truncated_checkpoint` if these bytes are none.
group_table read_group_table(source& in);

void write(sink& out, const std::vector<founder_line>& what);
std::vector<founder_line> read_founders(source& in);

}  // namespace cohort::catalogue
