#pragma once

#include <cohort/stream.hpp>
#include <cohort/types.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::catalogue {

/// A node of the cluster. Its number is the `member_id` under which it is a member of the groups it hosts; it is never used
/// again, so that a node which comes back after its removal is another one to every group.
struct node_line {
  member_id number = no_member;
  std::string name;
  std::string address;   ///< where the others find it: "host:port", "srv:NAME" or "discover"
  bool present = true;   ///< false: removed for good
  bool operator==(const node_line&) const = default;
};

/// All nodes that a cluster ever had, ascending by number: its founders first, then those which were added.
struct node_table {
  std::uint64_t version = 0;      ///< changes since the founding
  std::uint64_t founders = 0;     ///< how many of the lines are founders, which is what HELLO compares
  std::vector<node_line> nodes;

  /// The line of a node that is present, or null.
  const node_line* find(std::string_view name) const;
  const node_line* find(member_id number) const;  ///< present or not
  std::size_t present() const;
  bool operator==(const node_table&) const = default;
};

inline constexpr std::size_t nodes_max = 1024;          ///< that a cluster ever has, removed ones included
inline constexpr std::size_t present_max = 64;          ///< at the same time
inline constexpr std::size_t address_bytes_max = 300;

void write(sink& out, const node_table& what);
/// Throws `truncated_checkpoint` if these bytes are none.
node_table read_node_table(source& in);

/// The address of a node that the configured sources alone tell.
inline bool is_left_to_sources(std::string_view address) { return address == "discover"; }

/// 1 to 64 of [A-Za-z0-9_.-].
bool is_node_name(std::string_view text);

}  // namespace cohort::catalogue
