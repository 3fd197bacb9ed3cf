#pragma once

#include <cohort/stream.hpp>
#include <cohort/types.hpp>

#include <cstdint>
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

/// A group that was created while the cluster ran.
struct group_line {
  std::uint32_t number = 0;   ///< in frames and journals; never used again, so that a name which comes back is another group
  std::string name;
  std::string type;           ///< under which the application registers who gets its messages
  std::string contract;       ///< a line per field, as in a configuration file; of the founding: later changes are in the group's log
  std::vector<founder_line> founders;  ///< ascending
  std::uint64_t request = 0;  ///< drawn by whoever created it: the same request makes one group, however often it is repeated
  bool present = true;        ///< false: deleted, and of the above only number, name and request are left
  std::vector<member_id> hosts;  ///< the nodes that have it, ascending; empty: all, and those that come later as well
  bool operator==(const group_line&) const = default;
};

/// All groups that were ever created, in that order.
struct group_table {
  std::uint64_t version = 0;  ///< changes since the founding
  std::vector<group_line> groups;

  /// The line of a group that is present, or null.
  const group_line* find(std::string_view name) const;
  const group_line* find(std::uint32_t number) const;  ///< present or not
  bool operator==(const group_table&) const = default;
};

/// Whether that node has a part in the group.
bool is_host(const group_line& of, member_id node);

inline constexpr std::size_t hosts_max = 64;  ///< named for one group
inline constexpr std::uint32_t group_number_max = 1023;  ///< from here downward, away from those of configurations
inline constexpr std::size_t contract_bytes_max = 16u << 10;

void write(sink& out, const group_table& what);
/// Throws `truncated_checkpoint` if these bytes are none.
group_table read_group_table(source& in);

void write(sink& out, const std::vector<founder_line>& what);
std::vector<founder_line> read_founders(source& in);

}  // namespace cohort::catalogue
