#pragma once

#include <cohort/order.hpp>

#include <optional>
#include <string>
#include <vector>

namespace cohort::sim::explore {

/// A group and all that may happen to it. What is explored is every order in which it can happen.
struct scope {
  struct submission {
    unsigned node = 0;
    order how{};
  };

  std::string name, about;
  unsigned members = 3;
  bool durable = false;
  order_set orders{order::total};
  /// Its process was replaced by another one, which begins without state: it has just been admitted as a learner (W6).
  std::optional<unsigned> newcomer;
  std::vector<submission> submissions;  ///< those of one member are submitted in this order, at any time ...
  bool at_once = false;                 ///< ... or all before anything else happens

  unsigned may_crash = ~0u;  ///< members, in bits
  bool newest_ack = true;   ///< an acknowledgement replaces an older one that is still on the same link and says no more
  bool reordering = false;  ///< else links keep the order in which messages were sent
  /// So many links may become slow, any of them, at any time; what is on those arrives whenever it likes. What is on the
  /// others arrives in the order in which it was sent to anybody, or dies with its sender. Default: all may.
  unsigned slow_links = all_links;
  static constexpr unsigned all_links = ~0u;
  bool joins = false;       ///< JOINs are carried: who was excluded may come back by another view
  unsigned crashes = 1;     ///< any member, at any time; the others see their links reset, whenever they see it
  unsigned restarts = 0;    ///< of crashed members (durable groups)
  unsigned doubts = 0;      ///< a member sees the link of a living one reset
  bool doubts_of_leader = false;  ///< also the leader's, by its followers
  bool doubts_of_followers = false;  ///< also followers', by each other
  bool suspects = true;     ///< a leader waits E_min for a link that was reset
  bool probes = false;      ///< PROBEs are carried, and a leader waits for the others' word of a link that was reset (V24)
  unsigned lapses = 0;      ///< times that a leader's clock goes on to what it waits for next of members that are silent (V20)
  unsigned elections = 2;   ///< election timeouts
  unsigned expiries = 1;    ///< T_wedge or T_pull of a leader
  unsigned beats = 0;       ///< two heartbeat intervals pass at a member
  unsigned losses = 0;      ///< messages

  std::size_t brief_states = 200'000;  ///< in the short version
};

/// The scopes of the documentation.
const std::vector<scope>& all_scopes();

}  // namespace cohort::sim::explore
