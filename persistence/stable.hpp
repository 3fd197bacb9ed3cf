#pragma once

#include <cohort/stable_store.hpp>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace cohort::persistence {

struct stable_options {
  std::filesystem::path directory;  ///< holds `stable.mdb`; made when missing
  std::filesystem::path mirror;     ///< directory of the second copy, best on another disk; empty: one copy
  std::uint64_t store_bytes_max = std::uint64_t{1} << 30;  ///< keys and values of each store
  std::size_t map_bytes = std::size_t{64} << 30;           ///< bound of a file; address space only
  std::size_t queue_bytes_max = 64u << 20;  ///< of batches that wait for the disk before others are `busy`
};

struct stable_opened {
  std::unique_ptr<stable_store> store;  ///< null on failure
  std::string error;                    ///< what, where, what to do
};

/// Opens the stable storage, creating it where there is none, and starts its writer thread. Takes an exclusive lock on
/// each directory, checks every page and record of every copy before it is used, and makes a copy that is missing,
/// behind or broken equal to the other one. Refuses when what is there cannot be trusted as a whole; single rotten
/// records are told by `stats().trouble` and by those who read them.
stable_opened open_stable(const stable_options& wanted);

}  // namespace cohort::persistence
