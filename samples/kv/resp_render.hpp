#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kv {

/// Appends a reply of `reply_writer` in the protocol of a connection (2 or 3): RESP2 has no maps, sets, verbatim
/// strings and one null for each kind, RESP3 has one null.
void render(std::string_view reply, int protocol, std::string& out);

/// Length of the first element of `replies`, all its parts included; 0 if it is not complete.
std::size_t element_size(std::string_view replies);

}  // namespace kv
