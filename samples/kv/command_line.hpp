#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace kv {

/// What `cohort-kv` was called with.
struct command_line {
  std::string config;
  std::optional<std::uint64_t> new_epoch;
  std::string log_level = "info";
  bool check = false;  ///< only read the configuration
};

/// nullopt: help, version or an error were printed; `exit_code` is what the program ends with.
std::optional<command_line> parse_command_line(int argc, char** argv, int& exit_code);

}  // namespace kv
