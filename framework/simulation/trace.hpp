#pragma once

#include "framework/protocol/messages.hpp"
#include "framework/simulation/random.hpp"

#include <string>

namespace cohort::sim {

/// A message as one line of a trace.
std::string describe(const protocol::message& what);
std::string describe(const protocol::view& v);
/// Folds what identifies the message into a running hash.
std::uint64_t hash_message(std::uint64_t hash, const protocol::message& what);
std::uint64_t hash_payload(const protocol::payload& p);
std::uint64_t hash_entry(const protocol::entry& e);
std::uint64_t hash_view(const protocol::view& v);

}  // namespace cohort::sim
