#pragma once

#include "transport/address.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cohort::detail {

/// Where one member may be found, as a file says.
struct member_hint {
  std::string name;
  std::vector<transport::place> places;  ///< may be empty: the entry is there, but cannot be used
};

/// What a file of members says.
struct member_file {
  bool usable = false;                ///< false: it is no TOML, or has no [members]; the hints are empty then
  std::vector<member_hint> hints;     ///< in no order
  std::vector<std::string> troubles;  ///< FILE:LINE: what is wrong and what would be right
};

inline constexpr std::size_t file_members_max = 1024;

/// Reads the section [members] of a TOML file, `NAME = "PLACE"` or `NAME = ["PLACE", ...]`, as a configuration has it; other
/// sections are ignored, so the file may be a node's configuration. A wrong entry spoils no other one. `file` is for messages.
member_file parse_member_file(std::string_view text, const std::string& file);

/// Control characters become '?': what a file holds goes into logs.
std::string printable(std::string text);

}  // namespace cohort::detail
