#pragma once

#include <cohort/contract_check.hpp>
#include <cohort/node.hpp>

#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// A configuration file cannot be used; `what()` says where (file:line), what is wrong and what would be right. More than
/// one such line if there is more.
struct config_error : node_error {
  using node_error::node_error;
};

/// Reads a node's configuration file, in TOML:
///
///   [node]
///   name = "n1"                   # one of the members
///   data = "n1"                   # directory, relative to this file
///   listen = "127.0.0.1:7101"     # may be left out: the own entry below; another one must be 0.0.0.0 or ::
///   discover = "file:where.toml"  # may be left out: more sources of addresses (docs/discovery.md), or a list of them
///   cluster = "shop"              # needed with `discover`: nodes of another cluster are refused
///   name_servers = "127.0.0.1:53" # may be left out: those of the system
///   compression = "zstd"          # may be left out: "off"
///   stop_limit = "30 s"           # may be left out: `node_config::stop_limit`
///   witnesses = ["n3"]            # may be left out: `node_config::witnesses`
///   [members]                     # all founders, the same at every node
///   n1 = "127.0.0.1:7101"         # or "srv:NAME", or "discover"
///   [gateways]                    # may be left out: where members serve clients outside the group (docs/rpc.md)
///   n1 = "127.0.0.1:7201"
///   [groups.orders]               # the contract of a group; every field of `contract` under its name. What is left out
///   durability = "journaled"      # has its default
///   orders = ["causal", "total"]
///   election_min = "500 ms"       # times: ms, s, min, h; sizes: B, KiB, MiB, GiB
///   depends_on = ["stock"]        # other groups of the file, for the check of the whole (rule G20)
///
/// Sections named in `application_sections` are the caller's and are skipped; nothing else is accepted. The contracts come
/// back in `node_config::groups`, where `node::replicate` finds them. Contracts that no node would start are refused here
/// already, with all findings (`check`) and their lines. Throws `config_error`.
node_config read_node_file(const std::filesystem::path& file, const std::vector<std::string_view>& application_sections = {});

}  // namespace cohort
