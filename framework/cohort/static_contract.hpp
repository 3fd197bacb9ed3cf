#pragma once

#include <cohort/contract.hpp>

#include <type_traits>

namespace cohort {

/// A contract whose orders the compiler knows, the default order first. What `check` would refuse because of the orders
/// does not compile: linearizable reads, state machines and participants of actions in a group without total order, a
/// message in an order that is not enabled.
///
///   using room_contract = static_contract<order::causal, order::total>;
///   inline constexpr auto room = room_contract().with(durability::in_memory).reading<reads::linearizable>();
///
/// Converts to the `contract` that it stands for; all that depends on the members is checked where the group is hosted.
template <order Default, order... Others>
class static_contract {
public:
  static constexpr order default_order = Default;
  static constexpr order_set orders{Default, Others...};
  static constexpr bool has(order o) { return orders.has(o); }

  constexpr static_contract() : how_(contract::multicast(Default, orders)) {}
  constexpr operator const contract&() const { return how_; }
  constexpr const contract& get() const { return how_; }

  /// What queries may ask for at most.
  template <reads How>
  constexpr static_contract reading() const {
    static_assert(How == reads::local || has(order::total),
                  "linearizable and lease reads need the total order (R1): enable order::total, or use reads::local");
    return changed(&contract::reads, How);
  }

  /// The group replicates objects.
  template <replication How = replication::active>
  constexpr static_contract replicating() const {
    static_assert(How == replication::none || Default == order::total,
                  "a replicated object needs the total order, as the default (G11): name order::total first");
    return changed(&contract::replication, How);
  }

  /// Its objects take part in atomic actions.
  constexpr static_contract participating() const {
    static_assert(has(order::total), "a participant of atomic actions needs the total order (G12): enable order::total");
    return changed(&contract::action_participant, true);
  }

  /// Any other field.
  template <class Field>
  constexpr static_contract with(Field contract::* field, std::type_identity_t<Field> value) const {
    static_assert(!std::is_same_v<Field, order_set> && !std::is_same_v<Field, order>,
                  "the orders of a static_contract are its type's: static_contract<order::causal, order::total>");
    static_assert(!std::is_same_v<Field, cohort::reads>, "say reading<reads::linearizable>(), which is checked");
    static_assert(!std::is_same_v<Field, cohort::replication>, "say replicating<replication::active>(), which is checked");
    return changed(field, value);
  }
  constexpr static_contract with(durability how) const { return changed(&contract::durability, how); }
  constexpr static_contract with(slow_member how) const { return changed(&contract::slow, how); }

private:
  template <class Field>
  constexpr static_contract changed(Field contract::* field, Field value) const {
    static_contract next = *this;
    next.how_.*field = value;
    return next;
  }

  contract how_;
};

}  // namespace cohort
