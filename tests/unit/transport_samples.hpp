#pragma once

// Messages to encode: every kind, from empty to crowded, drawn from a seed.

#include "framework/protocol/messages.hpp"

#include <random>
#include <string>
#include <vector>

namespace transport_samples {

using namespace cohort::protocol;
using generator = std::mt19937_64;

/// Payload with memory of its own.
payload make_payload(const std::vector<std::string>& messages);
/// The message of the alternative `kind` (index into protocol::message) with random contents.
message draw(std::size_t kind, generator& r);

/// Field by field; payloads by their bytes.
bool same(const message& a, const message& b);
std::string text_of(const payload& p, std::size_t i);

}  // namespace transport_samples
