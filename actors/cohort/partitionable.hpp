#pragma once

#include <cohort/listener.hpp>
#include <cohort/stream.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cohort {

/// A process of a partitionable group: a member's name and which of its lives. In a journaled group a life goes on behind
/// a restart, as long as its data directory is there.
struct component_member {
  std::string name;
  cohort::incarnation incarnation = 0;
  bool operator==(const component_member&) const = default;
};

/// A constituent of a component's view: members that bring one state (rule P7).
struct component_side {
  std::vector<component_member> members;  ///< ascending by the members' order
  bool own = false;                       ///< this node is one of them
  bool blank = false;                     ///< its members have just begun: nothing was ever delivered to them
  bool last_primary = false;              ///< it descends from the newest primary view that any side knows
  view_number common_view = 0;            ///< newest view which this side has in common with the first one; 0: none
  bool diverged = false;  ///< total order went on differently behind it, here and on the first side (P8)
};

/// A view of one component: these members hear each other, and all of them hold what is delivered as safe in it. There
/// may be other components with views of their own.
struct component_view {
  view_number number = 0;   ///< grows at each member; other components may use the same one
  std::string coordinator;  ///< who formed it; with its incarnation and the number the view's name
  std::vector<component_member> members;
  std::vector<component_member> arrived;  ///< not in this node's view before
  std::vector<component_member> gone;     ///< in this node's view before, and not in this one: crashed, or cut off
  std::vector<component_side>
      sides;             ///< in constituent order, which is the same everywhere; one: nothing is to be merged
  bool primary = false;  ///< holds a majority of the last primary view (dynamic voting, rule P9)
};

/// What a component hands over when it becomes part of a larger one.
struct merge_side {
  component_side who;
  source* state = nullptr;  ///< what `checkpoint` wrote at its first member; may be read once
};

/// State that is made one again after a partition. A state machine or listener that also derives from this is given the
/// sides' states (`merge_policy::application`), or that of the side that wins.
///
/// Guarantee (crash model): all members of the new view call `reconcile` with equal arguments before the first message
/// of the view; nobody delivers one before all have what they need for it. Threads: as the listener's other calls.
class mergeable {
public:
  virtual ~mergeable() = default;
  /// Writes the whole state, deterministically. At most 1 GiB.
  virtual void checkpoint(sink& out) const = 0;
  /// Replaces the whole state by what `checkpoint` wrote.
  virtual void restore(source& in) = 0;
  /// Replaces the whole state by one made of all sides', in their order. Must be deterministic, and depend on nothing
  /// else: not on the state it replaces, which is among the sides'.
  virtual void reconcile(std::span<const merge_side> sides) = 0;
};

/// A listener that is told of components. `listener::view_changed` is called, too.
class component_listener : public listener {
public:
  /// A view is installed. With more than one side, `mergeable::reconcile` follows before any message.
  virtual void component_changed(const component_view& view) = 0;
  /// The view ends. What is delivered from here on up to `component_changed` is known to be held by these members only;
  /// of the others, nobody knows (extended virtual synchrony: Moser, Amir, Melliar-Smith, Agarwal, 1994).
  virtual void transition(view_number ending, std::span<const component_member> together) {
    (void)ending, (void)together;
  }
};

}  // namespace cohort
