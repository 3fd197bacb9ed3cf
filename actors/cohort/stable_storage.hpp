#pragma once

#include <cohort/node.hpp>
#include <cohort/stable_store.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>

namespace cohort {

struct stable_storage_options {
  std::filesystem::path mirror;  ///< directory of a second copy, best on another disk; empty: one copy
  std::uint64_t store_bytes_max = std::uint64_t{1} << 30;  ///< keys and values of each named store
};

/// The stable storage of a node that was started, in `stable/` of its data directory. Opened by the first call, which
/// checks all of it and says what is wrong with `node_error`; all calls get the same one, whose options are those of
/// the first. Stays open as long as somebody holds it, at least until the node stops. Any thread.
std::shared_ptr<stable_store> stable_storage_of(node& where, const stable_storage_options& how = {});

}  // namespace cohort
