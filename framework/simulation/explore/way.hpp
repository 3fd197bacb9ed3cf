#pragma once

#include "framework/simulation/explore/action.hpp"
#include "framework/simulation/explore/known_members.hpp"

namespace cohort::sim::explore {

/// A line for each action from the settled group on, with what the member then told its application.
std::vector<std::string> retell(const scope& s, known_members& known, const std::vector<action>& way);

}  // namespace cohort::sim::explore
