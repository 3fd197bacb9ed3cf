#pragma once

#include "framework/catalogue/node_table.hpp"
#include "transport/address.hpp"
#include "transport/endpoint.hpp"

#include <chrono>
#include <span>
#include <string>
#include <vector>

namespace cohort::transport {

/// A cluster, as one of its nodes tells it to a process that is no member yet.
struct cluster_nodes {
  std::string cluster;  ///< its name, if it has one
  std::uint64_t epoch = 0;
  std::vector<founder> founders;
  catalogue::node_table nodes;
};

frame encode_question(const std::string& name);
/// False with the reason if it is none. `bytes` is a whole frame, checksum verified.
bool decode_question(std::span<const std::byte> bytes, std::string& why);
frame encode_nodes(member_id self, const cluster_nodes& what);
bool decode_nodes(std::span<const std::byte> bytes, cluster_nodes& out, std::string& why);

/// Asks whoever answers at `where` for the cluster's nodes, as process `name`. Waits, look-ups included, for about `patience`.
/// Empty, or what went wrong at each address. Any thread.
std::string fetch_nodes(const place& where, const std::vector<address>& name_servers, const std::string& name,
                        std::chrono::milliseconds patience, cluster_nodes& out);

}  // namespace cohort::transport
