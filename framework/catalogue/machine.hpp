#pragma once

#include "framework/catalogue/group_table.hpp"
#include "framework/catalogue/node_table.hpp"

#include <cohort/state_machine.hpp>

#include <functional>
#include <string>

namespace cohort::catalogue {

/// A change of the tables of nodes and groups, as it travels.
enum class command_kind : std::uint8_t {
  add = 0,     ///< a node that was not known before, with its address
  move = 1,    ///< a node is found elsewhere from now on; also one whose disk is gone, and which comes back blank
  remove = 2,  ///< a node is none of the cluster any more
  create_group = 3,
  delete_group = 4,
  extend_group = 5,  ///< one more node has a part in a group of some nodes
};

struct command {
  command_kind kind{};
  std::string name;
  std::string address;  ///< of `add` and `move`

  // Of groups.
  std::string type, contract;
  std::vector<founder_line> founders;
  std::uint64_t request = 0;
  std::vector<std::string> hosts;  ///< names of nodes. Of `create_group`: who has it, none: all; `extend_group`: who has it from now on, too
  std::uint32_t number = 0;  ///< `create_group`: the new one's place is larger than this; `delete_group`: that one and no other, 0: of that name
};

std::vector<std::byte> encode(const command& c);

/// What became of a command.
struct verdict {
  bool done = false;
  std::string why;  ///< if not: why. If so: what is the case now
};
std::vector<std::byte> encode(const verdict& v);
/// False if the bytes are none.
bool decode(std::span<const std::byte> bytes, verdict& out);

/// The tables of a cluster's nodes, and of the groups that were created while it ran, replicated on all of them. A command that changes nothing because it was carried out before is
/// done: whoever drives a change may repeat it.
///
/// A group's line is the founding of the group (V19), and its only one.
///
/// Who is in the table may be a member; whether he is decides each group's own view (docs/membership.md).
class machine final : public state_machine {
public:
  /// `changed` and `groups_changed` are told of every state, the first and restored ones included, on the replica's thread.
  machine(node_table founders, std::function<void(const node_table&)> changed,
          std::function<void(const group_table&)> groups_changed = {});

  void apply(const delivery& d, reply& answer) override;
  void checkpoint(sink& out) const override;
  void restore(source& in) override;

private:
  verdict apply(const command& c);
  verdict add(const command& c);
  const node_line* whoever_is_at(const std::string& address) const;
  verdict create_group(const command& c);
  verdict delete_group(const command& c);
  verdict extend_group(const command& c);
  std::string name_hosts(const command& c, std::vector<member_id>& hosts) const;
  std::string alone_on(member_id node) const;
  void forget_host(member_id node);
  std::string described(const group_line& g) const;
  void tell_groups() const;

  node_table table_;
  const node_table founders_;
  std::function<void(const node_table&)> changed_;
  group_table groups_;
  std::function<void(const group_table&)> groups_changed_;
};

}  // namespace cohort::catalogue
