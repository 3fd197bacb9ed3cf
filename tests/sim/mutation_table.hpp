#pragma once

#include "framework/protocol/mutations.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace cohort::sim {

struct mutation_line {
  protocol::mutation what{};
  const char* slug = nullptr;
  const char* numbers = nullptr;  ///< in the lists of known bugs; "sham" = harmless
  const char* rule = nullptr;
};
const std::vector<mutation_line>& all_mutations();
const mutation_line* find_mutation(const std::string& slug);

/// Runs every mutation (or part K/N of them) until a seed fails and writes the table. Returns the exit code: 1 if a
/// mutation survived which no directed test catches, or a sham did not.
int write_mutation_table(std::uint64_t seeds, const std::string& part, const std::string& file, unsigned jobs);

}  // namespace cohort::sim
