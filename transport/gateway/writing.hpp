#pragma once

// Inside transport/gateway/, .cpp files only: includes Cap'n Proto.
#include "transport/gateway/service.hpp"

#include "transport/gateway/gateway.capnp.h"

namespace cohort::transport::gateway {

inline constexpr std::size_t answer_overhead = 256;  ///< bytes beside the payload

/// About what it takes on the wire, rather too much.
std::size_t size_of(const answer& a);
std::size_t size_of(const collected& c);

void put(wire::Answer::Builder out, const answer& a);
void put(::capnp::List<wire::Member>::Builder out, const std::vector<member>& members);
void put(wire::Event::Builder out, const event& e);
void put(wire::Collected::Builder out, const collected& c);

}  // namespace cohort::transport::gateway
