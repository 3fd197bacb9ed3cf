#pragma once

#include "samples/kv/server_options.hpp"

#include <cohort/node_file.hpp>

#include <filesystem>
#include <string_view>

namespace kv {

using settings_error = cohort::config_error;

/// What a node of `cohort-kv` runs with.
struct settings {
  cohort::node_config node;
  cohort::contract contract;
  server_options server;
};

/// Reads a configuration file:
///
///   [node]
///   name = "n1"                   # one of the members
///   data = "n1"                   # directory, relative to this file
///   listen = "127.0.0.1:7101"     # may be left out: the own entry below; another one must be 0.0.0.0 or ::
///   discover = "file:where.toml"  # may be left out: more sources of addresses (docs/discovery.md), or a list of them
///   cluster = "shop"              # needed with `discover`: nodes of another cluster are refused
///   name_servers = "127.0.0.1:53" # may be left out: those of the system
///   [members]                     # all founders, the same at every node
///   n1 = "127.0.0.1:7101"         # or "srv:NAME", or "discover"
///   [kv]
///   redis = "127.0.0.1:6379"      # where Redis clients connect
///   durability = "journaled"      # or "volatile"
///   reads = "linearizable"        # or "lease", or "local"
///   [groups.kv]                   # everything else of the group's contract; may be left out
///   election_min = "500 ms"
///
/// The first two sections and [groups.kv] are those of every node (<cohort/node_file.hpp>). Nothing else is accepted. All
/// that can be checked without running is; throws `settings_error`.
settings read_settings(const std::filesystem::path& file);
settings parse_settings(std::string_view text, const std::filesystem::path& file);

}  // namespace kv
