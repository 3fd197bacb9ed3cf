#pragma once

#include "framework/catalogue/node_table.hpp"

#include <cohort/state_machine.hpp>

#include <functional>
#include <string>

namespace cohort::catalogue {

/// A change of the table of nodes, as it travels.
enum class command_kind : std::uint8_t {
  add = 0,     ///< a node that was not known before, with its address
  move = 1,    ///< a node is found elsewhere from now on; also one whose disk is gone, and which comes back blank
  remove = 2,  ///< a node is none of the cluster any more
};

struct command {
  command_kind kind{};
  std::string name;
  std::string address;  ///< of `add` and `move`
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

/// The table of a cluster's nodes, replicated on all of them. A command that changes nothing because it was carried out before is
/// done: whoever drives a change may repeat it.
///
/// Who is in the table may be a member; whether he is decides each group's own view (docs/membership.md).
class machine final : public state_machine {
public:
  /// `changed` is told of every state, the first and restored ones included, on the replica's thread.
  machine(node_table founders, std::function<void(const node_table&)> changed);

  void apply(const delivery& d, reply& answer) override;
  void checkpoint(sink& out) const override;
  void restore(source& in) override;

private:
  verdict apply(const command& c);
  verdict add(const command& c);

  node_table table_;
  const node_table founders_;
  std::function<void(const node_table&)> changed_;
};

}  // namespace cohort::catalogue
