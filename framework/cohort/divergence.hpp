#pragma once

#include <cohort/types.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace cohort {

/// How the states of a group's replicas compare.
enum class divergence_verdict : std::uint8_t {
  agreed,     ///< all active members have the same state
  differs,    ///< more than half of them have the same state, and some have another one
  undecided,  ///< states differ, and none is that of more than half: with two members always
};

/// What comparing the replicas' states brought to light: a difference, other members that differ, or that all agree again.
/// Replicas take digests of their states at the same positions of the order (`contract::compare_every`), and each compares for
/// itself; so all of them tell, at about the same time. Crash model: a difference shows an error of the program, of memory or of a
/// disk (Castro, Rodrigues, Liskov, "BASE", 2003, on why replicas part), and the majority is taken to be right.
struct divergence_report {
  std::string group;
  divergence_verdict what{};
  std::uint64_t position = 0;    ///< states were compared behind this message of the total order
  view_number view = 0;          ///< as far as this member was
  std::vector<std::string> odd;  ///< members with another state than the majority; `undecided`: all that were compared
  bool here = false;             ///< this node is among them
  bool stopped = false;          ///< so its part in the group ended (`divergence_policy::stop`)
};

/// As the log has it, without the group's name.
std::string describe(const divergence_report& r);

}  // namespace cohort
