#pragma once

#include "actors/config_file.hpp"
#include "actors/group_settings.hpp"

namespace cohort::detail {

/// Reads [node] and [members]. Throws `config_error`.
node_config read_node(const config_section& root);
/// [members] alone, as needed to judge contracts.
std::vector<member_config> read_members(const config_section& root);

}  // namespace cohort::detail
