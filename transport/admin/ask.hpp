#pragma once

#include "transport/admin/server.hpp"

#include <chrono>

namespace cohort::transport::admin {

/// Gives a command to the node that serves `socket` and waits for its answer. Throws `std::runtime_error`: nobody serves it, no
/// right to open it, no answer within `patience` (then the command may still be carried out).
answer ask(const std::string& socket, const std::vector<std::string>& words, std::chrono::milliseconds patience);

}  // namespace cohort::transport::admin
