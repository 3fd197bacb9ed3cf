#pragma once

#include "actors/known_nodes.hpp"

#include "framework/protocol/outputs.hpp"

#include <cohort/contract.hpp>
#include <cohort/partitionable.hpp>

#include <memory>
#include <vector>

namespace cohort::detail {

/// The application's side of a partitionable group: what components, transitions and merges are in its words.
class components {
public:
  components(std::shared_ptr<const known_nodes> nodes, member_id self, merge_policy how, mergeable* state,
             component_listener* listener)
      : nodes_(std::move(nodes)), self_(self), how_(how), state_(state), listener_(listener) {}

  void changed(const protocol::deliver_component& c);
  void transition(const protocol::deliver_transition& t);
  /// The state of this side, for the others. Throws `std::length_error` if it cannot be sent.
  std::vector<std::byte> offer() const;
  void merge(const protocol::deliver_merge& m);
  /// The state for this node's own disk, and back.
  void checkpoint(sink& out) const;
  void restore(source& in);

private:
  std::vector<component_member> members(const std::vector<protocol::partition::process>& all) const;
  std::vector<component_side> sides(const protocol::partition::component_view& v) const;

  std::shared_ptr<const known_nodes> nodes_;
  member_id self_;
  merge_policy how_;
  mergeable* state_;
  component_listener* listener_;
  std::vector<component_member> before_;
};

}  // namespace cohort::detail
